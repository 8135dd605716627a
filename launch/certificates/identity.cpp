#include "launch/certificates/identity.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "transport/message.h"

namespace fedstill {

void check_identity(const std::string& name, const std::string& role) {
  const std::string problem = find_problem(Join{name, "", 0});
  if (!problem.empty()) throw std::invalid_argument("[cert] name: " + problem);
  if (std::ranges::find(kRoles, role) == std::end(kRoles)) {
    throw std::invalid_argument("[cert] role: found '" + role +
                                "', expected coordinator, client or admin");
  }
}

}  // namespace fedstill

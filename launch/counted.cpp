#include "launch/counted.h"

#include "launch/progress.h"

namespace fedstill {

std::string counted(std::int64_t number, std::string_view one, std::string_view many) {
  const std::string of(number == 1 || many.empty() ? one : many);
  return grouped(number) + " " + of + (number != 1 && many.empty() ? "s" : "");
}

}  // namespace fedstill

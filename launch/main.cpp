#include <unistd.h>

#include <cerrno>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "launch/command_line.h"
#include "launch/commands.h"
#include "launch/exit_code.h"
#include "launch/failure.h"
#include "launch/outside_text.h"
#include "launch/stop_signal.h"
#include "training/threads.h"

namespace fedstill {
namespace {

bool wants_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") return true;
  }
  return false;
}

int report_failure(const Failure& failure, bool as_json) {
  const int code = static_cast<int>(failure.code);
  std::cerr << "fedstill: " << printable(failure.message) << "\n";
  if (!failure.hint.empty()) std::cerr << "hint: " << printable(failure.hint) << "\n";
  if (as_json) {
    std::cout << json_text(nlohmann::json{{"status", "error"},
                                          {"exit_code", code},
                                          {"message", failure.message},
                                          {"hint", failure.hint}})
              << std::endl;
  }
  return code;
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  try {
    fedstill::tune_allocator();
    fedstill::ignore_failing_writes();
    const fedstill::ExitCode code = fedstill::run_command(fedstill::parse_command_line(argc, argv));
    std::cout.flush();
    if (!std::cout) {
      fedstill::end_if_unread(STDOUT_FILENO);  // as in fedstill … | head
      throw std::system_error(errno, std::generic_category(), "[stdout]");
    }
    return static_cast<int>(code);
  } catch (...) {
    return fedstill::report_failure(fedstill::describe(std::current_exception()),
                                    fedstill::wants_json(argc, argv));
  }
}

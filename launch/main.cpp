#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "launch/command_line.h"
#include "launch/commands.h"
#include "launch/failure.h"
#include "launch/stop_signal.h"
#include "training/threads.h"

namespace {

using namespace fedstill;

bool wants_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") return true;
  }
  return false;
}

int report_failure(const Failure& failure, bool as_json) {
  const int code = static_cast<int>(failure.code);
  std::cerr << "fedstill: " << failure.message << "\n";
  if (!failure.hint.empty()) std::cerr << "hint: " << failure.hint << "\n";
  if (as_json) {
    std::cout << nlohmann::json{{"status", "error"},
                                {"exit_code", code},
                                {"message", failure.message},
                                {"hint", failure.hint}}
              << std::endl;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    tune_allocator();
    install_stop_signals();
    run_command(parse_command_line(argc, argv));
    std::cout.flush();
    if (!std::cout) throw std::system_error(errno, std::generic_category(), "[stdout]");
    return static_cast<int>(ExitCode::kOk);
  } catch (...) {
    return report_failure(describe(std::current_exception()), wants_json(argc, argv));
  }
}

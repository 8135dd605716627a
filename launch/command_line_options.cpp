#include "launch/command_line_options.h"

#include <CLI/CLI.hpp>
#include <stdexcept>

#include "training/device.h"

namespace fedstill {

void add_json(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "one JSON object on stdout, nothing else");
}

void add_quiet(CLI::App& app, bool& quiet) { app.add_flag("--quiet,-q", quiet, "no progress"); }

void add_preset(CLI::App& app, std::string& preset) {
  app.add_option("--preset", preset, "what the job file starts from: quick or full");
}

void add_repeated(CLI::App& app, const std::string& flag, std::vector<std::string>& values,
                  const std::string& what) {
  app.add_option(flag, values, what)->type_size(1)->allow_extra_args(false);
}

void add_assignments(CLI::App& app, std::vector<std::string>& assignments) {
  add_repeated(app, "--set", assignments, "section.key=value over the job file; may be repeated");
}

void add_device(CLI::App& app, std::string& device) {
  app.add_option("--device", device,
                 "where to compute: cpu, cuda or cuda:N (default: as the job says, or cpu)")
      ->check(checked_by(parse_device, "DEVICE"));
}

void add_identity(CLI::App& app, std::filesystem::path& identity) {
  app.add_option("--identity", identity, "folder with site.key, site.crt and ca.crt")->required();
}

void add_log(CLI::App& app, std::filesystem::path& file, std::string& level) {
  app.add_option("--log", file, "log file; renamed to FILE.1 at 16 MiB, opened anew at SIGHUP");
  app.add_option("--log-level", level, "debug, info, warning or error; SIGUSR2: debug on and off")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

}  // namespace fedstill

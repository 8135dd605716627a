#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "launch/bench/bench_command.h"

namespace fedstill {

// What the command line asked for.
struct SimulateCommand {
  std::filesystem::path job;             // empty: the preset alone
  std::string preset = "quick", device;  // no device: as the job says
  std::filesystem::path run, resume, clients_from;
  std::optional<std::int64_t> workers, seed;
  std::vector<std::string> assignments;
  bool print_job = false, quiet = false, json = false;
};
struct FedAvgCommand : SimulateCommand {};  // the same options; clients_from stays empty
struct MpiCommand : SimulateCommand {};     // clients_from and resume stay empty
struct InspectCommand {
  std::filesystem::path file;
  bool json = false;
};
struct PredictCommand {
  std::filesystem::path bundle;
  std::vector<std::filesystem::path> images;
  bool json = false;
};
struct EvaluateCommand {
  std::filesystem::path model;       // a bundle or a model file
  std::string data, device = "cpu";  // no data: that of the file's run; device: of a model file
  bool json = false;
};
struct ShardsCommand {
  std::filesystem::path job, out;
  std::string preset = "quick";
  std::vector<std::string> assignments;
  bool json = false;
};
struct CoordinatorCommand {
  std::filesystem::path job, state, identity, revoked, allowed, log, upstream_identity;
  std::string preset = "quick", listen = "0.0.0.0:7443", log_level = "info", device;
  std::string upstream, upstream_proxy;
  std::vector<std::string> assignments;
  std::int64_t monitor = 0;           // port for /metrics and /health on loopback; 0: none
  std::int64_t bytes_per_second = 0;  // of each connection, each way; 0: no limit
  bool wait_on_failure = false, quiet = false, json = false;
};
struct ClientCommand {
  std::string coordinator, data, model, proxy, device = "cpu";
  std::string mode = "model";  // what leaves the site: its model, or only its "predictions"
  std::string log_level = "info";
  std::filesystem::path identity, state, revoked, log;
  std::int64_t threads = 0, bytes_per_second = 0;  // 0: all cores; no limit
  bool quiet = false, json = false;
};
struct PreflightCommand {
  std::string coordinator, data, proxy;
  std::filesystem::path identity, state, revoked;
  bool json = false;
};
struct AdminCommand {
  std::string what, argument;  // "status", "exclude" and the client's name, …
  std::string coordinator, proxy;
  std::filesystem::path identity, revoked;
  bool watch = false, json = false;
};
struct AuditCommand {
  std::filesystem::path file;
  bool json = false;
};
struct CertCommand {
  std::string action;            // init, request, sign, install, revoke or show
  std::filesystem::path folder;  // of the authority or of the site
  std::filesystem::path file;    // request, certificate; revoke: also a name or a fingerprint
  std::filesystem::path authority, out;
  std::string name, role;
  std::vector<std::string> hosts;
  std::optional<std::int64_t> days;
  bool json = false;
};
struct CompletionCommand {
  std::string shell;
};
struct VersionCommand {
  bool json = false;
};
struct HelpCommand {
  std::string text;
};
using Command =
    std::variant<SimulateCommand, FedAvgCommand, MpiCommand, InspectCommand, PredictCommand,
                 EvaluateCommand, CoordinatorCommand, ClientCommand, PreflightCommand, AdminCommand,
                 AuditCommand, ShardsCommand, CertCommand, BenchCommand, CompletionCommand,
                 VersionCommand, HelpCommand>;

// The command line makes no sense. The message says what, with a suggestion.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& what, std::string of = "fedstill")
      : std::runtime_error(what), command(std::move(of)) {}
  std::string command;  // whose --help would help
};

Command parse_command_line(int argc, const char* const* argv);  // throws UsageError

}  // namespace fedstill

#include "launch/commands.h"

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <type_traits>
#include <variant>

#include "launch/bench/bench.h"
#include "launch/cert.h"
#include "launch/completion.h"
#include "launch/evaluate.h"
#include "launch/fedavg.h"
#include "launch/input.h"
#include "launch/inspect.h"
#include "launch/job_file.h"
#include "launch/machine.h"
#include "launch/outside_text.h"
#include "launch/predict.h"
#include "launch/progress.h"
#include "launch/ranks/mpi_job.h"
#include "launch/ranks/started.h"
#include "launch/report.h"
#include "launch/shards.h"
#include "launch/simulate.h"
#include "launch/sites/admin.h"
#include "launch/sites/administration.h"
#include "launch/sites/audit.h"
#include "launch/sites/preflight.h"
#include "launch/sites/serve.h"
#include "launch/sites/site_client.h"
#include "launch/stop_signal.h"

namespace fedstill {
namespace {

void print(nlohmann::json data, const std::string& text, bool as_json) {
  if (data.is_object() && !data.contains("status")) data["status"] = "success";
  std::cout << (as_json ? json_text(data, 1) + "\n" : printable_lines(text));
}

// To be edited, or for scripts.
void print_job(const Job& job, bool as_json) {
  if (as_json) return print({{"job", job_json(job)}, {"job_hash", job_hash(job)}}, "", true);
  std::cout << write_job(job);
}

void run(const SimulateCommand& command) {
  if (command.print_job) return print_job(effective_job(command), command.json);
  Progress progress(std::cerr, terminal_progress(command.quiet));
  nlohmann::json report = simulate(command, progress, stop_at_signals());
  report.erase("samples");
  print(report, summary_text(report), command.json);
}

void run(const FedAvgCommand& command) {
  if (command.print_job) return print_job(effective_job(command), command.json);
  Progress progress(std::cerr, terminal_progress(command.quiet));
  const nlohmann::json found = fedavg(command, progress, stop_at_signals());
  if (found.is_null()) return;  // rank 0 tells
  print(found, fedavg_text(found), command.json);
}

void run(const MpiCommand& command) {
  if (command.print_job) {
    if (started_rank() == 0) print_job(effective_job(command), command.json);
    return;
  }
  Progress progress(std::cerr, terminal_progress(command.quiet));
  nlohmann::json report = run_on_ranks(command, progress, stop_at_signals());
  if (report.is_null()) return;  // rank 0 tells
  report.erase("samples");
  print(report, summary_text(report), command.json);
}

void run(const InspectCommand& command) {
  const Inspection found = inspect(command.file);
  print(found.data, found.text, command.json);
}

void run(const PredictCommand& command) {
  const nlohmann::json found = predict_files(command.bundle, command.images);
  for (const auto& image : found.at("images")) {
    if (!image.contains("note")) continue;
    std::cerr << "fedstill: note: " << printable(image.at("image")) << ": "
              << image.at("note").get<std::string>() << "\n";
  }
  print(found, prediction_text(found), command.json);
}

void run(const EvaluateCommand& command) {
  const nlohmann::json found = evaluate_file(command.model, command.data, command.device);
  if (found.contains("warning")) {
    std::cerr << "fedstill: warning: " << printable(found.at("warning")) << "\n";
  }
  print(found, evaluation_text(found), command.json);
}

void run(const CoordinatorCommand& command) {
  require_folder(command.identity);
  if (!command.upstream.empty()) require_folder(command.upstream_identity);
  Progress progress(std::cerr, terminal_progress(command.quiet));
  nlohmann::json report = serve(command, progress, stop_at_signals());
  if (report.contains("stopped_by")) {
    const std::string text = "stopped by " + report.at("stopped_by").get<std::string>() +
                             "; it goes on with the same --state " +
                             report.at("state").get<std::string>() + "\n";
    return print(report, text, command.json);
  }
  report.erase("samples");
  print(report, summary_text(report), command.json);
}

void run(const ClientCommand& command) {
  require_folder(command.identity);
  Progress progress(std::cerr, terminal_progress(command.quiet));
  const nlohmann::json result = run_site(command, progress, stop_at_signals());
  print(result, "bundle " + result.at("bundle").get<std::string>() + "\n", command.json);
}

ExitCode run(const PreflightCommand& command) {
  const nlohmann::json found = preflight(command);
  print(found, preflight_text(found), command.json);
  if (found.at("ok").get<bool>()) return ExitCode::kOk;
  std::cerr << "fedstill: [preflight] this site is not ready\n";
  return static_cast<ExitCode>(found.at("exit_code").get<int>());
}

void run(const AdminCommand& command) {
  require_folder(command.identity);
  if (command.watch) {
    end_at_closed_pipes();
    return watch_coordinator(command, stop_at_signals());
  }
  const nlohmann::json reply = ask_coordinator(command);
  print(reply, command.json ? "" : answer_text(command.what, reply), command.json);
}

void run(const AuditCommand& command) {
  require_file(command.file, {"audit.jsonl"});
  const nlohmann::json verified = verify_audit(command.file);
  print(verified, audit_text(verified), command.json);
}

void run(const ShardsCommand& command) {
  const nlohmann::json written = write_shards(command);
  print(written, shards_text(written), command.json);
}

void require_inputs(const CertCommand& command) {
  const std::string& action = command.action;
  if (action == "sign" || action == "install" || action == "revoke") require_folder(command.folder);
  if (action == "sign" || action == "install") require_file(command.file);
  if (action == "install") require_file(command.authority);
  std::error_code ignored;  // what is shown may be a folder
  const bool shows = action == "show" && !std::filesystem::is_directory(command.file, ignored);
  if (shows) require_file(command.file);
}

void run(const CertCommand& command) {
  require_inputs(command);
  const nlohmann::json done = run_cert(command);
  print(done, cert_text(done), command.json);
}

void run(const BenchCommand& command) {
  const BenchResult found = run_bench(command, stop_at_signals());
  if (found.data.is_null()) return;  // rank 0 tells
  print(found.data, found.text, found.json);
}

void run(const CompletionCommand& command) { std::cout << completion_script(command.shell); }

void run(const VersionCommand& command) {
  const nlohmann::json versions = versions_json();
  std::string text;
  for (const auto& [name, version] : versions.items()) {
    text += name + " " + version.get<std::string>() + "\n";
  }
  print(versions, text, command.json);
}

void run(const HelpCommand& command) { std::cout << command.text; }

}  // namespace

ExitCode run_command(const Command& command) {
  const auto run_chosen = [](const auto& chosen) {
    if constexpr (std::is_void_v<decltype(run(chosen))>) {
      run(chosen);
      return ExitCode::kOk;
    } else {
      return run(chosen);
    }
  };
  return std::visit(run_chosen, command);
}

}  // namespace fedstill

#include "launch/inspect_run.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "aggregation/prediction_cache.h"
#include "launch/counted.h"
#include "launch/going_on.h"
#include "launch/input.h"
#include "launch/job_file.h"
#include "launch/json_complaint.h"
#include "launch/outside_text.h"
#include "launch/run_folder.h"
#include "launch/stages/client_plan.h"
#include "launch/stages/clients.h"
#include "launch/stages/rounds.h"
#include "launch/text_table.h"
#include "model/decode_error.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::int64_t kMostLines = 100;  // of clients, as text

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Of what a run remembers; a value of another type is damage. none: where it remembers nothing.
template <typename T>
T recalled(const fs::path& run, const char* state, const char* key, T none) {
  const auto saved = recall_state(run, state);
  if (!saved) return none;
  try {
    return saved->at(key).get<T>();
  } catch (const json::exception& error) {
    throw DecodeError("[run] " + run.string() + ": " + state + " " + complaint_of(error));
  }
}

// A folder of an earlier version does not always say whose it is.
std::string how_to_go_on(const fs::path& run, const std::string& program) {
  if (program.empty()) return "the command that began it";
  if (is_there(run / "state" / "distillers.json"))
    return "mpirun … fedstill mpi --run " + run.string();
  return command_that_goes_on(program, run);
}

// Why the run ended, where that is the last thing it wrote down; damage is none of its concern.
std::string last_failure(const fs::path& run) {
  constexpr std::streamoff kTail = 1 << 16;
  std::ifstream file(run / "events.jsonl", std::ios::binary | std::ios::ate);
  if (!file) return {};
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - kTail));
  std::string tail(kTail, '\0');
  file.read(tail.data(), kTail);
  tail.resize(static_cast<std::size_t>(file.gcount()));
  if (tail.ends_with('\n')) tail.pop_back();
  const std::string last = tail.substr(tail.rfind('\n') + 1);  // npos + 1 is 0
  try {
    const json event = parse_outside_json(last, "events");
    return event.at("event") == "failed" ? printable(event.at("what")) : "";
  } catch (const DecodeError&) {
  } catch (const json::exception&) {
  }
  return {};
}

// The first round that is not over, or the last.
std::int64_t current_round(const fs::path& run, const Job& job) {
  std::int64_t round = 1;
  while (round < job.round.count && recall_state(run / round_folder(job, round), "round")) ++round;
  return round;
}

std::string state_of_client(const fs::path& round, const std::string& name) {
  if (recall_state(round, name)) return "done";
  const fs::path folder = round / "clients" / name;
  if (is_there(folder / "head.checkpoint")) return "training its head";
  return is_there(folder / "body.checkpoint") ? "training" : "waiting";
}

json clients_of(const fs::path& round, const Job& job, bool is_first) {
  json out = json::array();
  const auto count = static_cast<std::size_t>(job.clients.count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = client_name(i, count);
    out.push_back(
        {{"name", name},
         {"architecture", is_first ? first_architecture(job, i) : job.distillation.student},
         {"state", state_of_client(round, name)}});
  }
  return out;
}

std::int64_t done_of(const json& clients) {
  return std::ranges::count_if(clients, [](const json& c) { return c.at("state") == "done"; });
}

// A damaged one is made again.
bool is_complete(const fs::path& cache) {
  try {
    return is_there(cache) && PredictionCache::open(cache).complete();
  } catch (const DecodeError&) {
    return false;
  }
}

// The stage that is next or under way.
const char* stage_of(const fs::path& round, const json& clients) {
  if (recall_state(round, "bundle")) return "report";
  if (recall_state(round, "student")) return "bundle";
  if (is_there(round / "student.checkpoint")) return "student";
  if (done_of(clients) < std::ssize(clients)) return "clients";
  const bool asked = is_complete(round / "cache" / "pool.predictions") &&
                     is_complete(round / "cache" / "test.predictions");
  return asked ? "student" : "teachers";
}

std::string client_lines(const json& clients) {
  std::vector<std::vector<std::string>> rows{{"client", "state", "architecture"}};
  for (const json& client : clients) {
    if (std::ssize(rows) > kMostLines) break;
    rows.push_back({client.at("name"), client.at("state"), client.at("architecture")});
  }
  const std::int64_t more = std::ssize(clients) + 1 - std::ssize(rows);
  return text_table(rows) + (more > 0 ? "and " + counted(more, "client") + " more\n" : "");
}

// Of simulate and mpi, which work alike.
Inspection of_job(const fs::path& run, const Job& job) {
  const std::int64_t number = current_round(run, job);
  const fs::path round = run / round_folder(job, number);
  const json clients = clients_of(round, job, number == 1);
  const std::string stage = stage_of(round, clients);
  const std::string where = job.round.count == 1 ? ""
                                                 : "round " + std::to_string(number) + " of " +
                                                       std::to_string(job.round.count) + ", ";
  return {{{"round", number}, {"rounds", job.round.count}, {"stage", stage}, {"clients", clients}},
          where + "stage " + stage + ", " + std::to_string(done_of(clients)) + " of " +
              counted(std::ssize(clients), "client") + " done\n\n" + client_lines(clients)};
}

Inspection of_fedavg(const fs::path& run, const Job& job) {
  const std::int64_t done = std::ssize(recalled(run, "averaging", "rounds", std::vector<json>{}));
  return {{{"round", std::min(done + 1, job.averaging.rounds)},
           {"rounds", job.averaging.rounds},
           {"stage", "averaging"}},
          std::to_string(done) + " of " + counted(job.averaging.rounds, "round") + " done\n"};
}

}  // namespace

std::optional<fs::path> result_of_run(const fs::path& run) {
  for (const char* name : {"report.json", "fedavg.json"}) {
    if (is_there(run / name)) return run / name;
  }
  if (is_run_folder(run)) return std::nullopt;
  throw InputError("[input] " + run.string() + " is a folder, but not of a run",
                   "give a file, or the folder of a run");
}

Inspection inspect_unfinished(const fs::path& run) {
  Job job;
  apply_job_file(job, run / "job.toml");
  const std::string program = printable(recalled(run, "program", "name", std::string{}));
  Inspection out;
  if (program == "fedavg") out = of_fedavg(run, job);
  if (program == "simulate") out = of_job(run, job);
  const std::string next = how_to_go_on(run, program);
  out.data["kind"] = "unfinished run";
  out.data["program"] = program;
  out.data["go_on"] = next;
  const std::string failure = last_failure(run);
  if (!failure.empty()) out.data["failure"] = failure;
  out.data["file"] = {{"path", run.string()}};
  out.data["status"] = "success";
  out.text = run.string() + ": unfinished run" + (program.empty() ? "" : " of " + program) +
             "\n\n" + out.text + (failure.empty() ? "" : "\nit failed: " + failure) +
             "\nunless it runs now, go on with: " + next + "\n";
  return out;
}

}  // namespace fedstill

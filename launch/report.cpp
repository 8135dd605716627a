#include "launch/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "launch/counted.h"
#include "launch/finished_result.h"
#include "launch/job_file.h"
#include "launch/machine.h"
#include "launch/outside_text.h"
#include "launch/report_html.h"
#include "launch/report_samples.h"
#include "launch/report_warnings.h"
#include "model/atomic_file.h"
#include "training/device.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxReportBytes = std::size_t{256} << 20;

std::int64_t kilobytes(std::int64_t bytes) { return (bytes + 500) / 1000; }

using nlohmann::json;

json json_of(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json client_list(const std::vector<ClientRecord>& clients, const Teaching& teaching,
                 std::int64_t liars) {
  json out = json::array();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    json client = to_json(clients[i]);
    if (clients[i].class_counts.empty()) client.erase("class_counts");  // a site keeps them
    client["test_accuracy"] = json_of(teaching.client_accuracy[i]);
    client["mode"] = teaching.client_accuracy[i] ? "model" : "predictions";
    client["lies"] = i + static_cast<std::size_t>(liars) >= clients.size();
    out.push_back(std::move(client));
  }
  return out;
}

std::int64_t measured(const Teaching& teaching) {
  return std::ranges::count_if(teaching.client_accuracy,
                               [](const auto& a) { return a.has_value(); });
}

json trust_json(const TrustReport& trust) {
  return {{"weight", trust.weight},
          {"leader", trust.leader},
          {"total", trust.total},
          {"entropy", trust.entropy}};
}

json split_json(const Material& m) {
  return {{"hash", m.split.hash()},
          {"private",
           [&] {
             std::int64_t count = 0;
             for (const auto& client : m.split.clients) {
               count += static_cast<std::int64_t>(client.size());
             }
             return count;
           }()},
          {"pool", m.split.pool.size()},
          {"validation", m.split.validation.size()},
          {"test", m.test.count()}};
}

// Accuracy null: it could not be measured.
std::string line(const char* name, const json& accuracy, const std::string& note) {
  char text[160];
  if (accuracy.is_null()) {
    std::snprintf(text, sizeof(text), "  %-9s       –  %s\n", name, note.c_str());
  } else {
    std::snprintf(text, sizeof(text), "  %-9s %6.2f %%  %s\n", name, 100.0 * accuracy.get<double>(),
                  note.c_str());
  }
  return text;
}

// Who sent predictions of the pool cannot be asked about test images.
std::string silent_clients(const json& report) {
  const auto silent = static_cast<std::int64_t>(report.at("clients").size()) -
                      report.at("ensemble").at("measured_clients").get<std::int64_t>();
  if (silent == 0) return "";
  return ", without " + std::to_string(silent) + " that " +
         (silent == 1 ? "keeps its" : "keep their") + " model";
}

// Of those whose model was here to be asked.
json best_client(const json& clients) {
  json best;
  for (const auto& client : clients) {
    const json& accuracy = client.at("test_accuracy");
    if (!accuracy.is_null() && (best.is_null() || accuracy > best)) best = accuracy;
  }
  return best;
}

// What the figures of the ensemble on the test images leave out; nothing where they leave out none.
json note_on_ensemble(const Teaching& teaching) {
  const std::int64_t all = std::ssize(teaching.client_accuracy), asked = measured(teaching);
  if (asked == all) return nullptr;
  return "on the test images the ensemble is that of " + std::to_string(asked) + " of " +
         counted(all, "client") +
         ": who sent predictions instead of a model spoke of the pool alone";
}

json ensemble_json(const Run& run, const Teaching& teaching) {
  return {{"rule", run.job.aggregation.rule},
          {"pool_accuracy", teaching.pool_accuracy},
          {"test_accuracy", json_of(teaching.test_accuracy)},
          {"measured_clients", measured(teaching)},
          {"note", note_on_ensemble(teaching)},
          {"foreign_pool", teaching.foreign_pool}};
}

json only(const json& object, std::initializer_list<const char*> keys) {
  json out;
  for (const char* key : keys) out[key] = object.at(key);
  return out;
}

// "client 50.16, ensemble 87.12, student 87.39", of an earlier round.
std::string round_line(const json& round) {
  char text[160];
  const auto percent = [](const json& of) {
    return of.is_null() ? std::string("–") : std::to_string(of.get<double>() * 100.0).substr(0, 5);
  };
  std::snprintf(text, sizeof(text), "  round %-3d        client %s, ensemble %s, student %s\n",
                round.at("round").get<int>(), percent(best_client(round.at("clients"))).c_str(),
                percent(round.at("ensemble").at("test_accuracy")).c_str(),
                percent(round.at("student").at("test_accuracy")).c_str());
  return text;
}

json warning_list(const Run& run, const Material& material, const RoundOutcome& outcome) {
  const Teaching& teaching = outcome.teaching;
  return result_warnings(run.job, {.foreign_pool = teaching.foreign_pool,
                                   .classes = material.classes(),
                                   .pool_images = material.pool.images.count(),
                                   .student_accuracy = outcome.student.record.test_accuracy,
                                   .ensemble_accuracy = teaching.test_accuracy});
}

std::string warning_lines(const json& report) {
  std::string out;
  for (const json& warning : report.value("warnings", json::array())) {
    out += "warning: " + printable(warning) + "\n";
  }
  return out.empty() ? "" : "\n" + out;
}

// The same run as this outcome is of, and nothing missing in it that is told.
bool tells(const json& report, const RoundOutcome& outcome) {
  if (report.at("student").at("sha256") != outcome.student.record.sha256) return false;
  if (report.at("bundle").at("sha256") != outcome.bundle.record.sha256) return false;
  summary_text(report);
  return true;
}

}  // namespace

json round_summary(const Run& run, const RoundOutcome& outcome) {
  json clients = json::array();
  for (const json& client : client_list(outcome.clients, outcome.teaching, run.job.clients.liars)) {
    clients.push_back(only(client, {"name", "architecture", "mode", "samples", "test_accuracy"}));
  }
  return {{"round", run.round},
          {"clients", std::move(clients)},
          {"ensemble", ensemble_json(run, outcome.teaching)},
          {"student", only(to_json(outcome.student.record),
                           {"architecture", "sha256", "validation_accuracy", "test_accuracy"})},
          {"bundle", only(to_json(outcome.bundle.record), {"sha256", "test_accuracy"})}};
}

json make_report(const Run& run, const Material& material, const RoundOutcome& outcome) {
  const Teaching& teaching = outcome.teaching;
  const auto& shape = material.data.train.images->shape;
  json report;
  report["schema_version"] = kReportSchemaVersion;
  report["status"] = "success";
  report["job"] = job_json(run.job);
  report["job_hash"] = job_hash(run.job);
  report["seed"] = run.job.run.seed;
  report["run"] = run.folder.path().string();
  report["data"] = {{"source", run.job.data.source},
                    {"shape", {shape.channels, shape.height, shape.width}},
                    {"class_names", material.data.train.class_names},
                    {"mean", material.normalisation.mean},
                    {"deviation", material.normalisation.deviation}};
  report["split"] = split_json(material);
  report["clients"] = client_list(outcome.clients, teaching, run.job.clients.liars);
  report["ensemble"] = ensemble_json(run, teaching);
  report["rules"] = teaching.rules;
  report["trust"] = trust_json(teaching.trust);
  report["student"] = to_json(outcome.student.record);
  report["bundle"] = to_json(outcome.bundle.record);
  report["warnings"] = warning_list(run, material, outcome);
  report["samples"] = sample_list(run.job, material, teaching);
  report["rounds"] = recall_rounds(run);
  report["seconds"] = seconds_of_rounds(run);
  report["peak_rss_bytes"] = peak_rss_bytes();
  report["start_to_first_step_seconds"] = nullptr;
  const RunFolder first = run.folder.part(round_folder(run.job, 1));
  first.recall("first_step", [&](const json& saved) {
    report["start_to_first_step_seconds"] = saved.at("seconds").get<double>();
  });
  report["machine"] = machine_json();
  report["machine"]["device"] = device_text(run.device);
  report["versions"] = versions_json();
  return report;
}

void write_report(const RunFolder& folder, const json& report) {
  write_file_atomically(folder.file("report.html"), render_report_html(report));
  write_file_atomically(folder.file("report.json"), json_text(report, 1));
}

std::optional<json> finished_report(const RunFolder& folder, const RoundOutcome& outcome) {
  const auto page = folder.file("report.html");
  auto report = finished_result(folder, "report.json", kMaxReportBytes, [&](const json& found) {
    if (!tells(found, outcome)) return false;
    if (!std::filesystem::exists(page)) write_file_atomically(page, render_report_html(found));
    return true;
  });
  if (report) (*report)["run"] = folder.path().string();
  return report;
}

std::string summary_text(const json& report) {
  const auto& student = report.at("student");
  const auto& bundle = report.at("bundle");
  double seconds = 0.0;
  for (const auto& [stage, spent] : report.at("seconds").items()) seconds += spent.get<double>();
  std::string out = "\nRight on the test images:\n";
  const auto& rounds = report.at("rounds");
  for (std::size_t i = 0; i + 1 < rounds.size(); ++i) out += round_line(rounds[i]);
  out += line(
      "client", best_client(report.at("clients")),
      "the best of " + std::to_string(report.at("ensemble").at("measured_clients").get<int>()));
  out += line("ensemble", report.at("ensemble").at("test_accuracy"),
              printable(report.at("ensemble").at("rule")) + silent_clients(report));
  out += line("student", student.at("test_accuracy"),
              printable(student.at("architecture")) + ", " +
                  counted(student.at("parameters"), "parameter"));
  out += line("bundle", bundle.at("test_accuracy"),
              printable(bundle.at("scheme")) + ", " + grouped(kilobytes(bundle.at("bytes"))) +
                  " kB instead of " + grouped(kilobytes(bundle.at("float_bytes"))) + " kB");
  out.append(warning_lines(report)).append("\n");
  out.append(duration_text(seconds)).append(", peak memory ");
  out += grouped(report.at("peak_rss_bytes").get<std::int64_t>() / 1'000'000) + " MB\nStudent " +
         printable(student.at("sha256")) + "\nReport  " + printable(report.at("run")) +
         "/report.html\n";
  return out;
}

}  // namespace fedstill

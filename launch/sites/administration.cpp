#include "launch/sites/administration.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/sites/rows.h"
#include "launch/sites/status.h"
#include "launch/text_table.h"

namespace fedstill {
namespace {

using nlohmann::json;

json rounds_json(const Coordinator& coordinator, const Store& store) {
  std::map<std::uint32_t, StoredResult> results;
  for (const StoredResult& result : store.results()) results[result.round] = result;
  const std::uint32_t current = coordinator.round().number();
  Rows rows;
  for (std::uint32_t number = current; number >= 1; --number) {
    json decisions = json::array();
    for (const StoredDecision& decision : store.decisions(number)) {
      decisions.push_back({{"what", decision.what}, {"details", decision.details}});
    }
    json row{{"round", number}, {"decisions", std::move(decisions)}};
    row["uploads"] =
        number == current ? coordinator.round().uploads().size() : store.uploads(number).size();
    const auto result = results.find(number);
    row["bundle"] = result == results.end() ? json(nullptr) : json(result->second.bundle.sha256);
    rows.add(std::move(row));
    if (!rows.is_full()) continue;
    rows.leave_out(number - 1);  // without asking the store about each of them
    break;
  }
  return std::move(rows).under("rounds");
}

json clients_json(const Coordinator& coordinator, const Store& store) {
  std::map<std::string, std::string> excluded;
  for (const StoredExclusion& entry : store.exclusions()) excluded[entry.client] = entry.reason;
  const auto& uploads = coordinator.round().uploads();
  return rows_of(coordinator.joins(), "clients", [&](const auto& client, const auto& join) -> json {
    const auto upload = uploads.find(client);
    const auto exclusion = excluded.find(client);
    return {{"client", client},
            {"architecture", join.architecture},
            {"samples", join.sample_count},
            {"mode", name(join.mode)},
            {"first_round", join.round},
            {"update", upload == uploads.end() ? json(nullptr) : json(upload->second)},
            {"has_bundle", coordinator.delivered().contains(client)},
            {"excluded", exclusion == excluded.end() ? json(nullptr) : json(exclusion->second)}};
  });
}

std::string shown(const json& value) {
  return value.is_null() ? "" : printable(value.get<std::string>());
}

std::string rounds_text(const json& answer) {
  std::vector<std::vector<std::string>> rows{{"round", "updates", "how it went", "bundle"}};
  for (const json& round : answer.at("rounds")) {
    std::string how;
    for (const json& decision : round.at("decisions")) {
      how += (how.empty() ? "" : "; ") + shown(decision.at("what"));
      if (const std::string details = shown(decision.at("details")); !details.empty()) {
        how.append(" (").append(details).append(")");
      }
    }
    rows.push_back({std::to_string(round.at("round").get<int>()),
                    std::to_string(round.at("uploads").get<int>()),
                    how.empty() ? "collecting" : how, shown(round.at("bundle")).substr(0, 16)});
  }
  return text_table(std::move(rows));
}

std::string clients_text(const json& answer) {
  std::vector<std::vector<std::string>> rows{
      {"client", "model", "images", "sends", "update", "bundle", "excluded"}};
  for (const json& client : answer.at("clients")) {
    rows.push_back({shown(client.at("client")), shown(client.at("architecture")),
                    grouped(client.at("samples").get<std::int64_t>()), shown(client.at("mode")),
                    shown(client.at("update")).substr(0, 16),
                    client.at("has_bundle").get<bool>() ? "yes" : "",
                    shown(client.at("excluded"))});
  }
  return text_table(std::move(rows));
}

}  // namespace

json Administration::answer(const StatusRequest& request, const std::string& who, Instant now) {
  if (request.what == "status") {
    return status_json(coordinator, job, expected, reception, now);
  }
  if (request.what == "rounds") return rounds_json(coordinator, store);
  if (request.what == "clients") return clients_json(coordinator, store);
  if (request.what == "exclude") {
    reception.exclude(request.argument, "by " + who, now);
    return {{"excluded", request.argument}};
  }
  if (request.what == "readmit") {
    const auto excluded = store.exclusions();
    if (std::ranges::find(excluded, request.argument, &StoredExclusion::client) == excluded.end()) {
      throw std::invalid_argument("[admin] '" + request.argument + "' is not excluded");
    }
    coordinator.readmit(request.argument, now);
    return {{"readmitted", request.argument}};
  }
  if (request.what == "reopen") {
    const Round& round = coordinator.round();
    if (round.state() != Round::State::kFailed) {
      throw std::invalid_argument("[admin] round " + std::to_string(round.number()) +
                                  " has not failed");
    }
    reception.reopen(now);
    return {{"reopened", "round " + std::to_string(round.number())}};
  }
  if (request.what == "log-level") {
    log.set_level(parse_log_level(request.argument));
    return {{"log level", request.argument}};
  }
  throw std::invalid_argument("[admin] unknown request: " + request.what);
}

std::string answer_text(const std::string& what, const json& answer) {
  if (what == "status") return status_text(answer);
  if (what == "rounds") return rounds_text(answer);
  if (what == "clients") return clients_text(answer);
  if (what == "stop") return "the coordinator stops; its state stays\n";
  for (const char* done : {"excluded", "readmitted", "reopened", "log level"}) {
    if (answer.contains(done)) return std::string(done) + " " + shown(answer.at(done)) + "\n";
  }
  return answer.dump() + "\n";
}

}  // namespace fedstill

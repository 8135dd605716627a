#include "launch/sites/status.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "launch/counted.h"
#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/sites/rows.h"
#include "launch/text_table.h"
#include "transport/fetch_progress.h"

namespace fedstill {
namespace {

using nlohmann::json;

double seconds(Instant span) { return std::chrono::duration<double>(span).count(); }

const char* state_name(Round::State state) {
  switch (state) {
    case Round::State::kCollecting:
      return "collecting";
    case Round::State::kClosed:
      return "closed";
    case Round::State::kFailed:
      return "failed";
  }
  return "";
}

// Of the work done in its phase, or of the bytes of its update, since that began.
double per_second(const Round::Facts& facts) {
  const std::uint64_t now = facts.received_bytes > 0 ? facts.received_bytes : facts.done;
  const double span = seconds(facts.progressed - facts.began);
  if (span <= 0 || now <= facts.began_with) return 0;
  return static_cast<double>(now - facts.began_with) / span;
}

json member_json(const Coordinator& coordinator, const std::string& client,
                 const Round::Facts& facts, Instant now) {
  const auto join = coordinator.joins().find(client);
  json out{{"client", client},
           {"state", name(coordinator.round().member(client, now))},
           {"connected", facts.here},
           {"phase", facts.phase},
           {"done", facts.done},
           {"total", facts.total},
           {"received_bytes", facts.received_bytes},
           {"per_second", per_second(facts)},
           {"silent_seconds", seconds(now - facts.seen)}};
  if (join != coordinator.joins().end()) {
    out["architecture"] = join->second.architecture;
    out["samples"] = join->second.sample_count;
    out["mode"] = name(join->second.mode);
  }
  return out;
}

std::string speed_text(double per_second, double unit, const char* name) {
  char text[48] = "";
  if (per_second > 0) std::snprintf(text, sizeof(text), ", %.3g%s/s", per_second / unit, name);
  return text;
}

std::string progress_of(const json& member) {
  const auto done = member.at("done").get<std::uint64_t>();
  const auto total = member.at("total").get<std::uint64_t>();
  const auto bytes = member.at("received_bytes").get<std::uint64_t>();
  const double speed = member.value("per_second", 0.0);
  if (member.at("state") == "uploading") {
    return grouped(static_cast<std::int64_t>(bytes / 1000)) + " kB" +
           speed_text(speed, 1000, " kB");
  }
  if (total == 0) return "";
  const bool fetches = member.at("phase") == kFetchingPhase;
  char text[32];
  std::snprintf(text, sizeof(text), "%.0f %%",
                100.0 * static_cast<double>(done) / static_cast<double>(total));
  return printable(member.at("phase")) + " " + text +
         (fetches ? speed_text(speed, 1000, " kB") : speed_text(speed, 1, ""));
}

// What the round waits for; a coordinator of an older version does not say it all.
std::string deadline_text(const json& status) {
  const double left = status.at("deadline_seconds").get<double>();
  if (left > 0) return duration_text(left) + " to the deadline";
  if (status.at("state") != "collecting" || !status.contains("minimum")) return "past the deadline";
  return "past the deadline: closes with " + counted(status["minimum"].get<int>(), "update") +
         ", fails when nobody gets on for " +
         duration_text(status.at("stalled_after_seconds").get<double>());
}

}  // namespace

json status_json(const Coordinator& coordinator, const std::string& job, std::size_t expected,
                 const Reception& reception, Instant now) {
  const Round& round = coordinator.round();
  json answer{{"job", job},
              {"round", round.number()},
              {"state", state_name(round.state())},
              {"failure", round.failure()},
              {"finished", coordinator.finished()},
              {"deadline_seconds", seconds(round.deadline() - now)},
              {"uploads", round.uploads().size()},
              {"expected", expected},
              {"minimum", round.options().min_clients},
              {"stalled_after_seconds", seconds(round.options().stalled_after)},
              {"clients", round.members().size()},
              {"connections", reception.connections()},
              {"trouble", reception.trouble()},
              {"delivered", coordinator.delivered().size()}};
  answer.update(rows_of(round.members(), "members", [&](const auto& client, const auto& facts) {
    return member_json(coordinator, client, facts, now);
  }));
  return answer;
}

Vitals vitals_of(const Coordinator& coordinator, const Reception& reception, Instant now) {
  const Round& round = coordinator.round();
  Vitals out;
  out.round = round.number();
  out.state = state_name(round.state());
  out.trouble = reception.trouble();
  for (const auto& [client, facts] : round.members()) {
    ++out.members[std::string(name(round.member(client, now)))];
  }
  out.uploads = round.uploads().size();
  out.delivered = coordinator.delivered().size();
  out.deadline_seconds = seconds(round.deadline() - now);
  return out;
}

std::string status_text(const json& status) {
  std::string out = "round " + std::to_string(status.at("round").get<int>()) + " " +
                    printable(status.at("state")) + ", " +
                    std::to_string(status.at("uploads").get<int>()) + " of " +
                    counted(status.at("expected").get<int>(), "update") + " here, " +
                    counted(status.at("clients").get<int>(), "client") + " joined, " +
                    counted(status.at("connections").get<int>(), "connection") + ", ";
  out += deadline_text(status) + "\n";
  if (const std::string why = status.at("failure"); !why.empty()) out += printable(why) + "\n";
  if (const std::string why = status.value("trouble", ""); !why.empty()) {
    out += "nothing can be recorded, so nothing new is taken: " + printable(why) + "\n";
  }
  std::vector<std::vector<std::string>> rows{
      {"client", "state", "model", "sends", "images", "progress", "last heard, s"}};
  for (const json& member : status.at("members")) {
    const bool is_away = member.at("state") == "uploaded" && !member.value("connected", true);
    rows.push_back(
        {printable(member.at("client")), printable(member.at("state")) + (is_away ? ", away" : ""),
         printable(member.value("architecture", "")), printable(member.value("mode", "")),
         grouped(member.value("samples", std::int64_t{0})), progress_of(member),
         grouped(static_cast<std::int64_t>(member.at("silent_seconds").get<double>()))});
  }
  return out + (rows.size() == 1 ? "" : text_table(std::move(rows)));
}

}  // namespace fedstill

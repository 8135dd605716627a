#include "launch/sites/preflight.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "data/data_error.h"
#include "data/readers.h"
#include "launch/failure.h"
#include "launch/input.h"
#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/sites/identity_folder.h"
#include "launch/sites/membership.h"
#include "launch/sites/proxy.h"
#include "launch/sites/task_ahead.h"
#include "launch/sites/way_advice.h"
#include "transport/frame.h"
#include "transport/peer_refused.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostClockSeconds = 60;
constexpr std::uintmax_t kLeastFreeBytes = std::uintmax_t{1} << 30;

// Collects what was found; a check that throws has failed, with what it says.
class Findings {
 public:
  bool check(const char* what, const std::string& advice,
             const std::function<std::string()>& look) {
    json entry{{"check", what}, {"ok", true}};
    try {
      entry["found"] = look();
    } catch (const std::exception& error) {
      entry["ok"] = false;
      entry["found"] = error.what();
      entry["do"] = advice;
      if (all_well_) first_ = failure_of(what, advice);
      all_well_ = false;
    }
    checks_.push_back(entry);
    return entry["ok"];
  }
  json result() const {
    json out{{"ok", all_well_}, {"status", all_well_ ? "success" : "error"}, {"checks", checks_}};
    if (!all_well_) out.update(first_);
    return out;
  }

 private:
  // What everybody is told of it; within its handler.
  static json failure_of(const char* what, const std::string& advice) {
    const Failure failure = describe(std::current_exception());
    return {{"exit_code", static_cast<int>(failure.code)},
            {"message", std::string("[preflight] ") + what + ": " + failure.message},
            {"hint", advice}};
  }

  json checks_ = json::array();
  json first_;  // of the first that failed
  bool all_well_ = true;
};

std::string show_certificate(const std::filesystem::path& identity) {
  require_folder(identity);
  const CertificateSummary certificate = check_credentials(credentials_of(identity));
  if (certificate.role != "client") {
    throw CredentialError(certificate.name + ", role " + certificate.role +
                          ": only a client takes part");
  }
  const std::time_t until = std::chrono::system_clock::to_time_t(certificate.valid_until);
  const auto days = (until - std::time(nullptr)) / 86'400;
  return certificate.name + ", role " + certificate.role + ", " + std::to_string(days) +
         " days left";
}

std::string compare_clocks(std::int64_t theirs) {
  const std::int64_t apart = theirs - static_cast<std::int64_t>(std::time(nullptr));
  if (std::abs(apart) <= kMostClockSeconds) return std::to_string(apart) + " s apart";
  throw RefusedError("this machine's clock and the coordinator's are " + std::to_string(apart) +
                     " s apart: certificates would not be valid");
}

struct WayStep {
  DialError::Step step;
  const char* what;
};
constexpr WayStep kWay[] = {{DialError::Step::kName, "name"},
                            {DialError::Step::kConnect, "TCP"},
                            {DialError::Step::kProxy, "proxy"},
                            {DialError::Step::kTls, "TLS"}};

// How far the way to the coordinator was gone.
struct Way {
  std::unique_ptr<NetworkChannel> channel;
  std::optional<Frame> greeting;
  std::string silence;  // why there is no greeting
  std::optional<DialError> failure;
  std::string advice;
};

// Whether this side is let in shows with the first word of the other one.
void greet(Way& way) {
  try {
    try {
      way.channel->send(
          {Hello{1, kProtocolVersion, "fedstill preflight", task_capabilities()}, {}});
    } catch (const ChannelClosed&) {  // receive() tells why
    }
    way.greeting = way.channel->receive(std::chrono::seconds(10));
    if (!way.greeting) way.silence = "the coordinator does not answer";
  } catch (const PeerRefused& error) {
    way.failure = DialError(DialError::Step::kTls, error.what());
    way.advice = advice_on(error);
  } catch (const ChannelClosed& error) {
    way.silence = error.what();
  }
}

Way go(const PreflightCommand& command, const DialOptions& options) {
  Way way;
  try {
    way.channel =
        dial(parse_endpoint(command.coordinator), credentials_of(command.identity), options);
    greet(way);
  } catch (const DialError& error) {
    way.failure = error;
  } catch (const CredentialError& error) {
    way.failure = DialError(DialError::Step::kTls, error.what());
  } catch (const std::invalid_argument& error) {
    way.failure = DialError(DialError::Step::kName, error.what());
  }
  if (way.failure && way.advice.empty()) way.advice = advice_on(way.failure->step());
  return way;
}

// Tells of every step as far as it came; false where one failed.
bool tell(const Way& way, const PreflightCommand& command, Findings& findings) {
  for (const WayStep& part : kWay) {
    if (part.step == DialError::Step::kProxy && command.proxy.empty()) continue;
    const bool good = findings.check(part.what, way.advice, [&] {
      if (way.failure && way.failure->step() == part.step) throw DialError(*way.failure);
      if (part.step == DialError::Step::kTls) return way.channel->peer().name + " over TLS 1.3";
      const bool is_nearer = !command.proxy.empty() && part.step != DialError::Step::kProxy;
      return is_nearer ? command.proxy : command.coordinator;
    });
    if (!good) return false;
  }
  return true;
}

// Returns what the coordinator asks of a site's data, if it says so.
std::optional<TaskAhead> check_coordinator(const PreflightCommand& command, Findings& findings) {
  DialOptions options;
  options.revoked = command.revoked;
  go_through_proxy(options, command.proxy);
  const Way way = go(command, options);
  if (!tell(way, command, findings)) return std::nullopt;
  Welcome welcome;
  const bool greeted = findings.check("version", "the same version of fedstill on both sides", [&] {
    if (!way.greeting) throw ChannelClosed(way.silence);
    if (const auto* no = std::get_if<Acknowledgement>(&way.greeting->message)) {
      throw RefusedError(no->reason);
    }
    const auto* answer = std::get_if<Welcome>(&way.greeting->message);
    if (answer == nullptr) throw RefusedError("the other side does not say Welcome");
    welcome = *answer;
    return "protocol " + std::to_string(welcome.version) + ", " + welcome.software;
  });
  if (!greeted) return std::nullopt;
  findings.check("clock", "set the clock, for example with chrony",
                 [&] { return compare_clocks(welcome.unix_time); });
  std::optional<TaskAhead> task;
  if (!tells_task(welcome)) return task;
  findings.check("task", "try again; is the coordinator going down?", [&] {
    task = ask_task(*way.channel);
    return to_text(*task);
  });
  return task;
}

std::string check_disk(const PreflightCommand& command) {
  auto folder = std::filesystem::absolute(command.state.empty() ? "." : command.state);
  while (!std::filesystem::exists(folder)) folder = folder.parent_path();
  if (!std::filesystem::is_directory(folder)) {
    throw std::system_error(ENOTDIR, std::generic_category(), folder.string());
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    throw std::system_error(errno, std::generic_category(), folder.string());
  }
  const auto free = std::filesystem::space(folder).available;
  const std::string text = grouped(static_cast<std::int64_t>(free / 1'000'000)) + " MB free";
  if (free < kLeastFreeBytes) throw std::system_error(ENOSPC, std::generic_category(), text);
  return text;
}

}  // namespace

json preflight(const PreflightCommand& command) {
  require_file_if_given(command.revoked);
  Findings findings;
  std::optional<TaskAhead> task;
  if (findings.check("certificate", "fedstill cert request, sign and install",
                     [&] { return show_certificate(command.identity); })) {
    task = check_coordinator(command, findings);
  }
  if (!command.data.empty()) {
    findings.check("data",
                   "--data idx:DIR with train-images-idx3-ubyte (idx4 for colour) and "
                   "train-labels-idx1-ubyte, as the coordinator asks",
                   [&] {
                     const Dataset data = read_labelled(command.data);
                     if (task) check_fits(data, *task);
                     return grouped(data.images->count()) + " images, " + "labels up to " +
                            std::to_string(data.classes() - 1);
                   });
  }
  findings.check("disk", "make room, or choose another --state",
                 [&] { return check_disk(command); });
  return findings.result();
}

std::string preflight_text(const json& found) {
  std::string out;
  for (const json& check : found.at("checks")) {
    const std::string what = check.at("check");
    out += std::string(check.at("ok").get<bool>() ? "ok      " : "FAILED  ") + what +
           std::string(13 - std::min<std::size_t>(12, what.size()), ' ') +
           printable(check.at("found")) + "\n";
    if (check.contains("do")) out += "        → " + check.at("do").get<std::string>() + "\n";
  }
  return out;
}

}  // namespace fedstill

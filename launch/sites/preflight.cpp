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

#include "data/readers.h"
#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/sites/identity_folder.h"
#include "transport/frame.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostClockSeconds = 60;
constexpr std::uintmax_t kLeastFreeBytes = std::uintmax_t{1} << 30;

// Collects what was found; a check that throws has failed, with what it says.
class Findings {
 public:
  bool check(const char* what, const char* advice, const std::function<std::string()>& look) {
    json entry{{"check", what}, {"ok", true}};
    try {
      entry["found"] = look();
    } catch (const std::exception& error) {
      entry["ok"] = false;
      entry["found"] = error.what();
      entry["do"] = advice;
      all_well_ = false;
    }
    checks_.push_back(entry);
    return entry["ok"];
  }
  json result() const { return {{"ok", all_well_}, {"checks", checks_}}; }

 private:
  json checks_ = json::array();
  bool all_well_ = true;
};

std::string show_certificate(const CertificateSummary& certificate) {
  if (certificate.role != "client") {
    throw std::runtime_error(certificate.name + ", role " + certificate.role +
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
  throw std::runtime_error("this machine's clock and the coordinator's are " +
                           std::to_string(apart) + " s apart");
}

struct WayStep {
  DialError::Step step;
  const char *what, *advice;
};
constexpr WayStep kWay[] = {
    {DialError::Step::kName, "name", "the right host name? does this machine's DNS know it?"},
    {DialError::Step::kConnect, "TCP",
     "is the coordinator running, the port right, the firewall open? is a --proxy needed?"},
    {DialError::Step::kProxy, "proxy", "ask whoever runs the proxy for CONNECT to that port"},
    {DialError::Step::kTls, "TLS",
     "certificates of the same authority on both sides, made out to that name, not revoked"}};

// Dials, and tells of every step as far as it came; null where one failed.
std::unique_ptr<NetworkChannel> check_way(const PreflightCommand& command,
                                          const Credentials& credentials, Findings& findings) {
  std::unique_ptr<NetworkChannel> channel;
  std::optional<DialError> failure;
  DialOptions options;
  options.revoked = command.revoked;
  try {
    if (!command.proxy.empty()) options.proxy = parse_endpoint(command.proxy);
    channel = dial(parse_endpoint(command.coordinator), credentials, options);
  } catch (const DialError& error) {
    failure = error;
  } catch (const CredentialError& error) {
    failure = DialError(DialError::Step::kTls, error.what());
  } catch (const std::invalid_argument& error) {
    failure = DialError(DialError::Step::kName, error.what());
  }
  for (const WayStep& way : kWay) {
    if (way.step == DialError::Step::kProxy && !options.proxy) continue;
    const bool good = findings.check(way.what, way.advice, [&] {
      if (failure && failure->step() == way.step) throw *failure;
      if (way.step == DialError::Step::kTls) return channel->peer().name + " over TLS 1.3";
      const bool is_nearer = options.proxy && way.step != DialError::Step::kProxy;
      return is_nearer ? command.proxy : command.coordinator;
    });
    if (!good) break;
  }
  return channel;
}

void check_coordinator(const PreflightCommand& command, const Credentials& credentials,
                       Findings& findings) {
  const std::unique_ptr<NetworkChannel> channel = check_way(command, credentials, findings);
  if (channel == nullptr) return;
  Welcome welcome;
  const bool greeted = findings.check(
      "version",
      "the same version of fedstill on both sides; is this site revoked, or not on the allow list?",
      [&] {
        try {
          channel->send({Hello{1, kProtocolVersion, "fedstill preflight", {}}, {}});
        } catch (const ChannelClosed&) {  // receive() tells why
        }
        const auto frame = channel->receive(std::chrono::seconds(10));
        if (!frame) throw std::runtime_error("the coordinator does not answer");
        if (const auto* no = std::get_if<Acknowledgement>(&frame->message)) {
          throw std::runtime_error(no->reason);
        }
        const auto* answer = std::get_if<Welcome>(&frame->message);
        if (answer == nullptr) throw std::runtime_error("the other side does not say Welcome");
        welcome = *answer;
        return "protocol " + std::to_string(welcome.version) + ", " + welcome.software;
      });
  if (!greeted) return;
  findings.check("clock", "set the clock, for example with chrony",
                 [&] { return compare_clocks(welcome.unix_time); });
}

}  // namespace

json preflight(const PreflightCommand& command) {
  Findings findings;
  const Credentials credentials = credentials_of(command.identity);
  if (findings.check("certificate", "fedstill cert request, sign and install",
                     [&] { return show_certificate(check_credentials(credentials)); })) {
    check_coordinator(command, credentials, findings);
  }
  if (!command.data.empty()) {
    findings.check("data",
                   "--data idx:DIR with train-images-idx3-ubyte and train-labels-idx1-ubyte", [&] {
                     const Dataset data = read_labelled(command.data);
                     return grouped(data.images->count()) + " images, " + "labels up to " +
                            std::to_string(data.classes() - 1);
                   });
  }
  findings.check("disk", "make room, or choose another --state", [&] {
    auto folder = std::filesystem::absolute(command.state.empty() ? "." : command.state);
    while (!std::filesystem::exists(folder)) folder = folder.parent_path();
    if (!std::filesystem::is_directory(folder))
      throw std::runtime_error(folder.string() + " is no folder");
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
      throw std::system_error(errno, std::generic_category(), folder.string());
    }
    const auto free = std::filesystem::space(folder).available;
    std::string text = grouped(static_cast<std::int64_t>(free / 1'000'000)) + " MB free";
    if (free < kLeastFreeBytes) throw std::runtime_error(text);
    return text;
  });
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

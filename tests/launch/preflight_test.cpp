#include "launch/sites/preflight.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "launch/command_line.h"
#include "launch/exit_code.h"
#include "launch/sites/membership.h"
#include "launch/sites/proxy.h"
#include "tests/launch/process.h"
#include "tests/support/environment.h"
#include "tests/support/http_proxy.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/transport/raw_peer.h"
#include "transport/tls/server.h"

namespace fedstill {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Preflight : public ::testing::Test {
 protected:
  // Greets whoever comes, with its clock so many seconds from ours, and says what it asks of data.
  std::unique_ptr<Server> server_that_greets(std::int64_t seconds_apart,
                                             const std::string& task = "") {
    ServerOptions options;
    options.credentials = authority_.coordinator();
    options.access.revoked = revoked_;
    ServerHandlers on;
    on.on_frame = [=](const ConnectionPtr& connection, Frame&& frame) {
      if (std::holds_alternative<StatusRequest>(frame.message)) {
        connection->send({Heartbeat{1, "", 0, 0}, {}});
        const auto bytes = std::as_bytes(std::span(task));
        return static_cast<void>(connection->send({StatusReply{}, {bytes.begin(), bytes.end()}}));
      }
      Welcome welcome;
      if (!task.empty()) welcome.capabilities = std::get<Hello>(frame.message).capabilities;
      welcome.software = "a test";
      welcome.unix_time = std::time(nullptr) + seconds_apart;
      connection->send({welcome, {}});
    };
    auto server = std::make_unique<Server>(options, on);
    server->start();
    return server;
  }
  std::filesystem::path identity_of(const std::string& role) {
    const Credentials own = authority_.issue({.role = role});
    const auto identity = folder_.path() / "identity";
    std::filesystem::create_directories(identity);
    const auto put = [&](const std::filesystem::path& from, const char* name) {
      std::filesystem::copy_file(from, identity / name,
                                 std::filesystem::copy_options::overwrite_existing);
    };
    put(own.certificate, "site.crt");
    put(own.key, "site.key");
    put(own.authority, "ca.crt");
    return identity;
  }
  json look(const std::string& coordinator, const std::string& data = "",
            const std::string& role = "client", const std::string& proxy = "") {
    PreflightCommand command;
    command.proxy = proxy;
    command.coordinator = coordinator;
    command.data = data;
    command.identity = identity_of(role);
    command.state = folder_.path() / "state";
    return preflight(command);
  }
  static std::string at(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }
  static std::vector<std::string> names(const json& found) {
    std::vector<std::string> out;
    for (const json& check : found.at("checks")) out.push_back(check.at("check"));
    return out;
  }
  static ExitCode code_of(const json& found) {
    return static_cast<ExitCode>(found.at("exit_code").get<int>());
  }
  // The one check that failed; everything that failed says what to do.
  static std::string failed(const json& found) {
    std::string out;
    for (const json& check : found.at("checks")) {
      EXPECT_EQ(check.at("ok").get<bool>(), !check.contains("do"));
      if (!check.at("ok")) out += check.at("check").get<std::string>();
    }
    EXPECT_EQ(found.at("ok").get<bool>(), out.empty());
    EXPECT_EQ(found.at("status"), out.empty() ? "success" : "error");
    if (!out.empty()) {
      EXPECT_THAT(found.at("message"), StartsWith("[preflight] "));
      EXPECT_NE(found.at("hint"), "");
    }
    return out;
  }

  TemporaryFolder folder_;
  TestAuthority authority_;
  std::filesystem::path revoked_;  // a list, or none
};

TEST_F(Preflight, ACoordinatorNeedsThatRoleBeforeItBegins) {
  const auto state = folder_.path() / "state";
  const tests::Finished done =
      tests::run_program({"coordinator", "--state", state.string(), "--identity",
                          identity_of("client").string(), "--listen", "127.0.0.1:0"});
  EXPECT_EQ(done.code, 10);
  EXPECT_THAT(done.err, HasSubstr("expected role coordinator"));
  EXPECT_FALSE(std::filesystem::exists(state));
}

TEST_F(Preflight, EveryStepIsToldWhereAllIsWell) {
  const auto server = server_that_greets(0);
  const json found = look(at(server->port()));
  EXPECT_EQ(failed(found), "") << found.dump(1);
  EXPECT_THAT(names(found),
              ElementsAre("certificate", "name", "TCP", "TLS", "version", "clock", "disk"));
  EXPECT_THAT(preflight_text(found), HasSubstr("ok      TLS"));
}

TEST_F(Preflight, SaysHowFarItCame) {
  EXPECT_EQ(failed(look(std::string(70, 'a') + ":7443")), "name");
  EXPECT_EQ(failed(look("no port")), "name");
  EXPECT_EQ(failed(look(at(1))), "TCP");
  EXPECT_EQ(code_of(look(at(1))), ExitCode::kUnreachable);
  Listener listener;  // nobody who speaks TLS
  std::thread closing([&] { listener.accept(); });
  const json found = look(at(listener.port()));
  closing.join();
  EXPECT_EQ(failed(found), "TLS");
  EXPECT_THAT(names(found), ElementsAre("certificate", "name", "TCP", "TLS", "disk"));
  EXPECT_THAT(preflight_text(found), HasSubstr("FAILED  TLS"));
  EXPECT_EQ(code_of(found), ExitCode::kRefused);
}

// Which shows only after the handshake.
TEST_F(Preflight, ARefusedCertificateIsToldWithTheReason) {
  revoked_ = authority_.write("revoked.txt", "");
  const auto server = server_that_greets(0);
  const auto identity = identity_of("client");
  authority_.write("revoked.txt", check_credentials({identity / "site.crt", identity / "site.key",
                                                     identity / "ca.crt"})
                                          .fingerprint +
                                      "\n");
  PreflightCommand command;
  command.coordinator = at(server->port());
  command.identity = identity;
  command.state = folder_.path() / "state";
  // Until the list was read, which also ends a connection that stands just then.
  json found = preflight(command);
  while (failed(found) == "" || failed(found) == "version") found = preflight(command);
  EXPECT_EQ(failed(found), "TLS");
  EXPECT_EQ(code_of(found), ExitCode::kRefused);
  EXPECT_THAT(found.at("message"), HasSubstr("certificate revoked"));
  EXPECT_THAT(found.at("hint"), HasSubstr("a new certificate"));
}

TEST_F(Preflight, ImagesThatDoNotFitAreTold) {
  const auto server = server_that_greets(0, R"({"channels":1,"height":12,"width":16,"classes":3})");
  const auto found_of = [&](const char* data) { return look(at(server->port()), data); };
  const json good = found_of("synthetic:3x1x12x16");
  EXPECT_EQ(failed(good), "");
  EXPECT_THAT(preflight_text(good), HasSubstr("images of 1 × 12 × 16, 3 classes"));
  for (const char* other : {"synthetic:3x1x16x12", "synthetic:3x3x12x16", "synthetic:4x1x12x16"}) {
    const json found = found_of(other);
    EXPECT_EQ(failed(found), "data") << other;
    EXPECT_EQ(code_of(found), ExitCode::kData) << other;
    EXPECT_THAT(found.at("message"), HasSubstr("the coordinator asks for")) << other;
  }
}

TEST_F(Preflight, WhatIsAskedForMayBeNonsense) {
  for (const char* task : {"[]", "{", R"({"channels":"x"})"}) {
    const auto server = server_that_greets(0, task);
    EXPECT_EQ(failed(look(at(server->port()))), "task") << task;
  }
}

TEST_F(Preflight, AMissingIdentityIsAMissingInput) {
  PreflightCommand command;
  command.coordinator = at(1);
  command.identity = folder_.path() / "nothing";
  command.state = folder_.path();
  EXPECT_EQ(failed(preflight(command)), "certificate");
  EXPECT_EQ(code_of(preflight(command)), ExitCode::kData);
}

TEST_F(Preflight, AClockThatIsWrongIsTold) {
  const auto server = server_that_greets(3600);
  const json found = look(at(server->port()));
  EXPECT_EQ(failed(found), "clock");
  EXPECT_THAT(preflight_text(found), HasSubstr("3600 s apart"));
}

TEST_F(Preflight, WhoIsNoClientTakesNoPart) {
  const auto server = server_that_greets(0);
  const json found = look(at(server->port()), "", "admin");
  EXPECT_EQ(failed(found), "certificate");
  EXPECT_THAT(preflight_text(found), HasSubstr("only a client takes part"));
  EXPECT_EQ(code_of(found), ExitCode::kRefused);
}

// The coordinator's address is one that only the proxy knows.
TEST_F(Preflight, TheWayThroughAProxyIsToldStepByStep) {
  const auto server = server_that_greets(0);
  const Relay proxy(server->port(), proxy_with_password());
  const auto found_through = [&](std::uint16_t port) {
    return look(at(1), "", "client", at(port));
  };
  const Variable authorization(kProxyAuthorization, "user:secret");
  json found = found_through(proxy.port());
  EXPECT_EQ(failed(found), "") << found.dump(1);
  EXPECT_THAT(names(found), ElementsAre("certificate", "name", "TCP", "proxy", "TLS", "version",
                                        "clock", "disk"));
  EXPECT_EQ(found.at("checks").at(2).at("found"), at(proxy.port()));
  EXPECT_EQ(found.at("checks").at(3).at("found"), at(1));
  EXPECT_EQ(failed(found_through(1)), "TCP");
  Membership membership{.coordinator = at(1), .identity = folder_.path() / "identity", .state = {}};
  membership.proxy = at(proxy.port());
  EXPECT_EQ(find_dial_problem(membership), "");  // as a client or a region dials
  {
    const Variable wrong(kProxyAuthorization, "user:guess");
    found = found_through(proxy.port());
    EXPECT_EQ(failed(found), "proxy");
    EXPECT_THAT(found.at("message"), HasSubstr("407 Proxy Authentication Required"));
    EXPECT_THAT(found.at("message"), Not(HasSubstr("guess")));
    EXPECT_THAT(found.at("hint"), HasSubstr(kProxyAuthorization));
    EXPECT_EQ(code_of(found), ExitCode::kUnreachable);
  }
  const Variable nonsense(kProxyAuthorization, "secret");
  EXPECT_THROW(found_through(proxy.port()), UsageError);
  EXPECT_EQ(failed(look(at(server->port()))), "");  // nobody asks for it
}

TEST_F(Preflight, AStateBelowAFileIsTold) {
  const auto server = server_that_greets(0);
  authority_.write("file", "");
  PreflightCommand command;
  command.coordinator = at(server->port());
  command.identity = identity_of("client");
  command.state = authority_.folder() / "file" / "state";
  const json found = preflight(command);
  EXPECT_EQ(failed(found), "disk");
  EXPECT_THAT(found.at("message"), HasSubstr("Not a directory"));
}

TEST_F(Preflight, AStateThatCannotBeWrittenIsTold) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  const auto server = server_that_greets(0);
  std::filesystem::create_directory(folder_.path() / "state");
  std::filesystem::permissions(folder_.path() / "state", std::filesystem::perms::owner_read);
  EXPECT_EQ(failed(look(at(server->port()))), "disk");
}

TEST_F(Preflight, DataThatCannotBeReadIsTold) {
  const auto server = server_that_greets(0);
  const json found = look(at(server->port()), "idx:" + (folder_.path() / "nothing").string());
  EXPECT_EQ(failed(found), "data");
  EXPECT_EQ(code_of(found), ExitCode::kData);
}

}  // namespace
}  // namespace fedstill

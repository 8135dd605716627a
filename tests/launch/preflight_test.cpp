#include "launch/sites/preflight.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "launch/command_line.h"
#include "tests/launch/process.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/transport/raw_peer.h"
#include "transport/tls/server.h"

namespace fedstill {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Preflight : public ::testing::Test {
 protected:
  // Greets whoever comes, with its clock so many seconds from ours.
  std::unique_ptr<Server> server_that_greets(std::int64_t seconds_apart) {
    ServerOptions options;
    options.credentials = authority_.coordinator();
    ServerHandlers on;
    on.on_frame = [seconds_apart](const ConnectionPtr& connection, Frame&&) {
      Welcome welcome;
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
            const std::string& role = "client") {
    PreflightCommand command;
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
  // The one check that failed; everything that failed says what to do.
  static std::string failed(const json& found) {
    std::string out;
    for (const json& check : found.at("checks")) {
      EXPECT_EQ(check.at("ok").get<bool>(), !check.contains("do"));
      if (!check.at("ok")) out += check.at("check").get<std::string>();
    }
    EXPECT_EQ(found.at("ok").get<bool>(), out.empty());
    return out;
  }

  TemporaryFolder folder_;
  TestAuthority authority_;
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
  Listener listener;  // nobody who speaks TLS
  std::thread closing([&] { listener.accept(); });
  const json found = look(at(listener.port()));
  closing.join();
  EXPECT_EQ(failed(found), "TLS");
  EXPECT_THAT(names(found), ElementsAre("certificate", "name", "TCP", "TLS", "disk"));
  EXPECT_THAT(preflight_text(found), HasSubstr("FAILED  TLS"));
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
  EXPECT_EQ(failed(look(at(server->port()), "idx:" + (folder_.path() / "nothing").string())),
            "data");
}

}  // namespace
}  // namespace fedstill

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/test_certificates.h"
#include "tests/transport/frames.h"
#include "tests/transport/raw_peer.h"
#include "tests/transport/server_channel.h"
#include "transport/peer_refused.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class TlsRefusals : public testing::Test {
 protected:
  ServerOptions options() {
    ServerOptions options;
    options.credentials = coordinator_;
    options.limits.close_timeout = milliseconds{500};
    options.access.look_every = milliseconds{5};
    options.wall = [this] { return std::chrono::system_clock::now() + later_.load(); };
    return options;
  }
  void serve(const ServerOptions& options) { server_ = std::make_unique<TestServer>(options); }
  void SetUp() override { serve(options()); }

  Endpoint endpoint() const { return {"127.0.0.1", server_->port()}; }
  std::unique_ptr<NetworkChannel> dial_as(const Credentials& who, const DialOptions& how = {}) {
    return dial(endpoint(), who, how);
  }
  // A peer that believes in anything and shows these credentials, or none.
  void expect_refused(const RawTlsOptions& peer, const std::string& why) {
    RawTls raw(RawSocket(server_->port()), peer);
    raw.handshake();  // in TLS 1.3 the client learns only afterwards
    EXPECT_TRUE(raw.is_closed_by_peer());
    EXPECT_THAT(server_->next_refusal(), HasSubstr(why));
    expect_still_serving();
  }
  void expect_still_serving() {
    const auto client = dial_as(client_);
    client->send(hello());
    EXPECT_EQ(server_->accept()->receive(kLong)->message, hello().message);
    EXPECT_EQ(server_->counters().connections, 1);
  }
  // The server refuses only after the client's handshake is complete.
  void expect_turned_away(NetworkChannel& client, const std::string& why) {
    try {
      static_cast<void>(client.receive(kLong));
      FAIL() << "was let in";
    } catch (const ChannelClosed& closed) {
      EXPECT_THAT(closed.what(), HasSubstr(why));
      const auto* refused = dynamic_cast<const PeerRefused*>(&closed);
      EXPECT_EQ(refused == nullptr ? "" : "refused: " + refused->reason(),
                why.starts_with("refused: ") ? why : "");
    }
  }
  std::string dial_error(const Endpoint& where, DialError::Step step, const DialOptions& how = {}) {
    try {
      dial(where, client_, how);
    } catch (const DialError& error) {
      EXPECT_EQ(error.step(), step) << error.what();
      return error.what();
    }
    return "no error";
  }
  // What dial() says of a server with these credentials.
  std::string dial_error_of(const Credentials& posing, int max_version = 0) {
    Listener listener;
    std::thread serving([&] {
      RawTls raw(std::move(*listener.accept()),
                 {.own = posing, .authority = {}, .is_server = true, .max_version = max_version});
      raw.handshake();
    });
    const std::string error = dial_error({"127.0.0.1", listener.port()}, DialError::Step::kTls);
    serving.join();
    return error;
  }

  TestAuthority authority_, other_authority_;
  Credentials coordinator_ = authority_.coordinator(), client_ = authority_.client();
  std::atomic<std::chrono::hours> later_{};  // than it is
  std::unique_ptr<TestServer> server_;
};

TEST_F(TlsRefusals, PlaintextOnTheTlsPort) {
  for (const auto& bytes : {encode_frame(hello()), some_bytes(1000)}) {
    RawSocket raw(server_->port());
    raw.send(bytes);
    EXPECT_TRUE(raw.is_closed_by_peer());
    EXPECT_THAT(server_->next_refusal(), HasSubstr("[tls]"));
  }
  expect_still_serving();
}

TEST_F(TlsRefusals, AnOlderTls) {
  expect_refused({.own = client_, .authority = {}, .max_version = TLS1_2_VERSION}, "protocol");
}

TEST_F(TlsRefusals, NoCertificate) {
  expect_refused({.own = {}, .authority = {}}, "did not return a certificate");
}

TEST_F(TlsRefusals, ASelfSignedCertificate) {
  expect_refused({.own = authority_.issue({.self_signed = true}), .authority = {}}, "self-signed");
}

TEST_F(TlsRefusals, ACertificateOfAnotherAuthority) {
  expect_refused({.own = other_authority_.client(), .authority = {}}, "signature failure");
}

TEST_F(TlsRefusals, ACertificateThatIsNotValidNow) {
  using std::chrono::seconds;
  expect_refused({.own = authority_.issue({.valid_until = seconds{-60}}), .authority = {}},
                 "expired");
  expect_refused({.own = authority_.issue({.valid_from = seconds{600}}), .authority = {}},
                 "not yet valid");
}

TEST_F(TlsRefusals, ACertificateMeantForServersOnly) {
  expect_refused({.own = authority_.issue({.usage = "serverAuth"}), .authority = {}}, "purpose");
}

TEST_F(TlsRefusals, AnUnknownRoleOrNoProperName) {
  expect_refused({.own = authority_.issue({.role = "stranger"}), .authority = {}}, "stranger");
  expect_refused({.own = coordinator_, .authority = {}}, "role \"coordinator\"");
  expect_refused({.own = authority_.issue({.name = "../etc"}), .authority = {}}, "names nobody");
}

TEST_F(TlsRefusals, RevokedWhileConnectedAndAfterwards) {
  ServerOptions with_list = options();
  with_list.access.revoked = authority_.write("revoked.txt", "# nobody yet\n");
  serve(with_list);
  const auto client = dial_as(client_);
  const auto accepted = server_->accept();
  authority_.write("revoked.txt", check_credentials(client_).fingerprint + "  # site-1\n");
  EXPECT_EQ(server_->next_closed().cause, CloseCause::kAccess);
  expect_turned_away(*client, "the peer closed");  // only a new handshake tells why
  expect_turned_away(*dial_as(client_), "refused: certificate revoked");
  EXPECT_THAT(server_->next_refusal(), HasSubstr("revoked"));
  const auto other = dial_as(authority_.client("site-2"));
  EXPECT_EQ(server_->accept()->connection()->peer().name, "site-2");
}

TEST_F(TlsRefusals, NotOnTheAllowListWhileConnectedAndAfterwards) {
  ServerOptions with_list = options();
  with_list.access.allowed = authority_.write("allowed.txt", "site-1\n");
  serve(with_list);
  expect_turned_away(*dial_as(authority_.client("site-2")), "refused: bad certificate");
  EXPECT_THAT(server_->next_refusal(), HasSubstr("allow-list"));
  const auto client = dial_as(client_);
  const auto accepted = server_->accept();
  authority_.write("allowed.txt", "site-2\n");
  EXPECT_EQ(server_->next_closed().cause, CloseCause::kAccess);
  const auto other = dial_as(authority_.client("site-2"));
  EXPECT_EQ(server_->accept()->connection()->peer().name, "site-2");
}

TEST_F(TlsRefusals, WhoseCertificateExpiresWhileConnectedIsLeft) {
  const auto longer = dial_as(authority_.issue({.name = "site-2", .valid_until = kNoEnd}));
  const auto longer_end = server_->accept();
  const auto client = dial_as(client_);  // for an hour
  const auto accepted = server_->accept();
  client->send(hello());
  EXPECT_EQ(accepted->receive(kLong)->message, hello().message);
  later_ = std::chrono::hours(2);
  const auto closed = server_->next_closed();
  EXPECT_EQ(closed.cause, CloseCause::kAccess);
  EXPECT_EQ(closed.reason, "its certificate has expired");
  expect_turned_away(*client, "the peer closed");
  longer->send(hello());
  EXPECT_EQ(longer_end->receive(kLong)->message, hello().message);
}

TEST_F(TlsRefusals, WhoseAuthorityExpiresWhileConnectedIsLeft) {
  TestAuthority brief(std::chrono::hours(1));
  ServerOptions of_brief = options();
  of_brief.credentials = brief.coordinator();
  serve(of_brief);
  const auto client = dial_as(brief.issue({.valid_until = kNoEnd}));
  const auto accepted = server_->accept();
  later_ = std::chrono::hours(2);
  EXPECT_EQ(server_->next_closed().reason, "its certificate has expired");
}

TEST_F(TlsRefusals, ADamagedListChangesNothingAndIsReported) {
  ServerOptions with_list = options();
  with_list.access.revoked =
      authority_.write("revoked.txt", check_credentials(client_).fingerprint + "\n");
  serve(with_list);
  authority_.write("revoked.txt", "what is this\n");
  EXPECT_THAT(server_->next_warning(), HasSubstr("line 1"));
  std::filesystem::remove(with_list.access.revoked);
  EXPECT_THAT(server_->next_warning(), HasSubstr("cannot be read"));
  expect_turned_away(*dial_as(client_), "refused: certificate revoked");
}

TEST_F(TlsRefusals, ARenewedCertificateIsTakenUpWhileTheServerRuns) {
  const auto file = [&](const char* name) { return authority_.folder() / name; };
  const auto install = [&](const std::filesystem::path& from, const char* name) {
    std::filesystem::copy_file(from, file("new"));
    std::filesystem::rename(file("new"), file(name));
  };
  install(coordinator_.certificate, "server.crt");
  install(coordinator_.key, "server.key");
  ServerOptions with_files = options();
  with_files.credentials = {file("server.crt"), file("server.key"), coordinator_.authority};
  serve(with_files);
  const auto old_client = dial_as(client_);
  const auto old_end = server_->accept();
  const std::string old_fingerprint = old_client->peer().fingerprint;

  const Credentials renewed = authority_.coordinator();
  install(renewed.certificate, "server.crt");  // with the old key it fits nothing
  EXPECT_THAT(server_->next_warning(), HasSubstr("stays as it was"));
  EXPECT_EQ(dial_as(client_)->peer().fingerprint, old_fingerprint);
  install(renewed.key, "server.key");
  const std::string expected = check_credentials(renewed).fingerprint;
  const auto until = std::chrono::steady_clock::now() + kLong;
  std::string found;
  while (found != expected && std::chrono::steady_clock::now() < until) {
    found = dial_as(client_)->peer().fingerprint;
  }
  EXPECT_EQ(found, expected);
  old_client->send(hello());  // who is in stays in
  EXPECT_EQ(old_end->receive(kLong)->message, hello().message);
}

TEST_F(TlsRefusals, AClientLeavesAServerThatIsRevokedAndDialsItNoMore) {
  DialOptions with_list;
  with_list.revoked = authority_.write("revoked.txt", "# nobody yet\n");
  const auto client = dial_as(client_, with_list);
  const auto accepted = server_->accept();
  client->send(hello());
  EXPECT_EQ(accepted->receive(kLong)->message, hello().message);
  EXPECT_FALSE(client->receive(milliseconds{1}));
  authority_.write("revoked.txt", check_credentials(coordinator_).fingerprint + "\n");
  expect_turned_away(*client, "its certificate is revoked");
  EXPECT_EQ(server_->next_closed().cause, CloseCause::kPeer);
  EXPECT_THAT(dial_error(endpoint(), DialError::Step::kTls, with_list), HasSubstr("revoked"));
  authority_.write("revoked.txt", "what is this\n");
  EXPECT_THROW(dial_as(client_, with_list), CredentialError);
}

TEST_F(TlsRefusals, DialSeesThroughAServerThatIsNotTheOne) {
  const auto coordinator_for = [](std::vector<std::string> hosts) {
    return TestAuthority::Wish{
        .name = "localhost", .role = "coordinator", .hosts = hosts, .usage = "serverAuth"};
  };
  EXPECT_THAT(dial_error_of(authority_.issue(coordinator_for({"elsewhere.example"}))),
              HasSubstr("mismatch"));
  EXPECT_THAT(dial_error_of(authority_.issue(coordinator_for({"10.0.0.1"}))),
              HasSubstr("mismatch"));
  EXPECT_THAT(dial_error_of(authority_.issue(coordinator_for({}))), HasSubstr("mismatch"));
  EXPECT_THAT(dial_error_of(other_authority_.coordinator()), HasSubstr("signature failure"));
  auto wish = coordinator_for({"127.0.0.1"});
  wish.valid_until = std::chrono::seconds{-60};
  EXPECT_THAT(dial_error_of(authority_.issue(wish)), HasSubstr("expired"));
  wish = coordinator_for({"127.0.0.1"});
  wish.self_signed = true;
  EXPECT_THAT(dial_error_of(authority_.issue(wish)), HasSubstr("self-signed"));
  EXPECT_THAT(dial_error_of(coordinator_, TLS1_2_VERSION), HasSubstr("protocol version"));
}

TEST_F(TlsRefusals, AClientCannotPoseAsTheCoordinator) {
  TestAuthority::Wish wish{.hosts = {"127.0.0.1"}};
  EXPECT_THAT(dial_error_of(authority_.issue(wish)), HasSubstr("purpose"));
  wish.usage.clear();
  EXPECT_THAT(dial_error_of(authority_.issue(wish)), HasSubstr("role \"client\""));
}

TEST_F(TlsRefusals, TheServerNameMayDifferFromTheAddress) {
  DialOptions how;
  how.server_name = "localhost";
  EXPECT_EQ(dial_as(client_, how)->peer().name, "coordinator");
  how.server_name = "elsewhere.example";
  EXPECT_THAT(dial_error(endpoint(), DialError::Step::kTls, how), HasSubstr("elsewhere.example"));
}

TEST_F(TlsRefusals, DialSaysWhichStepFailed) {
  EXPECT_THAT(dial_error({"no-such-host.invalid", 1}, DialError::Step::kName),
              HasSubstr("no-such-host.invalid"));
  std::uint16_t free_port = 0;
  {
    const Listener listener;
    free_port = listener.port();
  }
  EXPECT_THAT(dial_error({"127.0.0.1", free_port}, DialError::Step::kConnect),
              HasSubstr("refused"));
  const Listener silent;
  DialOptions how;
  how.connect_timeout = milliseconds{30};
  EXPECT_THAT(dial_error({"127.0.0.1", silent.port()}, DialError::Step::kTls, how),
              HasSubstr("in time"));
}

TEST_F(TlsRefusals, TheOpensslProgramIsAPeerLikeAnyOther) {
  if (std::system("openssl version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl program";
  const auto frame = encode_frame(chunk_frame(7, some_bytes(100'000)));
  const auto path = authority_.folder() / "frame";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(frame.data()),
             static_cast<std::streamsize>(frame.size()));
  const std::string command =
      "openssl s_client -quiet -verify_return_error -tls1_3 -connect 127.0.0.1:" +
      std::to_string(server_->port()) + " -CAfile " + client_.authority.string() + " -cert " +
      client_.certificate.string() + " -key " + client_.key.string() + " < " + path.string() +
      " > /dev/null 2>&1";
  std::thread program([&] { EXPECT_EQ(std::system(command.c_str()), 0); });
  const auto accepted = server_->accept();
  EXPECT_EQ(accepted->receive(kLong)->body, some_bytes(100'000));
  accepted->close();
  program.join();
}

}  // namespace
}  // namespace fedstill

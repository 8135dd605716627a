#include "launch/sites/membership.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/clock.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/transport/raw_peer.h"
#include "transport/peer_refused.h"
#include "transport/tls/server.h"

// How a client, or a region's coordinator, dials.
namespace fedstill {
namespace {

namespace fs = std::filesystem;

class DiallerTest : public ::testing::Test {
 protected:
  DiallerTest() { put(authority_.client()); }

  // The coordinator's part, with a certificate for these hosts; says `bytes` to whoever comes.
  void serve(const std::vector<std::string>& hosts, std::size_t bytes = 1) {
    ServerOptions options;
    options.credentials = authority_.issue(
        {.name = "hub", .role = "coordinator", .hosts = hosts, .usage = "serverAuth"});
    ServerHandlers on;
    on.on_open = [bytes](const ConnectionPtr& connection) {
      connection->send({StatusReply{}, std::vector<std::byte>(bytes)});
    };
    server_ = std::make_unique<Server>(options, on);
    server_->start();
  }
  Membership to(std::uint16_t port) const {
    return {.coordinator = "127.0.0.1:" + std::to_string(port),
            .identity = identity_,
            .state = folder_.path() / "state"};
  }
  void put(const Credentials& own) const {
    fs::create_directories(identity_);
    for (const auto& [from, name] : {std::pair{own.certificate, "site.crt"},
                                     {own.key, "site.key"},
                                     {own.authority, "ca.crt"}}) {
      fs::copy_file(from, identity_ / name, fs::copy_options::overwrite_existing);
    }
  }
  // What a try ends with: time may mend it, or not.
  enum class End { kConnected, kCut, kNotAccepted, kOwnFault };
  static End dial_with(Dialler& dialler) {
    try {
      dialler();
      return End::kConnected;
    } catch (const NotAccepted&) {
      return End::kNotAccepted;
    } catch (const ChannelClosed&) {
      return End::kCut;
    } catch (const CredentialError&) {
      return End::kOwnFault;
    }
  }

  TemporaryFolder folder_;
  TestAuthority authority_;
  fs::path identity_ = folder_.path() / "identity";
  std::unique_ptr<Server> server_;
};

// A coordinator behind a port that is forwarded, while it is away, or one that shuts out.
TEST_F(DiallerTest, HandshakesThatAreCutAreTriedForEver) {
  Listener listener;
  std::thread closing([&] {
    while (listener.accept()) {
    }
  });
  Dialler dialler(to(listener.port()));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(dial_with(dialler), End::kCut) << i;
  listener.stop();
  closing.join();
}

TEST_F(DiallerTest, ACertificateThatIsNotAcceptedIsToldApart) {
  serve({"elsewhere.example"});
  Dialler dialler(to(server_->port()));
  EXPECT_EQ(dial_with(dialler), End::kNotAccepted);
}

TEST_F(DiallerTest, ARevokedCoordinatorIsNotAccepted) {
  serve({"127.0.0.1"});
  Membership membership = to(server_->port());
  Dialler before(membership);
  const std::string fingerprint = dynamic_cast<NetworkChannel&>(*before()).peer().fingerprint;
  membership.revoked = authority_.write("revoked.txt", fingerprint + "\n");
  Dialler dialler(membership);
  EXPECT_EQ(dial_with(dialler), End::kNotAccepted);
}

TEST_F(DiallerTest, OnesOwnCertificateMayBeRenewedMeanwhile) {
  serve({"127.0.0.1"});
  Dialler dialler(to(server_->port()));
  EXPECT_EQ(dial_with(dialler), End::kConnected);
  fs::remove(identity_ / "site.key");
  EXPECT_EQ(dial_with(dialler), End::kCut);
  Dialler fresh(to(server_->port()));
  EXPECT_EQ(dial_with(fresh), End::kOwnFault);
  put(authority_.client());
  EXPECT_EQ(dial_with(dialler), End::kConnected);
}

TEST_F(DiallerTest, TheSpeedIsLimited) {
  constexpr std::size_t kBytes = 150'000;
  serve({"127.0.0.1"}, kBytes);
  Membership membership = to(server_->port());
  membership.bytes_per_second = 100'000;
  Dialler dialler(membership);
  const auto channel = dialler();
  const auto begin = Clock::now();
  const auto frame = channel->receive(std::chrono::minutes(1));
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->body.size(), kBytes);
  EXPECT_GT(seconds_since(begin), 0.25);  // half a second: one's worth passes at once
}

}  // namespace
}  // namespace fedstill

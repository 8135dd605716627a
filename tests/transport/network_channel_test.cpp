#include <gtest/gtest.h>

#include <thread>

#include "tests/support/http_proxy.h"
#include "tests/support/test_certificates.h"
#include "tests/transport/channel_backend.h"
#include "tests/transport/frames.h"
#include "tests/transport/server_channel.h"
#include "transport/tls/dial.h"
#include "transport/tls/server_connection.h"
#include "transport/tls/socket_channel.h"

namespace fedstill {
namespace {

// Keeps the server for as long as either end is in use.
template <typename End>
class WithServer : public Channel {
 public:
  WithServer(std::shared_ptr<TestServer> server, std::unique_ptr<End> end)
      : server_(std::move(server)), end_(std::move(end)) {}
  void send(const Frame& frame) override { end_->send(frame); }
  std::optional<Frame> receive(std::chrono::milliseconds wait) override {
    return end_->receive(wait);
  }
  void close() override { end_->close(); }

 private:
  std::shared_ptr<TestServer> server_;
  std::unique_ptr<End> end_;
};

TestAuthority& authority() {
  static TestAuthority the_authority;
  return the_authority;
}

struct Ends {
  std::shared_ptr<TestServer> server;
  std::unique_ptr<NetworkChannel> client;
  std::unique_ptr<ServerChannel> accepted;
};

Ends connect(const FrameLimits& limits, bool encrypted) {
  static const Credentials kCoordinator = authority().coordinator(), kClient = authority().client();
  ServerOptions options;
  options.limits.frame = limits;
  options.limits.max_outbox_bytes = std::size_t{64} << 20;
  options.limits.close_timeout = std::chrono::milliseconds{500};
  if (encrypted) options.credentials = kCoordinator;
  Ends ends;
  ends.server = std::make_shared<TestServer>(options);
  const Endpoint endpoint{"127.0.0.1", ends.server->port()};
  DialOptions dialing;
  dialing.limits = limits;
  ends.client = encrypted ? dial(endpoint, kClient, dialing) : dial_plain(endpoint, dialing);
  ends.accepted = ends.server->accept();
  return ends;
}

ChannelBackend client_first(const std::string& name, bool encrypted) {
  return {name, [encrypted](const FrameLimits& limits) {
            Ends ends = connect(limits, encrypted);
            auto* const client = dynamic_cast<SocketChannel*>(ends.client.get());
            return ConnectedEnds{
                std::make_unique<WithServer<NetworkChannel>>(ends.server, std::move(ends.client)),
                std::make_unique<WithServer<ServerChannel>>(ends.server, std::move(ends.accepted)),
                [client](std::vector<std::byte> bytes) { client->send_bytes(bytes, {}); }};
          }};
}

ChannelBackend server_first(const std::string& name, bool encrypted) {
  return {name, [encrypted](const FrameLimits& limits) {
            Ends ends = connect(limits, encrypted);
            const auto accepted =
                std::dynamic_pointer_cast<ServerConnection>(ends.accepted->connection());
            return ConnectedEnds{
                std::make_unique<WithServer<ServerChannel>>(ends.server, std::move(ends.accepted)),
                std::make_unique<WithServer<NetworkChannel>>(ends.server, std::move(ends.client)),
                [accepted](std::vector<std::byte> bytes) {
                  accepted->send_bytes(std::move(bytes), {});
                }};
          }};
}

}  // namespace

std::vector<ChannelBackend> network_backends() {
  return {client_first("plain", false), client_first("tls", true),
          server_first("plain_server", false), server_first("tls_server", true)};
}

namespace {

TEST(NetworkChannel, EachSideKnowsTheOtherFromItsCertificate) {
  const Ends ends = connect({}, true);
  EXPECT_EQ(ends.client->peer().name, "coordinator");
  EXPECT_EQ(ends.client->peer().role, "coordinator");
  const PeerIdentity& client = ends.accepted->connection()->peer();
  EXPECT_EQ(client.name, "site-1");
  EXPECT_EQ(client.role, "client");
  EXPECT_TRUE(is_sha256(client.fingerprint));
  EXPECT_TRUE(client.address.starts_with("127.0.0.1:")) << client.address;
}

TEST(NetworkChannel, EncryptsThroughAnHttpProxy) {
  const Ends direct = connect({}, true);
  const Relay relay(direct.server->port(), proxy_with_password());
  DialOptions how;
  how.server_name = "localhost";
  how.proxy = Endpoint{"127.0.0.1", relay.port()};
  how.proxy_authorization = "user:secret";
  const auto client = dial({"far.example", 7000}, authority().client("site-2"), how);
  const auto accepted = direct.server->accept();
  EXPECT_EQ(accepted->connection()->peer().name, "site-2");
  client->send(chunk_frame(3, some_bytes(100'000)));
  EXPECT_EQ(accepted->receive(std::chrono::seconds{60})->body, some_bytes(100'000));
  EXPECT_GT(relay.passed_upstream(), 100'000U);
}

TEST(NetworkChannel, SeveralThreadsSendWholeFrames) {
  const Ends ends = connect({}, true);
  std::vector<std::thread> senders;
  for (unsigned sender = 0; sender < 4; ++sender) {
    senders.emplace_back([&, sender] {
      for (int i = 0; i < 20; ++i) {
        ends.client->send(chunk_frame(sender, some_bytes(100'000, sender)));
      }
    });
  }
  std::vector<int> seen(4);
  for (int i = 0; i < 80; ++i) {
    const auto frame = ends.accepted->receive(std::chrono::seconds{60});
    ASSERT_TRUE(frame);
    const auto sender = static_cast<unsigned>(std::get<BlobChunk>(frame->message).offset);
    EXPECT_EQ(frame->body, some_bytes(100'000, sender));
    ++seen.at(sender);
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_EQ(seen, (std::vector<int>{20, 20, 20, 20}));
}

TEST(NetworkChannel, TheReasonOfARefusalArrivesAlthoughSendingFails) {
  Ends ends = connect({}, true);
  ends.accepted->connection()->send({Acknowledgement{1, "", false, "no more"}, {}});
  ends.accepted->connection()->close("done");
  EXPECT_THROW(
      {
        for (int i = 0; i < 100'000; ++i) ends.client->send(chunk_frame(1, some_bytes(100'000)));
      },
      ChannelClosed);
  const auto frame = ends.client->receive(std::chrono::seconds{60});
  ASSERT_TRUE(frame);
  EXPECT_EQ(std::get<Acknowledgement>(frame->message).reason, "no more");
  EXPECT_THROW(static_cast<void>(ends.client->receive(std::chrono::seconds{60})), ChannelClosed);
}

}  // namespace
}  // namespace fedstill

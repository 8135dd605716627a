#include "transport/tls/server.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <optional>
#include <semaphore>
#include <thread>

#include "tests/support/http_proxy.h"
#include "tests/transport/frames.h"
#include "tests/transport/raw_peer.h"
#include "tests/transport/server_channel.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

ServerOptions quick_options() {
  ServerOptions options;
  options.limits.close_timeout = milliseconds{400};
  return options;
}

std::unique_ptr<NetworkChannel> connect(std::uint16_t port, const DialOptions& how = {}) {
  return dial_plain({"127.0.0.1", port}, how);
}

TEST(Server, SaysWhichPortItCannotHave) {
  const TestServer first{quick_options()};
  ServerOptions same = quick_options();
  same.listen.port = first.port();
  try {
    const Server second(same, {});
    FAIL() << "two servers on one port";
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(first.port())));
  }
  same.listen = {"no-such-host.invalid", 1};
  EXPECT_THROW(Server(same, {}), std::system_error);
}

TEST(Server, RefusesLimitsThatContradict) {
  ServerOptions options;
  options.limits.bytes_per_second = 100;
  options.limits.min_bytes_per_second = 100;
  EXPECT_THROW(Server(options, {}), std::invalid_argument);
  options = quick_options();
  options.limits.idle_timeout = milliseconds{0};
  EXPECT_THROW(Server(options, {}), std::invalid_argument);
}

TEST(Server, WorkAndTimersRunOnTheBrainInOrder) {
  Server server(quick_options(), {});
  std::vector<int> order;  // no lock: never two at once
  std::promise<void> done;
  server.run_after(milliseconds{20}, [&] {
    order.push_back(3);
    done.set_value();
  });
  for (int i = 0; i < 3; ++i) server.post([&order, i] { order.push_back(i); });
  server.start();
  done.get_future().wait();
  server.stop();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST(Server, StoppingEndsEverything) {
  bool is_late = false;
  std::vector<std::string> reasons;
  ConnectionPtr kept;
  std::promise<void> opened;
  ServerHandlers handlers;
  handlers.on_open = [&](const ConnectionPtr& connection) {
    kept = connection;
    opened.set_value();
  };
  handlers.on_close = [&](const ConnectionPtr&, CloseCause, const std::string& reason) {
    reasons.push_back(reason);
  };
  std::unique_ptr<NetworkChannel> client;
  {
    Server server(quick_options(), handlers);
    server.start();
    client = connect(server.port());
    opened.get_future().wait();
    server.run_after(kLong, [&] { is_late = true; });
    server.stop();
    server.post([&] { is_late = true; });
  }
  EXPECT_EQ(reasons, std::vector<std::string>{"the server is stopping"});
  EXPECT_THROW(static_cast<void>(client->receive(kLong)), ChannelClosed);
  // The handle outlives its server.
  EXPECT_FALSE(kept->send(hello()));
  EXPECT_EQ(kept->queued_bytes(), 0);
  kept->close("again");
  kept->pause_reading();
  kept->resume_reading();
  kept.reset();
  EXPECT_FALSE(is_late);
}

TEST(Server, AServerThatNeverStartedStops) {
  Server server(quick_options(), {});
  server.stop();
  server.stop();
}

TEST(Server, AHandlerThatThrowsCostsItsConnectionOnly) {
  std::promise<std::string> closed;
  std::promise<Message> received;
  ServerHandlers handlers;
  handlers.on_frame = [&](const ConnectionPtr&, const Frame& frame) {
    if (kind_of(frame.message) == MessageKind::kLeave) throw std::runtime_error("a bug");
    received.set_value(frame.message);
  };
  handlers.on_close = [&](const ConnectionPtr&, CloseCause cause, const std::string& reason) {
    if (cause == CloseCause::kHandler) closed.set_value(reason);
  };
  Server server(quick_options(), handlers);
  server.start();
  const auto bad = connect(server.port()), good = connect(server.port());
  bad->send({Leave{"now"}, {}});
  EXPECT_EQ(closed.get_future().get(), "a bug");
  EXPECT_THROW(static_cast<void>(bad->receive(kLong)), ChannelClosed);
  good->send(hello());
  EXPECT_EQ(received.get_future().get(), hello().message);
}

TEST(Server, PausedConnectionsDeliverNothing) {
  std::promise<ConnectionPtr> first;
  std::atomic<int> frames{0};
  std::promise<void> second;
  ServerHandlers handlers;
  handlers.on_frame = [&](const ConnectionPtr& connection, const Frame&) {
    if (++frames == 1) {
      connection->pause_reading();
      first.set_value(connection);
    } else {
      second.set_value();
    }
  };
  Server server(quick_options(), handlers);
  server.start();
  const auto client = connect(server.port());
  client->send(hello());
  client->send(hello());
  const ConnectionPtr connection = first.get_future().get();
  auto later = second.get_future();
  EXPECT_EQ(later.wait_for(milliseconds{20}), std::future_status::timeout);
  connection->resume_reading();
  later.wait();
  EXPECT_EQ(frames, 2);
}

TEST(Server, SaysWhenItIsTimeToSendMore) {
  constexpr int kChunks = 50;
  std::atomic<int> left{kChunks};
  std::atomic<std::size_t> most_queued{0};
  const auto send_next = [&](const ConnectionPtr& connection) {
    if (left-- <= 0) return;
    connection->send(chunk_frame(0, some_bytes(100'000)));
    most_queued = std::max<std::size_t>(most_queued, connection->queued_bytes());
  };
  ServerHandlers handlers;
  handlers.on_open = handlers.on_drained = send_next;
  Server server(quick_options(), handlers);
  server.start();
  const auto client = connect(server.port());
  for (int i = 0; i < kChunks; ++i) EXPECT_EQ(client->receive(kLong)->body, some_bytes(100'000));
  EXPECT_LE(most_queued, 101'000);
}

// A busy peer and a quiet one who share the server's one thread.
class Turns : public testing::Test {
 protected:
  void SetUp() override {
    ServerOptions options = quick_options();
    options.threads = 1;
    ServerHandlers handlers;
    handlers.on_open = [this](const ConnectionPtr& connection) {
      ends_.push_back(connection);
      events_.release();
    };
    handlers.on_frame = [this](const ConnectionPtr& connection, const Frame&) { note(connection); };
    handlers.on_drained = [this](const ConnectionPtr& connection) { note(connection); };
    server_ = std::make_unique<Server>(options, handlers);
    server_->start();
    busy_.emplace(server_->port());
    wait_for_events(1);
    quiet_.emplace(server_->port());
    wait_for_events(1);
    std::promise<void> both_are_read;
    server_->post([&] { both_are_read.set_value(); });
    both_are_read.get_future().wait();
  }
  void note(const ConnectionPtr& connection) {
    order_.emplace_back(connection == ends_.front() ? "busy" : "quiet");
    events_.release();
  }
  void wait_for_events(int count) {
    for (int i = 0; i < count; ++i) events_.acquire();
  }

  // More than one turn, and less than the kernel holds of a connection that nobody reads.
  const Frame big_ = chunk_frame(0, some_bytes(std::size_t{2} << 20));
  std::vector<ConnectionPtr> ends_;  // on the brain, as the next
  std::vector<std::string> order_;
  std::counting_semaphore<> events_{0};
  std::unique_ptr<Server> server_;
  std::optional<RawSocket> busy_, quiet_;
};

TEST_F(Turns, AFrameThatFollowsABigOneOfAnotherPeerIsReadBeforeItsEnd) {
  std::promise<void> go;
  server_->post([&] { go.get_future().wait(); });
  const auto bytes = encode_frame(big_);
  const auto taken = ::send(busy_->descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  ASSERT_GT(taken, 0);
  quiet_->send(encode_frame(hello()));
  go.set_value();
  busy_->send(std::span(bytes).subspan(static_cast<std::size_t>(taken)));
  wait_for_events(2);
  EXPECT_THAT(order_, testing::ElementsAre("quiet", "busy"));
}

TEST_F(Turns, AFrameThatFollowsABigOneToAnotherPeerIsSentBeforeItsEnd) {
  server_->post([&] {
    ends_.front()->send(big_);
    ends_.back()->send(hello());
  });
  auto reading = std::async(std::launch::async, [&] {
    std::size_t left = encode_frame(big_).size(), came = 0;
    do {
      came = busy_->receive(left).size();
      left -= came;
    } while (left > 0 && came > 0);
  });
  wait_for_events(2);
  reading.get();
  EXPECT_THAT(order_, testing::ElementsAre("quiet", "busy"));
}

TEST(Server, HoldsAPeerToItsBytesPerSecond) {
  ServerOptions options = quick_options();
  options.limits.bytes_per_second = 400'000;
  TestServer server(options);
  const auto begin = std::chrono::steady_clock::now();
  const auto client = connect(server.port());
  const auto accepted = server.accept();
  for (int i = 0; i < 6; ++i) client->send(chunk_frame(0, some_bytes(100'000)));
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(accepted->receive(kLong));
  // The first second's worth passes at once.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds{450});
}

TEST(Server, HoldsAPeerToItsFramesPerSecond) {
  ServerOptions options = quick_options();
  options.limits.frames_per_second = 100;
  TestServer server(options);
  const auto begin = std::chrono::steady_clock::now();
  const auto client = connect(server.port());
  const auto accepted = server.accept();
  for (int i = 0; i < 140; ++i) client->send(hello());
  for (int i = 0; i < 140; ++i) EXPECT_TRUE(accepted->receive(kLong));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds{350});
}

TEST(Dial, KeepsToItsOwnBytesPerSecond) {
  TestServer server{quick_options()};
  DialOptions how;
  how.bytes_per_second = 400'000;
  const auto client = connect(server.port(), how);
  const auto accepted = server.accept();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 6; ++i) client->send(chunk_frame(0, some_bytes(100'000)));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds{450});
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(accepted->receive(kLong));
}

TEST(Dial, GoesThroughAnHttpProxy) {
  TestServer server{quick_options()};
  std::promise<std::string> request;
  const Relay relay(server.port(), http_proxy([&](const std::string& text) {
                      request.set_value(text);
                      return kTunnelIsOpen;
                    }));
  DialOptions how;
  how.proxy = Endpoint{"127.0.0.1", relay.port()};
  how.proxy_authorization = "user:secret";
  const auto client = dial_plain({"far.example", 7000}, how);
  client->send(hello());
  EXPECT_EQ(server.accept()->receive(kLong)->message, hello().message);
  const std::string text = request.get_future().get();
  EXPECT_TRUE(text.starts_with("CONNECT far.example:7000 HTTP/1.1\r\nHost: far.example:7000\r\n"));
  EXPECT_THAT(text, HasSubstr("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"));
}

TEST(Dial, SaysWhatAProxyAnswered) {
  TestServer server{quick_options()};
  for (const auto& [answer, why] : std::vector<std::pair<std::string, std::string>>{
           {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication"},
           {"SSH-2.0-OpenSSH\r\n\r\n", "SSH-2.0"},
           {"HTTP/1.1 200 OK\r\nX: " + std::string(9000, 'x'), "8192 bytes"},
           {"", "closed the connection"}}) {
    const Relay relay(server.port(), http_proxy([&](const std::string&) { return answer; }));
    DialOptions how;
    how.proxy = Endpoint{"127.0.0.1", relay.port()};
    try {
      dial_plain({"far.example", 7000}, how);
      ADD_FAILURE() << answer;
    } catch (const DialError& error) {
      EXPECT_EQ(error.step(), DialError::Step::kProxy);
      EXPECT_THAT(error.what(), HasSubstr(why));
    }
  }
}

}  // namespace
}  // namespace fedstill

#include <gmock/gmock.h>

#include <future>
#include <random>
#include <thread>

#include "model/decode_error.h"
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
constexpr milliseconds kShort{40};

class TlsFaults : public testing::Test {
 protected:
  TlsFaults() {
    options_.credentials = authority_.coordinator();
    options_.limits.close_timeout = milliseconds{500};
    options_.limits.handshake_timeout = kLong;
    options_.limits.idle_timeout = kLong;
    options_.limits.progress_window = kLong;
  }
  void serve() { server_ = std::make_unique<TestServer>(options_); }
  std::unique_ptr<NetworkChannel> connect(std::uint16_t port = 0) {
    return dial({"127.0.0.1", port != 0 ? port : server_->port()}, client_);
  }
  RawTls connect_raw() {
    RawTls raw(RawSocket(server_->port()), {.own = client_, .authority = {}});
    EXPECT_TRUE(raw.handshake());
    return raw;
  }
  void expect_still_serving() {
    const auto client = connect();
    client->send(hello());
    EXPECT_EQ(server_->accept()->receive(kLong)->message, hello().message);
  }

  TestAuthority authority_;
  Credentials client_ = authority_.client();
  ServerOptions options_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(TlsFaults, ASilentHandshakeEndsAfterItsTime) {
  options_.limits.handshake_timeout = kShort;
  serve();
  RawSocket silent(server_->port());
  EXPECT_TRUE(silent.is_closed_by_peer());
  EXPECT_THAT(server_->next_refusal(), HasSubstr("handshake in time"));
  RawSocket half(server_->port());
  half.send(std::string("\x16\x03\x01", 3));  // the first bytes of a hello, and no more
  EXPECT_TRUE(half.is_closed_by_peer());
}

TEST_F(TlsFaults, AHandshakeThatTricklesEndsAfterItsTime) {
  options_.limits.handshake_timeout = kShort;
  serve();
  RawSocket trickle(server_->port());
  trickle.send(std::string("\x16\x03\x01\x02\x00", 5));
  while (!trickle.has_input(2) && trickle.send("\x01")) {
  }
  EXPECT_TRUE(trickle.is_closed_by_peer());
  EXPECT_THAT(server_->next_refusal(), HasSubstr("handshake in time"));
}

TEST_F(TlsFaults, AHandshakeWithoutAnEndIsRefusedBeforeItTakesMuchMemory) {
  serve();
  RawSocket endless(server_->port());
  std::string record("\x16\x03\x01\x40\x00", 5);
  endless.send(record + std::string("\x01\x01\xf0\x00", 4) + std::string(16'380, 'x'));
  for (int i = 0; i < 4; ++i) endless.send(record + std::string(16'384, 'x'));
  EXPECT_THAT(server_->next_refusal(), HasSubstr("no end of the handshake"));
  EXPECT_TRUE(endless.is_closed_by_peer());
}

TEST_F(TlsFaults, AnAddressWhoseHandshakesFailIsShutOut) {
  options_.limits.failed_handshakes = {.most = 3, .window = kLong, .shut_out = kLong};
  serve();
  for (int i = 0; i < 10; ++i) {  // those that succeed do not count
    const auto client = connect();
    server_->accept();
  }
  for (int i = 0; i < 4; ++i) {
    RawSocket stranger(server_->port());
    stranger.send("what is this?");
    EXPECT_TRUE(stranger.is_closed_by_peer());
  }
  EXPECT_THAT(server_->next_warning(), HasSubstr("shut out"));
  const auto before = server_->counters();
  EXPECT_EQ(before.shut_out, 1);
  for (int i = 0; i < 3; ++i) EXPECT_THROW(connect(), DialError);
  EXPECT_EQ(server_->counters().refused, before.refused + 3);
  EXPECT_EQ(server_->counters().shut_out, 1);
}

TEST_F(TlsFaults, HandshakesThatGaveWayCountAsFailed) {
  options_.limits.max_handshakes = 2;
  options_.limits.failed_handshakes = {.most = 3, .window = kLong, .shut_out = kLong};
  serve();
  std::vector<RawSocket> silent;
  for (int i = 0; i < 6; ++i) silent.emplace_back(server_->port());
  EXPECT_THAT(server_->next_warning(), HasSubstr("shut out"));
  EXPECT_TRUE(RawSocket(server_->port()).is_closed_by_peer());
}

TEST_F(TlsFaults, AnAddressIsShutOutForAWhileOnly) {
  options_.limits.failed_handshakes = {.most = 1, .window = kLong, .shut_out = milliseconds{1}};
  serve();
  for (int i = 0; i < 2; ++i) {
    RawSocket stranger(server_->port());
    stranger.send("what is this?");
    EXPECT_TRUE(stranger.is_closed_by_peer());
  }
  EXPECT_THAT(server_->next_warning(), HasSubstr("shut out"));
  std::unique_ptr<NetworkChannel> client;
  while (client == nullptr) {
    try {
      client = connect();
    } catch (const DialError&) {
    }
  }
  client->send(hello());
  EXPECT_EQ(server_->accept()->receive(kLong)->message, hello().message);
}

TEST_F(TlsFaults, APeerWhoseRequestsAreRefusedIsDisconnectedAndShutOut) {
  options_.limits.refused_requests = {.most = 3, .window = kLong, .shut_out = kLong};
  serve();
  const auto client = connect();
  const auto accepted = server_->accept();
  const PeerIdentity peer = accepted->connection()->peer();
  for (int i = 0; i < 3; ++i) server_->server().note_refusal(peer);
  client->send(hello());
  EXPECT_EQ(accepted->receive(kLong)->message, hello().message);
  server_->server().note_refusal(peer);
  const auto closed = server_->next_closed();
  EXPECT_EQ(closed.cause, CloseCause::kAccess);
  EXPECT_THAT(closed.reason, HasSubstr("refused too often"));
  EXPECT_THROW(static_cast<void>(client->receive(kLong)), ChannelClosed);
  EXPECT_THAT(server_->next_warning(), HasSubstr("client site-1"));
  const auto again = connect();  // in TLS 1.3 it learns only afterwards
  try {
    static_cast<void>(again->receive(kLong));
    FAIL() << "was let in";
  } catch (const PeerRefused& refused) {  // a client takes that as the end
    FAIL() << refused.what();
  } catch (const ChannelClosed&) {
  }
  EXPECT_THAT(server_->next_refusal(), HasSubstr("refused too often"));
  client_ = authority_.client("site-2");
  expect_still_serving();
}

TEST_F(TlsFaults, APeerThatSendsNoFramesIsShutOut) {
  options_.limits.refused_requests = {.most = 2, .window = kLong, .shut_out = kLong};
  serve();
  for (int i = 0; i < 3; ++i) {
    auto raw = connect_raw();
    raw.send(some_bytes(100));
    EXPECT_EQ(server_->next_closed().cause, CloseCause::kBadBytes);
  }
  EXPECT_THAT(server_->next_warning(), HasSubstr("client site-1"));
  const auto again = connect();
  try {
    static_cast<void>(again->receive(kLong));
    ADD_FAILURE() << "was let in";
  } catch (const ChannelClosed& closed) {  // for a while only: not as if its certificate were bad
    EXPECT_THAT(closed.what(), HasSubstr("handshake failure"));
    EXPECT_EQ(dynamic_cast<const PeerRefused*>(&closed), nullptr);
  }
}

TEST_F(TlsFaults, SilentHandshakesDoNotKeepHonestOnesOut) {
  options_.limits.max_handshakes = 4;
  serve();
  std::vector<RawSocket> silent;
  for (int i = 0; i < 12; ++i) silent.emplace_back(server_->port());
  expect_still_serving();
  EXPECT_THAT(server_->next_refusal(), HasSubstr("gave way"));
  EXPECT_LE(server_->counters().handshakes, 4);
}

TEST_F(TlsFaults, AFloodOfConnectionsHoldsNoMoreThanItsShare) {
  options_.limits.max_connections = 3;
  options_.limits.max_handshakes = 2;
  serve();
  std::vector<std::unique_ptr<NetworkChannel>> inside;
  std::vector<std::unique_ptr<ServerChannel>> accepted;
  for (int i = 0; i < 3; ++i) {
    inside.push_back(connect());
    accepted.push_back(server_->accept());
  }
  for (int i = 0; i < 20; ++i) {
    const auto one_too_many = connect();
    EXPECT_THROW(static_cast<void>(one_too_many->receive(kLong)), ChannelClosed);
    EXPECT_THAT(server_->next_refusal(), HasSubstr("too many connections"));
  }
  const ServerCounters counters = server_->counters();
  EXPECT_EQ(counters.connections, 3);
  EXPECT_LE(counters.handshakes, 2);
  inside.pop_back();
  EXPECT_EQ(server_->next_closed().cause, CloseCause::kPeer);
  accepted.pop_back();
  // The slot is free once the last bytes of the old connection are through.
  while (server_->counters().connections == 3) std::this_thread::yield();
  expect_still_serving();
}

TEST_F(TlsFaults, AHalfOpenPeerCostsASlotForABoundedTime) {
  options_.limits.idle_timeout = kShort;
  serve();
  auto peer = connect_raw();
  EXPECT_TRUE(peer.is_closed_by_peer());
  const auto closed = server_->next_closed();
  EXPECT_EQ(closed.cause, CloseCause::kTooSlow);
  EXPECT_THAT(closed.reason, HasSubstr("nothing for too long"));
}

TEST_F(TlsFaults, APeerOfOneByteAtATimeIsClosedBesideAFastOne) {
  options_.limits.progress_window = milliseconds{100};
  options_.limits.min_bytes_per_second = 10'000;
  serve();
  auto slow = connect_raw();
  const auto slow_end = server_->accept();
  std::thread trickling([&] {
    const auto bytes = encode_frame(chunk_frame(0, some_bytes(1 << 20)));
    for (std::size_t i = 0; i < bytes.size() && !slow.socket().has_input(2); ++i) {
      if (!slow.send(std::span(bytes).subspan(i, 1))) break;
    }
    EXPECT_TRUE(slow.is_closed_by_peer());
  });
  const auto fast = connect();
  const auto fast_end = server_->accept();
  auto sending = std::async(std::launch::async, [&] {
    for (std::uint64_t i = 0; i < 32; ++i) fast->send(chunk_frame(i, some_bytes(1 << 20)));
  });
  for (std::uint64_t i = 0; i < 32; ++i) {
    EXPECT_EQ(std::get<BlobChunk>(fast_end->receive(kLong)->message).offset, i);
  }
  sending.get();
  trickling.join();
  const auto closed = server_->next_closed();
  EXPECT_EQ(closed.cause, CloseCause::kTooSlow);
  EXPECT_THAT(closed.reason, HasSubstr("too slowly"));
  EXPECT_THROW(static_cast<void>(slow_end->receive(kLong)), ChannelClosed);
}

TEST_F(TlsFaults, AHandlerThatTakesItsTimeIsNotThePeersFault) {
  constexpr milliseconds kAllowed{250};
  options_.limits.progress_window = options_.limits.idle_timeout = kAllowed;
  serve();
  auto client = connect_raw();
  const auto accepted = server_->accept();
  for (std::uint32_t i = 0; i < 4; ++i) {  // the fourth fills the inbox: reading is paused
    EXPECT_TRUE(client.send(encode_frame(hello())));
  }
  // Half a frame more, and twice the time allowed.
  const auto frame = encode_frame(chunk_frame(5, some_bytes(100)));
  EXPECT_TRUE(client.send(std::span(frame).first(60)));
  EXPECT_FALSE(client.socket().has_input(2 * static_cast<int>(kAllowed.count())));
  EXPECT_TRUE(client.send(std::span(frame).subspan(60)));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(accepted->receive(kLong)->message, hello().message);
  EXPECT_EQ(accepted->receive(kLong)->body, some_bytes(100));
}

TEST_F(TlsFaults, ALengthOverTheLimitIsRefusedBeforeItsBytes) {
  serve();
  auto peer = connect_raw();
  const auto accepted = server_->accept();
  FrameHeader header;
  header.kind = MessageKind::kBlobChunk;
  header.metadata_bytes = 80;
  header.body_bytes = std::uint64_t{1} << 62;
  EXPECT_TRUE(peer.send(encode_header(header)));
  EXPECT_TRUE(peer.is_closed_by_peer());
  EXPECT_EQ(server_->next_closed().cause, CloseCause::kBadBytes);
  EXPECT_THROW(static_cast<void>(accepted->receive(kLong)), DecodeError);
}

TEST_F(TlsFaults, AFloodOfKeyUpdatesIsRefused) {
  serve();
  auto peer = connect_raw();
  const auto accepted = server_->accept();
  int sent = 0;
  while (sent < 20'000 && peer.send_key_update()) ++sent;
  EXPECT_LT(sent, 20'000);
  EXPECT_THAT(server_->next_closed().reason, HasSubstr("too many key updates"));
}

TEST_F(TlsFaults, AKeyUpdateNowAndThenIsFine) {
  serve();
  auto peer = connect_raw();
  const auto accepted = server_->accept();
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(peer.send_key_update());
    EXPECT_TRUE(peer.send(encode_frame(hello())));
    EXPECT_EQ(accepted->receive(kLong)->message, hello().message);
  }
}

TEST_F(TlsFaults, APeerThatNeverReadsIsClosedWhenTooMuchWaitsForIt) {
  options_.limits.max_outbox_bytes = std::size_t{8} << 20;
  serve();
  const auto peer = connect_raw();
  const auto accepted = server_->accept();
  const ConnectionPtr connection = accepted->connection();
  std::size_t sent = 0;
  while (connection->send(chunk_frame(0, some_bytes(1 << 20))) && sent < 1000) ++sent;
  EXPECT_LT(sent, 1000);
  EXPECT_GE(sent, 8);
  EXPECT_EQ(server_->next_closed().cause, CloseCause::kTooMuch);
  EXPECT_FALSE(connection->send(hello()));
}

TEST_F(TlsFaults, APeerThatStopsReadingIsClosedAfterAWhile) {
  options_.limits.max_outbox_bytes = std::size_t{64} << 20;
  options_.limits.progress_window = kShort;
  serve();
  const auto peer = connect_raw();
  const auto accepted = server_->accept();
  for (int i = 0; i < 32; ++i) {
    accepted->connection()->send(chunk_frame(0, some_bytes(1 << 20)));
  }
  const auto closed = server_->next_closed();
  EXPECT_EQ(closed.cause, CloseCause::kTooSlow);
  EXPECT_THAT(closed.reason, HasSubstr("takes what is sent too slowly"));
}

// Cuts the connection after so many bytes, from both sides' view, and holds that neither side sees
// anything but whole frames in order and then a clean end.
class CutConnections : public TlsFaults {
 protected:
  static constexpr std::uint64_t kFrames = 3;

  static std::uint64_t take_frames(Channel& end) {
    std::uint64_t whole = 0;
    try {
      while (const auto frame = end.receive(kLong)) {
        EXPECT_EQ(std::get<BlobChunk>(frame->message).offset, whole);
        EXPECT_EQ(frame->body, some_bytes(1000, static_cast<unsigned>(whole)));
        ++whole;
      }
      ADD_FAILURE() << "nobody noticed";
    } catch (const ChannelClosed&) {
    }
    return whole;
  }
  static void send_frames(Channel& end) {
    try {
      for (std::uint64_t i = 0; i < kFrames; ++i) {
        end.send(chunk_frame(i, some_bytes(1000, static_cast<unsigned>(i))));
      }
    } catch (const ChannelClosed&) {
    }
  }
  // Both talk until the connection is cut.
  void converse(Relay& relay) {
    std::unique_ptr<NetworkChannel> client;
    try {
      client = connect(relay.port());
    } catch (const DialError&) {
      EXPECT_FALSE(server_->next_refusal().empty());
      return;
    }
    send_frames(*client);
    std::unique_ptr<ServerChannel> accepted;
    try {
      accepted = server_->accept_or_refusal();
    } catch (const ChannelClosed&) {  // cut within the client's last flight
      take_frames(*client);
      return;
    }
    send_frames(*accepted);
    std::thread other([&] { EXPECT_LE(take_frames(*client), kFrames); });
    EXPECT_LE(take_frames(*accepted), kFrames);
    other.join();
  }
  std::pair<std::uint64_t, std::uint64_t> measure(Relay& relay) {
    relay.set_cut({});
    const auto client = connect(relay.port());
    const auto accepted = server_->accept();
    send_frames(*client);
    send_frames(*accepted);
    for (std::uint64_t i = 0; i < kFrames; ++i) {
      EXPECT_TRUE(client->receive(kLong));
      EXPECT_TRUE(accepted->receive(kLong));
    }
    return {relay.passed_upstream(), relay.passed_downstream()};
  }
};

TEST_F(CutConnections, AtAnyByteBothWays) {
  serve();
  Relay relay(server_->port());
  const auto [up, down] = measure(relay);
  ASSERT_GT(up, kFrames * 1000);
  ASSERT_GT(down, kFrames * 1000);
  std::mt19937 random(7);
  for (int i = 0; i < 60; ++i) {
    Relay::Cut cut;
    const bool is_upstream = i % 2 == 0;
    (is_upstream ? cut.upstream : cut.downstream) = random() % (is_upstream ? up : down);
    cut.with_reset = i % 3 == 0;
    SCOPED_TRACE("upstream " + std::to_string(cut.upstream) + ", downstream " +
                 std::to_string(cut.downstream));
    relay.set_cut(cut);
    converse(relay);
  }
  relay.set_cut({});
  expect_still_serving();
}

}  // namespace
}  // namespace fedstill

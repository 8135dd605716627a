#pragma once

#include <gtest/gtest.h>

#include <array>
#include <future>
#include <memory>
#include <thread>

#include "model/decode_error.h"
#include "tests/transport/channel_backend.h"
#include "tests/transport/frames.h"
#include "transport/channel.h"

namespace fedstill {

// What every Channel must show.
class ChannelContract : public testing::TestWithParam<ChannelBackend> {
 protected:
  void connect(const FrameLimits& limits = {}) { ends_ = GetParam().connect(limits); }
  void SetUp() override { connect(); }

  static constexpr std::chrono::milliseconds kLong{60'000};
  static Message sent(std::uint32_t i) { return BlobChunk{some_hash('e'), i}; }
  static void expect_closed(Channel& end) {
    EXPECT_THROW(static_cast<void>(end.receive(kLong)), ChannelClosed);
  }
  ConnectedEnds ends_;
};

TEST_P(ChannelContract, FramesArriveWholeAndInOrder) {
  for (std::uint32_t i = 0; i < 100; ++i) ends_.first->send({sent(i), some_bytes(i + 1, i)});
  for (std::uint32_t i = 0; i < 100; ++i) {
    const auto frame = ends_.second->receive(kLong);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->message, sent(i));
    EXPECT_EQ(frame->body, some_bytes(i + 1, i));
  }
}

TEST_P(ChannelContract, EveryMessageArrivesAsItWasSent) {
  for (const Message& message : every_message()) {
    ends_.first->send({message, body_for(message, 10)});
    EXPECT_EQ(ends_.second->receive(kLong)->message, message);
  }
}

TEST_P(ChannelContract, BothDirectionsAreIndependent) {
  ends_.first->send({sent(1), some_bytes(1)});
  ends_.second->send({sent(2), some_bytes(1)});
  EXPECT_EQ(ends_.first->receive(kLong)->message, sent(2));
  EXPECT_EQ(ends_.second->receive(kLong)->message, sent(1));
}

TEST_P(ChannelContract, ManyFramesBothWaysAtOnce) {
  const auto talk = [](Channel& end) {
    std::thread sender([&] {
      for (std::uint32_t i = 0; i < 200; ++i) end.send({sent(i), some_bytes(2000, i)});
    });
    for (std::uint32_t i = 0; i < 200; ++i) EXPECT_EQ(end.receive(kLong)->message, sent(i));
    sender.join();
  };
  std::thread other([&] { talk(*ends_.second); });
  talk(*ends_.first);
  other.join();
}

TEST_P(ChannelContract, ABigBodyArrivesIntact) {
  const auto body = some_bytes(std::size_t{4} << 20);
  auto sending = std::async(std::launch::async, [&] { ends_.first->send(chunk_frame(1, body)); });
  const auto frame = ends_.second->receive(kLong);
  sending.get();
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->body == body);
}

// Larger, smaller and far smaller ones than the memory that was given back.
TEST_P(ChannelContract, ABodyInUsedMemoryIsTheOneThatWasSent) {
  unsigned seed = 0;
  for (const std::size_t bytes : {5000, 5000, 4000, 9000, 9000, 1, 3000}) {
    Frame frame = chunk_frame(0, some_bytes(bytes, ++seed));
    ends_.first->send(std::move(frame));
    auto arrived = ends_.second->receive(kLong);
    ASSERT_TRUE(arrived);
    EXPECT_EQ(arrived->body, some_bytes(bytes, seed));
    ends_.second->recycle(std::move(arrived->body));
  }
}

TEST_P(ChannelContract, NothingArrivesWithinNoTime) {
  EXPECT_FALSE(ends_.second->receive(std::chrono::milliseconds{0}));
  ends_.first->send({sent(3), some_bytes(1)});
  EXPECT_EQ(ends_.second->receive(kLong)->message, sent(3));
  EXPECT_FALSE(ends_.second->receive(std::chrono::milliseconds{0}));
}

TEST_P(ChannelContract, ClosingWakesTheReceiverOnEitherSide) {
  for (const bool peer_closes : {true, false}) {
    connect();
    std::promise<void> waiting;
    auto receiving = std::async(std::launch::async, [&] {
      waiting.set_value();
      expect_closed(*ends_.second);
    });
    waiting.get_future().wait();
    (peer_closes ? ends_.first : ends_.second)->close();
    receiving.get();
  }
}

TEST_P(ChannelContract, ClosingWakesASenderThatWaitsForRoom) {
  for (const bool peer_closes : {true, false}) {
    connect();
    std::promise<void> sent_one;
    // Nobody receives: after some number of frames the inbox is full and send() blocks.
    auto sending = std::async(std::launch::async, [&] {
      const Frame frame = chunk_frame(1, some_bytes(std::size_t{4} << 20));
      ends_.first->send(frame);
      sent_one.set_value();
      for (;;) ends_.first->send(frame);
    });
    sent_one.get_future().wait();
    (peer_closes ? ends_.second : ends_.first)->close();
    EXPECT_THROW(sending.get(), ChannelClosed);
  }
}

TEST_P(ChannelContract, WhatWasSentBeforeTheCloseStillArrives) {
  ends_.first->send({sent(1), some_bytes(1)});
  ends_.first->close();
  EXPECT_EQ(ends_.second->receive(kLong)->message, sent(1));
  expect_closed(*ends_.second);
  EXPECT_THROW(
      {
        // A network notices a gone peer only after a while.
        for (int i = 0; i < 100'000; ++i) ends_.second->send({sent(2), some_bytes(1)});
      },
      ChannelClosed);
}

TEST_P(ChannelContract, AfterOnesOwnCloseNothingIsReceivedOrSent) {
  ends_.first->send({sent(1), some_bytes(1)});
  ends_.second->close();
  ends_.second->close();
  expect_closed(*ends_.second);
  EXPECT_THROW(ends_.second->send({sent(1), some_bytes(1)}), ChannelClosed);
}

TEST_P(ChannelContract, DestroyingAnEndClosesIt) {
  ends_.first.reset();
  expect_closed(*ends_.second);
}

TEST_P(ChannelContract, DamagedBytesCloseTheChannel) {
  auto bytes = encode_frame({sent(1), some_bytes(1)});
  bytes[5] ^= std::byte{1};
  ends_.inject_into_second(std::move(bytes));
  EXPECT_THROW(static_cast<void>(ends_.second->receive(kLong)), DecodeError);
  expect_closed(*ends_.second);
  expect_closed(*ends_.first);
}

TEST_P(ChannelContract, ABodyOverTheLimitClosesTheChannel) {
  FrameLimits limits;
  limits.max_body_bytes = 1000;
  connect(limits);
  ends_.first->send(chunk_frame(1, some_bytes(1000)));
  EXPECT_EQ(ends_.second->receive(kLong)->body, some_bytes(1000));
  ends_.first->send(chunk_frame(1, some_bytes(1001)));
  EXPECT_THROW(static_cast<void>(ends_.second->receive(kLong)), DecodeError);
  expect_closed(*ends_.second);
}

TEST_P(ChannelContract, AnInvalidMessageIsTheSendersMistakeAndSendsNothing) {
  EXPECT_THROW(ends_.first->send({Join{"../etc", "cnn3", 1}, {}}), std::invalid_argument);
  ends_.first->send({sent(9), some_bytes(1)});
  EXPECT_EQ(ends_.second->receive(kLong)->message, sent(9));
}

}  // namespace fedstill

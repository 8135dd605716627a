#include "launch/ranks/blob_exchange.h"

#include <gmock/gmock.h>

#include <fstream>
#include <future>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/sha256.h"
#include "tests/support/temporary_folder.h"
#include "training/fit.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class BlobExchange : public ::testing::Test {
 protected:
  BlobExchange() {
    std::tie(here_, there_) = make_in_process_channel();
    for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<std::byte>(i * i);
    write_file_atomically(file(), bytes_);
  }
  std::filesystem::path file() const { return folder_.path() / "model"; }
  std::future<void> sending() {
    return std::async(std::launch::async,
                      [this] { send_blob(*here_, file(), sha256_hex(bytes_), "teacher", stop_); });
  }
  std::vector<Frame> offer() { return intake_.receive({BlobOffer{hash_, 10, "update"}, {}}); }

  TemporaryFolder folder_;
  std::vector<std::byte> bytes_ = std::vector<std::byte>(3'000'000);
  std::string hash_ = std::string(64, 'a');
  std::unique_ptr<Channel> here_, there_;
  std::atomic<bool> stop_ = false;
  BlobStore store_{folder_.path() / "store"};
  BlobIntake intake_{store_, "rank-1"};
};

TEST_F(BlobExchange, AFileIsThereWhenBothReturn) {
  auto sent = sending();
  const BlobInfo blob = receive_blob(*there_, store_, "rank-0", "teacher", stop_);
  sent.get();
  EXPECT_EQ(blob.bytes, bytes_.size());
  EXPECT_TRUE(read_file(store_.path(blob.sha256), bytes_.size()) == bytes_);
}

TEST_F(BlobExchange, WhatIsThereAlreadyDoesNotTravelAgain) {
  store_.add(bytes_);
  auto sent = sending();
  EXPECT_EQ(receive_blob(*there_, store_, "rank-0", "teacher", stop_).bytes, bytes_.size());
  sent.get();
  EXPECT_FALSE(there_->receive(std::chrono::milliseconds{0}));
}

TEST_F(BlobExchange, APartGoesOnWhereItWas) {
  {
    BlobWriter before(store_, {sha256_hex(bytes_), bytes_.size()}, "rank-0");
    before.append(0, std::span(bytes_).first(2'000'000));
  }
  auto sent = sending();
  there_->receive(std::chrono::seconds{60});  // the offer
  BlobIntake intake(store_, "rank-0");
  const auto answers =
      intake.receive({BlobOffer{sha256_hex(bytes_), bytes_.size(), "teacher"}, {}});
  EXPECT_EQ(std::get<BlobRequest>(answers.at(0).message).offset, 2'000'000U);
  here_->close();
  EXPECT_THROW(sent.get(), ChannelClosed);
}

TEST_F(BlobExchange, WhoIsAskedToStopStops) {
  stop_ = true;
  EXPECT_THROW(sending().get(), Stopped);
}

TEST_F(BlobExchange, WhatWasNotAskedForIsRefused) {
  EXPECT_THAT(
      [&] {
        intake_.receive({BlobChunk{hash_, 0}, bytes_});
      },
      ThrowsMessage<DecodeError>(HasSubstr("not offered")));
  EXPECT_THAT(
      [&] {
        intake_.receive({Leave{"bye"}, {}});
      },
      ThrowsMessage<DecodeError>(HasSubstr("found a Leave")));
  offer();
  EXPECT_THAT([&] { offer(); }, ThrowsMessage<DecodeError>(HasSubstr("before the last one")));
}

TEST_F(BlobExchange, AWrongHashIsNoticed) {
  offer();
  EXPECT_THAT(
      [&] {
        intake_.receive({BlobChunk{hash_, 0}, std::vector<std::byte>(10)});
      },
      ThrowsMessage<DecodeError>(HasSubstr("have another hash")));
}

TEST_F(BlobExchange, ABlobOverTheLimitIsRefusedBeforeItComes) {
  BlobStore small(folder_.path() / "small", {.max_blob_bytes = 5});
  BlobIntake intake(small, "rank-1");
  EXPECT_THAT(
      [&] {
        intake.receive({BlobOffer{hash_, 6, "update"}, {}});
      },
      ThrowsMessage<DecodeError>(HasSubstr("a blob of 6 bytes")));
}

}  // namespace
}  // namespace fedstill

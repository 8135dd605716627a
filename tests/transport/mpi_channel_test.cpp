#include "transport/mpi/mpi_channel.h"
#include "tests/support/clock.h"

#include <gmock/gmock.h>
#include <mpi.h>

#include <fstream>
#include <map>

#include "tests/support/temporary_folder.h"
#include "tests/transport/channel_contract.h"
#include "transport/blob_sender.h"
#include "transport/blob_store.h"
#include "transport/mpi/exchange.h"

namespace fedstill {
namespace {

using mpi::ChannelOptions;
using mpi::Channels;

constexpr std::chrono::milliseconds kPatience{60'000};

ConnectedEnds connect_over_mpi(const FrameLimits& limits, std::size_t piece_bytes) {
  ChannelOptions options;
  options.limits = limits;
  options.piece_bytes = piece_bytes;
  options.linger = kPatience;
  const auto exchange = std::make_shared<mpi::Exchange>(options);
  mpi::Exchange::Line& first = exchange->open(0, true);
  mpi::Exchange::Line& second = exchange->open(0, false);
  return {mpi::make_end(exchange, first), mpi::make_end(exchange, second),
          [exchange = exchange.get(), &first](std::vector<std::byte> bytes) {
            exchange->send(first, std::move(bytes), {});
          }};
}

ChannelBackend over_mpi(const std::string& name, std::size_t piece_bytes) {
  return {name, [piece_bytes](const FrameLimits& limits) {
            return connect_over_mpi(limits, piece_bytes);
          }};
}

INSTANTIATE_TEST_SUITE_P(Mpi, ChannelContract,
                         testing::Values(over_mpi("mpi", std::size_t{256} << 20),
                                         over_mpi("mpi_in_pieces", 700)),
                         [](const auto& backend) { return backend.param.name; });

TEST(MpiChannel, PiecesMustFitWhatMpiCanCount) {
  ChannelOptions options;
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1} << 30}) {
    options.piece_bytes = bytes;
    EXPECT_THROW(mpi::open_channels(options), std::invalid_argument);
  }
}

TEST(MpiChannel, AHeadThatIsNoneIsDamage) {
  for (const std::size_t bytes : {0, 27, 1000}) {
    const ConnectedEnds ends = connect_over_mpi({}, 1000);
    ends.inject_into_second(some_bytes(bytes));
    EXPECT_THROW(static_cast<void>(ends.second->receive(kPatience)), DecodeError) << bytes;
  }
}

TEST(MpiChannel, FramesBeforeTheDamageStillArrive) {
  const ConnectedEnds ends = connect_over_mpi({}, 1000);
  ends.first->send(chunk_frame(1, some_bytes(10)));
  ends.inject_into_second(some_bytes(100));
  EXPECT_EQ(ends.second->receive(kPatience)->body, some_bytes(10));
  EXPECT_THROW(static_cast<void>(ends.second->receive(kPatience)), DecodeError);
}

// The ranks of one job, in lockstep from test to test.
class MpiRanks : public testing::Test {
 protected:
  MpiRanks() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  void open(ChannelOptions options = {}) {
    options.linger = std::chrono::hours(1);  // a test that leaves something behind does not end
    channels_ = mpi::open_channels(options);
  }
  void meet() const { MPI_Barrier(MPI_COMM_WORLD); }
  bool first() const { return rank_ == 0; }
  Channel& up() { return *channels_.to_first; }
  Channel& down(int rank) { return *channels_.to_ranks.at(static_cast<std::size_t>(rank)); }

  int rank_ = 0, size_ = 1;
  Channels channels_;
};

TEST_F(MpiRanks, RankZeroTalksToEach) {
  open();
  EXPECT_EQ(channels_.to_ranks.size(), first() ? static_cast<std::size_t>(size_) : 0);
  up().send(chunk_frame(static_cast<std::uint64_t>(rank_), some_bytes(5)));
  for (int rank = 0; first() && rank < size_; ++rank) {
    EXPECT_EQ(std::get<BlobChunk>(down(rank).receive(kPatience)->message).offset,
              static_cast<std::uint64_t>(rank));
    down(rank).send(chunk_frame(7, some_bytes(6)));
  }
  EXPECT_EQ(up().receive(kPatience)->body, some_bytes(6));
}

TEST_F(MpiRanks, BodiesTravelInPieces) {
  ChannelOptions options;
  options.piece_bytes = 100'000;
  options.limits.max_body_bytes = 64 << 20;
  open(options);
  const auto body = some_bytes(3'000'001);
  if (!first()) up().send(chunk_frame(1, body));
  for (int rank = 1; first() && rank < size_; ++rank) {
    EXPECT_TRUE(down(rank).receive(kPatience)->body == body);
  }
}

TEST_F(MpiRanks, ABodyOverTheLimitIsTakenAwayAndEndsOneConversation) {
  ChannelOptions options;
  options.limits.max_body_bytes = first() ? 1 << 20 : 64 << 20;
  open(options);
  if (rank_ == 1) {
    up().send(chunk_frame(1, some_bytes(20'000'000)));
    EXPECT_THROW(static_cast<void>(up().receive(kPatience)), ChannelClosed);
  }
  if (rank_ > 1) up().send(chunk_frame(1, some_bytes(1000)));
  if (first()) {
    EXPECT_THAT([&] { static_cast<void>(down(1).receive(kPatience)); },
                testing::ThrowsMessage<DecodeError>(
                    testing::HasSubstr("[mpi channel] rank 1: [frame] body bytes")));
    for (int rank = 2; rank < size_; ++rank) EXPECT_TRUE(down(rank).receive(kPatience));
  }
}

TEST_F(MpiRanks, AHeadOverTheLimitIsDamage) {
  ChannelOptions options;
  if (first()) options.limits.max_metadata_bytes = 100;
  open(options);
  for (int rank = 1; first() && rank < size_; ++rank) {
    EXPECT_THROW(static_cast<void>(down(rank).receive(kPatience)), DecodeError);
  }
  if (first()) return;
  up().send({Leave{std::string(1000, 'x')}, {}});
  EXPECT_THROW(static_cast<void>(up().receive(kPatience)), ChannelClosed);
}

TEST_F(MpiRanks, WhoeverClosesIsNotWaitedFor) {
  open();
  if (first()) {
    for (int rank = 1; rank < size_; ++rank) down(rank).close();
  } else {
    EXPECT_THROW(
        {
          for (;;) up().send(chunk_frame(1, some_bytes(1'000'000)));
        },
        ChannelClosed);
  }
}

// Every other rank sends a file to rank 0, which has a part of it already.
TEST_F(MpiRanks, BlobsGoOnWhereTheyWere) {
  open();
  const TemporaryFolder folder;
  const auto bytes = some_bytes(5'000'000);
  if (first()) {
    BlobStore store(folder.path() / "store");
    std::map<int, std::unique_ptr<BlobWriter>> writers;
    const std::span all(bytes);
    for (int rank = 1; rank < size_; ++rank) {
      const auto offer = std::get<BlobOffer>(down(rank).receive(kPatience)->message);
      writers[rank] = std::make_unique<BlobWriter>(store, BlobInfo{offer.sha256, offer.bytes},
                                                   "rank-" + std::to_string(rank));
      if (rank == 1) writers[rank]->append(0, all.first(2'000'000));
      down(rank).send({BlobRequest{offer.sha256, writers[rank]->offset()}, {}});
    }
    for (int rank = 1; rank < size_; ++rank) {
      while (writers[rank]->state() == BlobWriter::State::kOpen) {
        const auto chunk = down(rank).receive(kPatience);
        writers[rank]->append(std::get<BlobChunk>(chunk->message).offset, chunk->body);
      }
      EXPECT_EQ(writers[rank]->state(), BlobWriter::State::kComplete);
    }
    EXPECT_EQ(store.list().size(), 1U);
  } else {
    const auto file = folder.path() / "update";
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    const BlobInfo blob{sha256_hex(bytes), bytes.size()};
    up().send({BlobOffer{blob.sha256, blob.bytes, "update"}, {}});
    const auto request = std::get<BlobRequest>(up().receive(kPatience)->message);
    EXPECT_EQ(request.offset, rank_ == 1 ? 2'000'000U : 0U);
    BlobSender sender(file, blob, request.offset);
    while (const auto chunk = sender.next_chunk()) up().send(*chunk);
  }
}

TEST_F(MpiRanks, WhoWaitsSleeps) {
  open();
  if (first()) {
    const double before = cpu_seconds();
    EXPECT_FALSE(down(0).receive(std::chrono::milliseconds(1000)));
    EXPECT_LT(cpu_seconds() - before, 0.25);  // a spinning rank uses 1; docs/results.md has more
    for (int rank = 1; rank < size_; ++rank) down(rank).close();
  } else {  // does not spin in a barrier meanwhile
    EXPECT_THROW(static_cast<void>(up().receive(kPatience)), ChannelClosed);
  }
}

}  // namespace
}  // namespace fedstill

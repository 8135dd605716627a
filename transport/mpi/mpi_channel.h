#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "transport/channel.h"

// Channels between the ranks of one job, over MPI.
namespace fedstill::mpi {

struct ChannelOptions {
  FrameLimits limits;
  // send() waits while more is on its way, but for one frame of any size. Two chunks: one travels
  // while the next is made, and both stay in a second-level cache, from which the peer reads twice
  // as fast as from memory.
  std::size_t outbox_bytes = std::size_t{3} << 20;
  std::size_t inbox_bytes = std::size_t{8} << 20;  // no more than that is read ahead
  std::size_t piece_bytes = std::size_t{256} << 20;  // of a body in one MPI message; < 1 GiB
  // How long the last of them waits at its end for what it sent to be taken.
  std::chrono::milliseconds linger{10'000};
};

// A star: every rank talks to rank 0, rank 0 to itself too.
struct Channels {
  std::unique_ptr<Channel> to_first;
  std::vector<std::unique_ptr<Channel>> to_ranks;  // on rank 0, by rank; else empty
};

// Every rank must call this, as often as the others; each call makes a communicator of its own, so
// that no other user of MPI is ever met. A rank that waits in a channel sleeps most of the time.
// Bytes move only inside calls to one of the channels: whoever closed one and has nothing to say
// keeps nobody waiting as long as it uses another or destroys them all.
// Requires: MPI is initialised, for more than one thread, and outlives the channels.
// Throws ChannelClosed where MPI is absent or refuses, here and in all calls; std::logic_error
// where it is not initialised, std::invalid_argument for a piece of no or too many bytes.
Channels open_channels(const ChannelOptions& options = {});

}  // namespace fedstill::mpi

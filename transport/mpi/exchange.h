#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "transport/mpi/incoming.h"
#include "transport/mpi/mpi_channel.h"
#include "transport/mpi/outgoing.h"

namespace fedstill::mpi {

// All channels of this rank over one communicator. Whoever waits in one moves the bytes of all,
// under one lock; there is no thread of its own.
class Exchange {
 public:
  explicit Exchange(const ChannelOptions& options);
  ~Exchange();  // waits until what was sent is taken, for options.linger at most
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // The two directions between this rank and a peer; stays with the exchange. A rank that talks to
  // itself has both ends, so it says which one this is.
  struct Line {
    Line(MPI_Comm comm, int peer, bool calls, const ChannelOptions& options,
         std::vector<std::byte>& spare);
    bool is_finished() const { return out.is_done() && in.is_done() && in.is_idle(); }
    int peer;
    Outgoing out;
    Incoming in;
    bool closed = false;  // on this side
  };
  Line& open(int peer, bool calls);

  // As Channel's, of one line.
  void send(Line& line, std::vector<std::byte> head, std::vector<std::byte> body);
  std::optional<Frame> receive(Line& line, std::chrono::milliseconds wait);
  void recycle(std::vector<std::byte> body);
  void close(Line& line);

 private:
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;

  bool advance();  // the one place where anything moves; true if something did
  bool advance_lines();
  bool wait_until(Lock& lock, Clock::time_point until, const std::function<bool()>& holds);
  void nap(Lock& lock, Clock::duration waited, Clock::duration left);
  std::optional<Frame> next_frame(Line& line);
  void close_line(Line& line);
  bool drain();

  const ChannelOptions options_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::byte> spare_;  // for the next body of any line
  std::vector<std::unique_ptr<Line>> lines_;
  Clock::time_point last_look_{};
  std::string failure_;  // MPI's; nothing works any more
};

// One end over a line; destroying it closes the line.
std::unique_ptr<Channel> make_end(std::shared_ptr<Exchange> exchange, Exchange::Line& line);

}  // namespace fedstill::mpi

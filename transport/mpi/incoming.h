#pragma once

#include <mpi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "transport/mpi/mpi_channel.h"
#include "transport/mpi/outgoing.h"

namespace fedstill::mpi {

// The receiving side of a direction. A receive for the next head is always posted while there is
// room; a body is given memory only after its head was checked against the limits.
class Incoming {
 public:
  // `spare` is memory for the next body, if it has any.
  Incoming(MPI_Comm comm, int peer, Tags tags, const ChannelOptions& options,
           std::vector<std::byte>& spare);

  bool advance();  // true if something moved; never blocks; throws ChannelClosed
  std::optional<Frame> pop();
  void discard();  // what comes from now on is taken and thrown away
  bool peer_has_closed() const { return totals_.has_value(); }
  bool is_done() const;  // closed by the peer, and all it sent was taken from MPI
  bool is_idle() const { return head_ == MPI_REQUEST_NULL && end_ == MPI_REQUEST_NULL; }
  const std::string& damage() const { return damage_; }  // why no more frames follow, or nothing

 private:
  bool has_room() const;
  void post_head();
  void post_body(std::size_t bytes);
  bool take_head();
  bool take_body();
  bool take_end();
  bool throw_piece_away();
  void read_head(std::size_t bytes);
  void refuse(const std::string& why);
  void cancel_head();

  MPI_Comm comm_;
  int peer_;
  Tags tags_;
  const ChannelOptions& options_;
  std::vector<std::byte>& spare_;
  std::vector<std::byte> head_bytes_;
  MPI_Request head_ = MPI_REQUEST_NULL, end_ = MPI_REQUEST_NULL;
  std::optional<Frame> frame_;  // its body is on its way
  std::deque<MPI_Request> body_;
  std::deque<Frame> inbox_;
  std::size_t inbox_bytes_ = 0;
  Totals taken_;
  std::array<std::uint64_t, 2> last_words_{};
  std::optional<Totals> totals_;  // the peer has closed
  bool discards_ = false;
  std::string damage_;
};

}  // namespace fedstill::mpi

#pragma once

#include <mpi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace fedstill::mpi {

// How one direction of a channel travels. A frame is a message of its header and metadata, with the
// tag `base`, then its body in pieces with the next tag; a third tag says that nothing follows, and
// how much there was, so that the end is known at once although it may overtake the rest.
struct Tags {
  int head = 0, piece = 1, end = 2;
  explicit Tags(int direction) : head(3 * direction), piece(head + 1), end(head + 2) {}
};
struct Totals {
  std::uint64_t frames = 0, pieces = 0;
  bool operator==(const Totals&) const = default;
};

// The sending side of a direction. What is pushed stays here until the peer took it.
class Outgoing {
 public:
  Outgoing(MPI_Comm comm, int peer, Tags tags, std::size_t piece_bytes)
      : comm_(comm), peer_(peer), tags_(tags), piece_bytes_(piece_bytes) {}

  void push(std::vector<std::byte> head, std::vector<std::byte> body);
  std::size_t held_bytes() const { return held_bytes_; }
  void close();         // nothing is pushed after this
  void drop_waiting();  // the peer closed; before close()
  bool advance();       // true if something moved; never blocks; throws ChannelClosed
  bool is_done() const { return closed_ && queue_.empty() && end_ == MPI_REQUEST_NULL; }

 private:
  struct Parcel {
    std::vector<std::byte> head, body;
    std::vector<MPI_Request> requests;
    std::size_t bytes() const { return head.size() + body.size(); }
  };
  std::size_t pieces_of(const Parcel& parcel) const;
  void start(Parcel& parcel);

  MPI_Comm comm_;
  int peer_;
  Tags tags_;
  std::size_t piece_bytes_;
  std::deque<Parcel> queue_;  // the first started_ are under way
  std::size_t started_ = 0, held_bytes_ = 0;
  Totals totals_;  // of all that was pushed
  bool closed_ = false;
  std::array<std::uint64_t, 2> last_words_{};
  MPI_Request end_ = MPI_REQUEST_NULL;
};

}  // namespace fedstill::mpi

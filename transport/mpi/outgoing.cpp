#include "transport/mpi/outgoing.h"

#include <algorithm>
#include <utility>

#include "transport/mpi/require.h"

namespace fedstill::mpi {
namespace {

constexpr std::size_t kWindow = 4;  // frames under way: one is taken while others travel

}  // namespace

std::size_t Outgoing::pieces_of(const Parcel& parcel) const {
  return (parcel.body.size() + piece_bytes_ - 1) / piece_bytes_;
}

void Outgoing::push(std::vector<std::byte> head, std::vector<std::byte> body) {
  Parcel& parcel = queue_.emplace_back(Parcel{std::move(head), std::move(body), {}});
  held_bytes_ += parcel.bytes();
  ++totals_.frames;
  totals_.pieces += pieces_of(parcel);
}

// Synchronous, so that a head is gone only when the peer has taken it: what the peer does not
// want yet waits here, not in its memory.
void Outgoing::start(Parcel& parcel) {
  require(MPI_Issend(parcel.head.data(), static_cast<int>(parcel.head.size()), MPI_BYTE, peer_,
                     tags_.head, comm_, &parcel.requests.emplace_back(MPI_REQUEST_NULL)),
          "MPI_Issend");
  for (std::size_t at = 0; at < parcel.body.size(); at += piece_bytes_) {
    const auto count = static_cast<int>(std::min(piece_bytes_, parcel.body.size() - at));
    require(MPI_Isend(parcel.body.data() + at, count, MPI_BYTE, peer_, tags_.piece, comm_,
                      &parcel.requests.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Isend");
  }
}

bool Outgoing::advance() {
  bool has_moved = false;
  while (started_ > 0) {
    std::vector<MPI_Request>& requests = queue_.front().requests;
    int flag = 0;
    require(
        MPI_Testall(static_cast<int>(requests.size()), requests.data(), &flag, MPI_STATUSES_IGNORE),
        "MPI_Testall");
    if (flag == 0) break;
    held_bytes_ -= queue_.front().bytes();
    queue_.pop_front();
    --started_;
    has_moved = true;
  }
  for (; started_ < std::min(kWindow, queue_.size()); ++started_) {
    start(queue_[started_]);
    has_moved = true;
  }
  if (end_ != MPI_REQUEST_NULL) {
    int flag = 0;
    require(MPI_Test(&end_, &flag, MPI_STATUS_IGNORE), "MPI_Test");
    has_moved |= flag != 0;
  }
  return has_moved;
}

void Outgoing::drop_waiting() {
  while (queue_.size() > started_) {
    held_bytes_ -= queue_.back().bytes();
    --totals_.frames;
    totals_.pieces -= pieces_of(queue_.back());
    queue_.pop_back();
  }
}

void Outgoing::close() {
  closed_ = true;
  last_words_ = {totals_.frames, totals_.pieces};
  require(MPI_Isend(last_words_.data(), 2, MPI_UINT64_T, peer_, tags_.end, comm_, &end_),
          "MPI_Isend");
}

}  // namespace fedstill::mpi

#include "transport/mpi/incoming.h"

#include <algorithm>
#include <span>
#include <utility>

#include "model/decode_error.h"
#include "transport/archive.h"
#include "transport/mpi/require.h"

namespace fedstill::mpi {
namespace {

constexpr std::size_t kFrameBytes = 1024;  // what a frame in the inbox costs beside its body

// A message longer than the memory given to it is the peer's fault, not MPI's.
enum class Arrival { kNone, kWhole, kTooLong };

Arrival test(MPI_Request& request, MPI_Status& status) {
  int flag = 0, kind = MPI_SUCCESS;
  const int code = MPI_Test(&request, &flag, &status);
  MPI_Error_class(code, &kind);
  if (kind == MPI_ERR_TRUNCATE) {
    if (request != MPI_REQUEST_NULL) MPI_Request_free(&request);  // Open MPI leaves it
    return Arrival::kTooLong;
  }
  require(code, "MPI_Test");
  return flag != 0 ? Arrival::kWhole : Arrival::kNone;
}

std::size_t bytes_of(const MPI_Status& status) {
  int count = 0;
  require(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
  return static_cast<std::size_t>(std::max(0, count));
}

}  // namespace

Incoming::Incoming(MPI_Comm comm, int peer, Tags tags, const ChannelOptions& options,
                   std::vector<std::byte>& spare)
    : comm_(comm),
      peer_(peer),
      tags_(tags),
      options_(options),
      spare_(spare),
      head_bytes_(kFrameHeaderBytes + options.limits.max_metadata_bytes) {
  require(MPI_Irecv(last_words_.data(), 2, MPI_UINT64_T, peer_, tags_.end, comm_, &end_),
          "MPI_Irecv");
  post_head();
}

bool Incoming::advance() {
  bool has_moved = take_end();
  has_moved |= frame_ ? take_body() : take_head();
  if (discards_ && !frame_) has_moved |= throw_piece_away();
  if (head_ == MPI_REQUEST_NULL && !frame_ && has_room()) post_head();
  if (is_done()) cancel_head();
  return has_moved;
}

bool Incoming::is_done() const {
  if (!totals_ || frame_) return false;
  return discards_ ? taken_ == *totals_ : taken_.frames == totals_->frames;
}

bool Incoming::has_room() const {
  if (totals_ && taken_.frames == totals_->frames) return false;
  return discards_ || inbox_bytes_ < options_.inbox_bytes;
}

void Incoming::post_head() {
  require(MPI_Irecv(head_bytes_.data(), static_cast<int>(head_bytes_.size()), MPI_BYTE, peer_,
                    tags_.head, comm_, &head_),
          "MPI_Irecv");
}

void Incoming::cancel_head() {
  if (head_ == MPI_REQUEST_NULL) return;
  require(MPI_Cancel(&head_), "MPI_Cancel");
  require(MPI_Wait(&head_, MPI_STATUS_IGNORE), "MPI_Wait");
}

bool Incoming::take_end() {
  if (end_ == MPI_REQUEST_NULL) return false;
  int flag = 0;
  require(MPI_Test(&end_, &flag, MPI_STATUS_IGNORE), "MPI_Test");
  if (flag != 0) totals_ = Totals{last_words_[0], last_words_[1]};
  return flag != 0;
}

bool Incoming::take_head() {
  if (head_ == MPI_REQUEST_NULL) return false;
  MPI_Status status{};
  const Arrival arrival = test(head_, status);
  if (arrival == Arrival::kNone) return false;
  ++taken_.frames;
  if (discards_) return true;
  if (arrival == Arrival::kTooLong) {
    refuse("a head of more than " + std::to_string(head_bytes_.size()) + " bytes");
  } else {
    read_head(bytes_of(status));
  }
  return true;
}

void Incoming::read_head(std::size_t bytes) {
  try {
    if (bytes < kFrameHeaderBytes) throw DecodeError("a head of " + std::to_string(bytes));
    const std::span head(head_bytes_.data(), bytes);
    const FrameHeader header = decode_header(head.first<kFrameHeaderBytes>(), options_.limits);
    if (header.metadata_bytes != bytes - kFrameHeaderBytes) {
      throw DecodeError("metadata of " + std::to_string(bytes - kFrameHeaderBytes) +
                        " bytes, expected " + std::to_string(header.metadata_bytes));
    }
    ArchiveLimits limits;
    limits.max_bytes = options_.limits.max_metadata_bytes;
    frame_ = Frame{decode_message(header.kind, head.subspan(kFrameHeaderBytes), limits), {}};
    post_body(static_cast<std::size_t>(header.body_bytes));
  } catch (const DecodeError& error) {
    refuse(error.what());
  }
}

void Incoming::post_body(std::size_t bytes) {
  const bool fits = bytes <= spare_.size() && bytes > spare_.size() / 2;
  if (fits) frame_->body = std::exchange(spare_, {});
  frame_->body.resize(bytes);
  for (std::size_t at = 0; at < bytes; at += options_.piece_bytes) {
    const auto count = static_cast<int>(std::min(options_.piece_bytes, bytes - at));
    require(MPI_Irecv(frame_->body.data() + at, count, MPI_BYTE, peer_, tags_.piece, comm_,
                      &body_.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Irecv");
  }
  take_body();  // there may be none
}

// A body's bytes are in their place when all its pieces are there; a piece that is shorter than
// agreed would leave a hole.
bool Incoming::take_body() {
  while (!body_.empty()) {
    MPI_Status status{};
    const Arrival arrival = test(body_.front(), status);
    if (arrival == Arrival::kNone) return false;
    body_.pop_front();
    ++taken_.pieces;
    const std::size_t left = body_.size() * options_.piece_bytes;
    const std::size_t expected = left > 0 ? options_.piece_bytes
                                          : frame_->body.size() - (frame_->body.size() - 1) /
                                                                      options_.piece_bytes *
                                                                      options_.piece_bytes;
    if (arrival == Arrival::kTooLong || bytes_of(status) != expected) {
      refuse("a piece of a body is not " + std::to_string(expected) + " bytes long");
    }
  }
  if (!discards_) {
    inbox_bytes_ += kFrameBytes + frame_->body.size();
    inbox_.push_back(std::move(*frame_));
  }
  frame_.reset();
  return true;
}

// Of a body whose head was refused or thrown away. MPI may crash on a receive that is too short, so
// the bytes get a place for a moment.
bool Incoming::throw_piece_away() {
  int flag = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status{};
  require(MPI_Improbe(peer_, tags_.piece, comm_, &flag, &message, &status), "MPI_Improbe");
  if (flag == 0) return false;
  std::vector<std::byte> unwanted(bytes_of(status));  // as many as the peer holds in one piece
  require(MPI_Mrecv(unwanted.data(), static_cast<int>(unwanted.size()), MPI_BYTE, &message,
                    MPI_STATUS_IGNORE),
          "MPI_Mrecv");
  ++taken_.pieces;
  return true;
}

void Incoming::refuse(const std::string& why) {
  if (damage_.empty()) damage_ = "[mpi channel] rank " + std::to_string(peer_) + ": " + why;
  discards_ = true;  // what came before it can still be popped
}

void Incoming::discard() {
  discards_ = true;
  inbox_.clear();
  inbox_bytes_ = 0;
}

std::optional<Frame> Incoming::pop() {
  if (inbox_.empty()) return std::nullopt;
  Frame frame = std::move(inbox_.front());
  inbox_.pop_front();
  inbox_bytes_ -= kFrameBytes + frame.body.size();
  return frame;
}

}  // namespace fedstill::mpi

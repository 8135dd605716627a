#include "collective/mpi/transfer.h"

#include <cstring>

#include "collective/mpi/check.h"
#include "collective/reduce.h"

namespace fedstill::mpi {
namespace {

using Kind = Operation::Kind;

constexpr int kExchangeTag = 1, kGatherTag = 2;

bool reduces(Kind kind) { return kind == Kind::kAllReduce || kind == Kind::kReduceScatter; }

const std::byte* at(ConstElements elements, std::size_t index) {
  return static_cast<const std::byte*>(elements.data) + index * element_size(elements.type);
}

std::byte* at(Elements elements, std::size_t index) {
  return static_cast<std::byte*>(elements.data) + index * element_size(elements.type);
}

}  // namespace

Transfer::Transfer(MPI_Comm comm, int rank, int ranks, const Operation& operation,
                   const Layout& layout, std::size_t segment)
    : comm_(comm),
      rank_(rank),
      ranks_(ranks),
      operation_(operation),
      layout_(layout),
      segment_(segment) {
  if (reduces(operation_.kind)) exchange();
}

bool Transfer::advance(bool may_gather) {
  const Stage before = stage_;
  if (stage_ == Stage::kExchanging && all_have_come()) {
    if (reduces(operation_.kind)) reduce_blocks();
    stage_ = Stage::kReadyToGather;
  }
  if (stage_ == Stage::kReadyToGather && may_gather) {
    gather();
    stage_ = Stage::kGathering;
  }
  if (stage_ == Stage::kGathering && all_have_come()) stage_ = Stage::kDone;
  return stage_ != before;
}

std::byte* Transfer::received_from(int rank) {
  const std::size_t bytes =
      layout_.own_block(segment_, rank_).count * element_size(operation_.input.type);
  const int place = rank < rank_ ? rank : rank - 1;
  return received_.get() + static_cast<std::size_t>(place) * bytes;
}

void Transfer::exchange() {
  const std::size_t count = layout_.own_block(segment_, rank_).count;
  received_ = std::make_unique_for_overwrite<std::byte[]>(
      count * element_size(operation_.input.type) * static_cast<std::size_t>(ranks_ - 1));
  for (int step = 1; step < ranks_; ++step) {  // not all to rank 0 first
    const int from = (rank_ + ranks_ - step) % ranks_, to = (rank_ + step) % ranks_;
    const Block block = layout_.block(segment_, to);
    receive(received_from(from), count, from, kExchangeTag);
    send(at(operation_.input, block.offset), block.count, to, kExchangeTag);
  }
}

void Transfer::reduce_blocks() {
  const Block block = layout_.block(segment_, rank_), own = layout_.own_block(segment_, rank_);
  const std::byte* input = at(operation_.input, block.offset);
  std::byte* output = at(operation_.output, own.offset);
  if (ranks_ == 1) {
    if (input != output)
      std::memcpy(output, input, block.count * element_size(operation_.input.type));
    return;
  }
  std::vector<const void*> inputs;
  inputs.reserve(static_cast<std::size_t>(ranks_));
  for (int rank = 0; rank < ranks_; ++rank)
    inputs.push_back(rank == rank_ ? input : received_from(rank));
  reduce(inputs, output, own.count, operation_.input.type, operation_.reduction);
}

void Transfer::gather() {
  requests_.clear();
  const Block block = layout_.block(segment_, rank_);
  const auto bytes = static_cast<int>(block.count * element_size(operation_.input.type));
  switch (operation_.kind) {
    case Kind::kReduceScatter:
      return;
    case Kind::kAllReduce:
    case Kind::kAllGather:
      return gather_blocks();
    case Kind::kBroadcast:
      return check(MPI_Ibcast(at(operation_.output, block.offset), bytes, MPI_BYTE, operation_.root,
                              comm_, &requests_.emplace_back(MPI_REQUEST_NULL)),
                   "MPI_Ibcast");
    case Kind::kBarrier:
      return check(MPI_Ibarrier(comm_, &requests_.emplace_back(MPI_REQUEST_NULL)), "MPI_Ibarrier");
  }
}

void Transfer::gather_blocks() {
  const Block own = layout_.own_block(segment_, rank_);
  const std::byte* input = at(operation_.input, own.offset);
  std::byte* output = at(operation_.output, layout_.block(segment_, rank_).offset);
  if (input != output && own.count > 0)
    std::memcpy(output, input, own.count * element_size(operation_.input.type));
  for (int step = 1; step < ranks_; ++step) {
    const int from = (rank_ + ranks_ - step) % ranks_, to = (rank_ + step) % ranks_;
    const Block block = layout_.block(segment_, from);
    receive(at(operation_.output, block.offset), block.count, from, kGatherTag);
    send(output, own.count, to, kGatherTag);
  }
}

void Transfer::send(const void* data, std::size_t elements, int to, int tag) {
  const auto bytes = static_cast<int>(elements * element_size(operation_.input.type));
  check(MPI_Isend(data, bytes, MPI_BYTE, to, tag, comm_, &requests_.emplace_back(MPI_REQUEST_NULL)),
        "MPI_Isend");
}

void Transfer::receive(void* data, std::size_t elements, int from, int tag) {
  const auto bytes = static_cast<int>(elements * element_size(operation_.input.type));
  check(
      MPI_Irecv(data, bytes, MPI_BYTE, from, tag, comm_, &requests_.emplace_back(MPI_REQUEST_NULL)),
      "MPI_Irecv");
}

bool Transfer::all_have_come() {
  int flag = 0;
  check(
      MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &flag, MPI_STATUSES_IGNORE),
      "MPI_Testall");
  return flag != 0;
}

}  // namespace fedstill::mpi

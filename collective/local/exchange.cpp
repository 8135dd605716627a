#include "collective/local/exchange.h"

#include <algorithm>
#include <cstring>

#include "collective/reduce.h"

namespace fedstill::local {
namespace {

using Kind = Operation::Kind;

constexpr std::size_t kPieceBytes = std::size_t{1} << 18;

std::size_t blocks_of(Kind kind, std::size_t ranks) {
  return kind == Kind::kReduceScatter || kind == Kind::kAllGather ? ranks : 1;
}

std::size_t piece_elements(ElementType type) { return kPieceBytes / element_size(type); }

const std::byte* at(ConstElements elements, std::size_t index) {
  return static_cast<const std::byte*>(elements.data) + index * element_size(elements.type);
}

std::byte* at(Elements elements, std::size_t index) {
  return static_cast<std::byte*>(elements.data) + index * element_size(elements.type);
}

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (to != from) std::memcpy(to, from, bytes);
}

}  // namespace

Exchange::Exchange(std::vector<Operation> ranks) : ranks_(std::move(ranks)) {
  const Operation& first = ranks_.front();
  const bool is_identity = ranks_.size() == 1 && first.input.data == first.output.data;
  if (first.kind == Kind::kBarrier || is_identity) return;
  const std::size_t blocks = blocks_of(first.kind, ranks_.size());
  block_ = std::min(first.input.count, first.output.count);
  const std::size_t piece = piece_elements(first.input.type);
  pieces_per_block_ = (block_ + piece - 1) / piece;
  pieces_ = blocks * pieces_per_block_;
}

Exchange::Run Exchange::run_of(std::size_t piece) const {
  const std::size_t length = piece_elements(ranks_.front().input.type);
  const std::size_t begin = piece % pieces_per_block_ * length;
  return {piece / pieces_per_block_, begin, std::min(length, block_ - begin)};
}

void Exchange::reduce_into(void* output, std::size_t offset, std::size_t count) const {
  std::vector<const void*> inputs;
  inputs.reserve(ranks_.size());
  for (const Operation& rank : ranks_) inputs.push_back(at(rank.input, offset));
  reduce(inputs, output, count, ranks_.front().input.type, ranks_.front().reduction);
}

void Exchange::run(std::size_t piece) const {
  const auto [block, begin, count] = run_of(piece);
  const Operation& first = ranks_.front();
  const std::size_t bytes = count * element_size(first.input.type);
  switch (first.kind) {
    case Kind::kAllReduce:
      reduce_into(at(first.output, begin), begin, count);
      for (const Operation& rank : ranks_)
        copy_bytes(at(rank.output, begin), at(first.output, begin), bytes);
      return;
    case Kind::kReduceScatter:
      return reduce_into(at(ranks_[block].output, begin), block * block_ + begin, count);
    case Kind::kAllGather:
      for (const Operation& rank : ranks_)
        copy_bytes(at(rank.output, block * block_ + begin), at(ranks_[block].input, begin), bytes);
      return;
    case Kind::kBroadcast:
      for (const Operation& rank : ranks_)
        copy_bytes(at(rank.output, begin),
                   at(ranks_[static_cast<std::size_t>(first.root)].input, begin), bytes);
      return;
    case Kind::kBarrier:
      return;
  }
}

}  // namespace fedstill::local

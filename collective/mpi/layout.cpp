#include "collective/mpi/layout.h"

#include <algorithm>

namespace fedstill::mpi {
namespace {

using Kind = Operation::Kind;

// A segment has as many bytes as this or up to twice as many, unless it is the only one. Ranks meet
// twice in each, which takes them 10 to 20 µs: as long as a hundred kilobytes.
constexpr std::size_t kMessageBytes = std::size_t{5} << 18;  // of a rank
constexpr std::size_t kMostBytes = std::size_t{1} << 24;     // of all, however many they are

std::size_t least_bytes(Kind kind, std::size_t ranks) {
  if (kind == Kind::kAllReduce) return std::min(kMessageBytes * ranks, kMostBytes);
  return kind == Kind::kBroadcast ? kMessageBytes : std::min(kMessageBytes, kMostBytes / ranks);
}

}  // namespace

Layout::Layout(const Operation& operation, int ranks)
    : kind_(operation.kind),
      ranks_(static_cast<std::size_t>(ranks)),
      count_(std::min(operation.input.count, operation.output.count)),
      segments_(std::max<std::size_t>(
          1, count_ * element_size(operation.input.type) / least_bytes(kind_, ranks_))) {}

Block Layout::run(std::size_t segment) const {
  const std::size_t begin = count_ * segment / segments_;
  return {begin, count_ * (segment + 1) / segments_ - begin};
}

Block Layout::block(std::size_t segment, int rank) const {
  const auto [begin, count] = run(segment);
  const auto index = static_cast<std::size_t>(rank);
  if (kind_ == Kind::kBroadcast) return {begin, count};
  if (kind_ != Kind::kAllReduce) return {index * count_ + begin, count};
  const std::size_t from = count * index / ranks_, to = count * (index + 1) / ranks_;
  return {begin + from, to - from};
}

Block Layout::own_block(std::size_t segment, int rank) const {
  return kind_ == Kind::kAllReduce ? block(segment, rank) : run(segment);
}

}  // namespace fedstill::mpi

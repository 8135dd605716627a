#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/split.h"

namespace fedstill {

using IndexList = std::vector<std::int64_t>;
using IndexLists = std::vector<IndexList>;

// What every scheme deals out: the private images in random order, with the labels of the whole
// training set. Inside the folder only; make_split() is the way in.
struct Deal {
  std::span<const std::int32_t> labels;  // of all training images
  std::int64_t classes = 0;
  IndexList images;  // private ones, shuffled
  const SplitOptions& options;

  std::int32_t label(std::int64_t image) const { return labels[static_cast<std::size_t>(image)]; }
  std::size_t clients() const { return static_cast<std::size_t>(options.clients); }
};

// Each returns one list per client that together hold every image of the deal once, and throws
// DataError for options that cannot be met whatever the draw. The key is of this attempt.
IndexLists split_iid(const Deal& deal, std::uint64_t key);
IndexLists split_dirichlet(const Deal& deal, std::uint64_t key);
IndexLists split_dirichlet_clients(const Deal& deal, std::uint64_t key);
IndexLists split_shards(const Deal& deal, std::uint64_t key);
IndexLists split_classes(const Deal& deal, std::uint64_t key);

// The images of each class, in the order of the deal.
IndexLists by_class(const Deal& deal);

// First index of part `i` when `count` things are cut in `parts` parts whose sizes differ by at
// most one; part `i` ends where `i + 1` begins.
std::size_t part_begin(std::size_t count, std::size_t parts, std::size_t i);

}  // namespace fedstill

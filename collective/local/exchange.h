#pragma once

#include <cstddef>
#include <vector>

#include "collective/collective.h"

namespace fedstill::local {

// What one operation does to the memory of all ranks, cut into pieces that are independent of each
// other: any thread may run any piece in any order, once. Requires: the operations match.
class Exchange {
 public:
  explicit Exchange(std::vector<Operation> ranks);  // ranks[r] is what rank r asked for
  std::size_t pieces() const { return pieces_; }
  void run(std::size_t piece) const;

 private:
  struct Run {  // elements [begin, begin + count) of block `block`
    std::size_t block, begin, count;
  };
  Run run_of(std::size_t piece) const;
  void reduce_into(void* output, std::size_t offset, std::size_t count) const;

  std::vector<Operation> ranks_;
  std::size_t block_ = 0;             // elements of a block
  std::size_t pieces_per_block_ = 0;  // a piece is small enough for the second-level cache
  std::size_t pieces_ = 0;
};

}  // namespace fedstill::local

#pragma once

#include <cstddef>

#include "collective/collective.h"

namespace fedstill::mpi {

struct Block {  // elements [offset, offset + count)
  std::size_t offset = 0, count = 0;
};

// How an operation is cut into equal segments, small enough for caches and far below MPI's 2 GiB,
// and which elements of a segment belong to which rank. A segment of a reduction or gather has one
// block per rank, on the side that holds all ranks' elements; a broadcast's has one.
class Layout {
 public:
  Layout(const Operation& operation, int ranks);
  std::size_t segments() const { return segments_; }     // a barrier and an empty view have one
  Block block(std::size_t segment, int rank) const;      // on the side with all ranks' elements
  Block own_block(std::size_t segment, int rank) const;  // on the side with this rank's only

 private:
  Block run(std::size_t segment) const;

  Operation::Kind kind_;
  std::size_t ranks_;
  std::size_t count_;  // elements that the segments share out
  std::size_t segments_;
};

}  // namespace fedstill::mpi

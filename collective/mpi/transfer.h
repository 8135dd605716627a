#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "collective/collective.h"
#include "collective/mpi/layout.h"

namespace fedstill::mpi {

// The way of one segment through MPI, pairwise between all ranks:
//   exchange   every rank sends each other rank the block that is its to reduce
//   reduce     in rank order, over what has come
//   gather     every rank sends its block to all others (or the root its segment, or all just meet)
// The order in which segments begin to exchange, and that in which they begin to gather, must be
// the same on all ranks, since messages are matched by it.
class Transfer {
 public:
  Transfer(MPI_Comm comm, int rank, int ranks, const Operation& operation, const Layout& layout,
           std::size_t segment);

  bool advance(bool may_gather);  // true if something moved; never blocks
  bool has_begun_to_gather() const { return stage_ >= Stage::kGathering; }
  bool is_done() const { return stage_ == Stage::kDone; }

 private:
  enum class Stage { kExchanging, kReadyToGather, kGathering, kDone };

  void exchange();
  void reduce_blocks();
  void gather();
  void gather_blocks();
  void send(const void* data, std::size_t elements, int to, int tag);
  void receive(void* data, std::size_t elements, int from, int tag);
  bool all_have_come();
  std::byte* received_from(int rank);  // where that rank's block for us goes

  MPI_Comm comm_;
  int rank_, ranks_;
  Operation operation_;
  Layout layout_;
  std::size_t segment_;
  Stage stage_ = Stage::kExchanging;
  std::vector<MPI_Request> requests_;
  std::unique_ptr<std::byte[]> received_;
};

}  // namespace fedstill::mpi

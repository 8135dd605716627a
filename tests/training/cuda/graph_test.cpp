// training/cuda/graph.cpp over stand-ins for what it calls of CUDA.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

#include "stand_ins.h"
#include "training/cuda/module.h"

extern "C" fedstill::DeviceGraph* fedstill_make_cuda_graph_1();

namespace fedstill {
namespace {

using cuda_stand_ins::Fault;
using cuda_stand_ins::state;

class CudaGraph : public ::testing::Test {
 protected:
  CudaGraph() { cuda_stand_ins::reset(); }
  static std::unique_ptr<DeviceGraph> make() {
    return std::unique_ptr<DeviceGraph>(fedstill_make_cuda_graph_1());
  }
  // Of pinned memory LibTorch keeps the name of a pool that nobody uses.
  static void expect_nothing_left() {
    EXPECT_TRUE(state().device.serving.empty() && state().pinned.serving.empty());
    EXPECT_TRUE(state().device.users.empty());
    for (const auto& [pool, users] : state().pinned.users) EXPECT_EQ(users, 0);
  }
};

TEST_F(CudaGraph, GivesBackItsMemoryAndNoOthers) {
  auto first = make(), second = make();
  make().reset();  // records nothing
  first->record([] {});
  second->record([] {});
  EXPECT_EQ(state().device.users.size(), 2U);
  first.reset();
  EXPECT_EQ(state().device.users.size(), 1U);
  second.reset();
  expect_nothing_left();
  EXPECT_FALSE(state().emptied_everything);
}

TEST_F(CudaGraph, ACaptureThatFailsAnywhereLeavesNothing) {
  for (const Fault fault : {Fault::kBegin, Fault::kBeginPinned, Fault::kBeginStream,
                            Fault::kEndStream, Fault::kEmpty, Fault::kInstantiate}) {
    SCOPED_TRACE(static_cast<int>(fault));
    cuda_stand_ins::reset();
    state().fault = fault;
    EXPECT_ANY_THROW(make()->record([] {}));
    expect_nothing_left();
  }
}

TEST_F(CudaGraph, WorkThatFailsIsTheReasonAndLeavesNothing) {
  for (const Fault fault : {Fault::kNone, Fault::kEndStream}) {
    state().fault = fault;
    EXPECT_THROW(make()->record([] { throw std::domain_error("work"); }), std::domain_error);
    expect_nothing_left();
  }
}

TEST_F(CudaGraph, IsNotDestroyedWhileAnotherIsRecorded) {
  auto old = make();
  old->record([] {});
  std::atomic<bool> is_recording{false}, is_ending{false};
  std::jthread other([&] {
    make()->record([&] {
      is_recording = true;
      while (!is_ending) std::this_thread::yield();
      for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // time enough to be disturbed
    });
  });
  while (!is_recording) std::this_thread::yield();
  is_ending = true;
  old.reset();
  other.join();
  EXPECT_FALSE(state().destroyed_in_a_capture);
}

}  // namespace
}  // namespace fedstill

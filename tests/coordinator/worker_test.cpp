#include "coordinator/worker.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace fedstill {
namespace {

TEST(Worker, DoesOneThingAfterTheOtherInOrder) {
  std::vector<int> done;
  std::promise<void> finished;
  Worker worker;
  for (int i = 0; i < 100; ++i) worker.give([&done, i] { done.push_back(i); });
  worker.give([&finished] { finished.set_value(); });
  finished.get_future().get();
  ASSERT_EQ(done.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
}

TEST(Worker, WhatIsUnderWayEndsAndTheRestIsDropped) {
  std::promise<void> began, may_end;
  bool ended = false, dropped = true;
  Worker worker;
  worker.give([&] {
    began.set_value();
    may_end.get_future().get();
    ended = true;
  });
  began.get_future().get();
  worker.give([&] { dropped = false; });
  EXPECT_EQ(worker.waiting(), 2U);
  std::thread stopping([&] { worker.stop(); });
  while (worker.waiting() > 1) std::this_thread::yield();
  may_end.set_value();
  stopping.join();
  worker.give([&] { dropped = false; });
  EXPECT_TRUE(ended);
  EXPECT_TRUE(dropped);
}

}  // namespace
}  // namespace fedstill

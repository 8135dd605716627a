// Tensors this small only lose by a second thread, most of all on a busy machine.
#include <gtest/gtest.h>

#include "training/threads.h"

namespace fedstill {
namespace {

class OneThread : public testing::Environment {
  void SetUp() override { set_thread_count(1); }
};
[[maybe_unused]] const auto* const kOneThread =
    testing::AddGlobalTestEnvironment(new OneThread);  // GoogleTest owns it

}  // namespace
}  // namespace fedstill

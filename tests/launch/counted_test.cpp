#include "launch/counted.h"

#include <gtest/gtest.h>

namespace fedstill {
namespace {

TEST(Counted, OneIsNotMany) {
  EXPECT_EQ(counted(1, "client"), "1 client");
  EXPECT_EQ(counted(0, "client"), "0 clients");
  EXPECT_EQ(counted(40'000, "image"), "40,000 images");
  EXPECT_EQ(counted(1, "class", "classes"), "1 class");
  EXPECT_EQ(counted(2, "class", "classes"), "2 classes");
}

}  // namespace
}  // namespace fedstill

#include "averaging/client_shards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "data/data_error.h"

namespace fedstill {
namespace {

TEST(ClientShards, NobodyOwnsAnImageTwiceBeforeAllAreOwned) {
  const ClientShards shards = deal_evenly(100, 10, 10, 3);
  ASSERT_EQ(shards.clients(), 10);
  const std::set<std::int32_t> owned(shards.rows.begin(), shards.rows.end());
  EXPECT_EQ(owned.size(), 100U);
  for (std::int64_t k = 0; k < 10; ++k) EXPECT_EQ(shards.of(k).size(), 10U);
}

TEST(ClientShards, MoreClientsThanImagesAllowAreDealtImagesAgain) {
  const ClientShards shards = deal_evenly(25, 40, 10, 0);  // two clients a deal, five images over
  ASSERT_EQ(shards.clients(), 40);
  for (std::int64_t k = 0; k < 40; ++k) {
    const auto own = shards.of(k);
    EXPECT_EQ(std::set<std::int32_t>(own.begin(), own.end()).size(), 10U) << "client " << k;
    EXPECT_TRUE(std::ranges::all_of(own, [](std::int32_t row) { return row >= 0 && row < 25; }));
  }
  EXPECT_FALSE(std::ranges::equal(shards.of(0), shards.of(2)));
}

TEST(ClientShards, FollowASplit) {
  const ClientShards shards =
      shards_of({.clients = {{5, 1}, {}, {2}}, .pool = {}, .validation = {}});
  ASSERT_EQ(shards.clients(), 3);
  EXPECT_TRUE(std::ranges::equal(shards.of(0), std::vector<std::int32_t>{5, 1}));
  EXPECT_TRUE(shards.of(1).empty());
  EXPECT_TRUE(std::ranges::equal(shards.of(2), std::vector<std::int32_t>{2}));
}

TEST(ClientShards, RefuseWhatCannotBeDealt) {
  EXPECT_THROW(deal_evenly(10, 3, 11, 0), DataError);
  EXPECT_THROW(deal_evenly(10, 0, 1, 0), std::invalid_argument);
  EXPECT_THROW(deal_evenly(0, 1, 1, 0), std::invalid_argument);
  EXPECT_THROW(deal_evenly(10, std::int64_t{1} << 62, 4, 0), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill

#include "launch/sites/rows.h"

#include <gtest/gtest.h>

#include <string>

namespace fedstill {
namespace {

TEST(Rows, AllAreThereWhereTheyFit) {
  Rows rows;
  for (int i = 0; i < 3; ++i) rows.add({{"i", i}});
  EXPECT_FALSE(rows.is_full());
  const nlohmann::json answer = std::move(rows).under("rows");
  EXPECT_EQ(answer.at("rows").size(), 3U);
  EXPECT_EQ(answer.at("left_out"), 0);
}

TEST(Rows, WhatDoesNotFitIsCountedAndTheAnswerMayBeSent) {
  Rows rows;
  const std::string wide(100'000, 'x');
  for (int i = 0; i < 20; ++i) rows.add(wide);
  EXPECT_TRUE(rows.is_full());
  rows.leave_out(5);
  const nlohmann::json answer = std::move(rows).under("rows");
  EXPECT_GT(answer.at("rows").size(), 5U);
  EXPECT_EQ(answer.at("rows").size() + answer.at("left_out").get<std::size_t>(), 25U);
  EXPECT_LE(answer.dump().size(), kMaxStatusBytes);
}

TEST(Rows, NoneIsAnEmptyList) {
  EXPECT_EQ(Rows().under("rows"),
            (nlohmann::json{{"rows", nlohmann::json::array()}, {"left_out", 0}}));
}

}  // namespace
}  // namespace fedstill

#include "transport/tls/refusals.h"

#include <gtest/gtest.h>

namespace fedstill {
namespace {

using std::chrono::milliseconds;

const SteadyTime kStart{};

// How many of so many refusals at that time make somebody shut out.
int note(Refusals& refusals, const std::string& peer, int times, milliseconds at) {
  int shut_out = 0;
  for (int i = 0; i < times; ++i) shut_out += refusals.note(peer, kStart + at) ? 1 : 0;
  return shut_out;
}

TEST(Refusals, OneTooManyInAWindowShutsOutForAWhile) {
  Refusals refusals({.most = 3, .window = milliseconds{100}, .shut_out = milliseconds{50}});
  EXPECT_EQ(note(refusals, "a", 3, milliseconds{0}), 0);
  EXPECT_FALSE(refusals.is_shut_out("a", kStart));
  EXPECT_EQ(note(refusals, "a", 1, milliseconds{99}), 1);
  EXPECT_TRUE(refusals.is_shut_out("a", kStart + milliseconds{148}));
  EXPECT_FALSE(refusals.is_shut_out("b", kStart + milliseconds{148}));
  EXPECT_FALSE(refusals.is_shut_out("a", kStart + milliseconds{149}));
  EXPECT_EQ(note(refusals, "a", 3, milliseconds{150}), 0);  // it begins anew
  EXPECT_EQ(note(refusals, "a", 1, milliseconds{151}), 1);
}

TEST(Refusals, WhatComesWhileItIsShutOutDoesNotCount) {
  Refusals refusals({.most = 1, .window = milliseconds{100}, .shut_out = milliseconds{50}});
  EXPECT_EQ(note(refusals, "a", 10, milliseconds{0}), 1);
  EXPECT_FALSE(refusals.is_shut_out("a", kStart + milliseconds{50}));
}

TEST(Refusals, FewInEachWindowAreForgiven) {
  Refusals refusals({.most = 3, .window = milliseconds{100}, .shut_out = milliseconds{50}});
  for (int i = 0; i < 50; ++i) EXPECT_EQ(note(refusals, "a", 3, milliseconds{100 * i}), 0);
}

TEST(Refusals, RemembersABoundedNumberAndForgetsTheOldest) {
  Refusals refusals({.most = 1, .max_peers = 10});
  EXPECT_EQ(note(refusals, "known", 2, milliseconds{0}), 1);
  for (int i = 0; i < 9; ++i) note(refusals, std::to_string(i), 1, milliseconds{1});
  EXPECT_TRUE(refusals.is_shut_out("known", kStart + milliseconds{2}));
  for (int i = 9; i < 1000; ++i) note(refusals, std::to_string(i), 1, milliseconds{3});
  EXPECT_EQ(refusals.peers(), 10U);
  EXPECT_FALSE(refusals.is_shut_out("known", kStart + milliseconds{3}));
}

TEST(Refusals, WithoutALimitNobodyIsRemembered) {
  Refusals refusals({.most = 0});
  EXPECT_EQ(note(refusals, "a", 1000, milliseconds{0}), 0);
  EXPECT_EQ(refusals.peers(), 0U);
}

}  // namespace
}  // namespace fedstill

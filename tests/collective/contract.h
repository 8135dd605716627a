#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <ostream>
#include <vector>

#include "collective/collective.h"

// What every backend must do is in contract.cpp, which each test program compiles once. A backend's
// test says INSTANTIATE_TEST_SUITE_P(<Backend>, CollectiveContract,
// testing::ValuesIn(groups_of(run)), group_name).
namespace fedstill {

using Body = std::function<void(const std::vector<Collective*>& groups)>;

struct ContractGroup {
  void (*run)(int size, int groups, const Body& body);  // body on every rank, with `groups` groups
  int size;
  bool drops_nans = false;  // in max and min, as NCCL does
  bool one_order = false;   // all ranks use several groups in the same order, as NCCL wants it
};
inline void PrintTo(const ContractGroup& group, std::ostream* out) { *out << group.size; }

inline std::vector<ContractGroup> groups_of(void (*run)(int, int, const Body&), int largest = 5) {
  std::vector<ContractGroup> groups;
  for (int size = 1; size <= largest; ++size) groups.push_back({run, size});
  return groups;
}

inline std::string group_name(const testing::TestParamInfo<ContractGroup>& info) {
  return "Of" + std::to_string(info.param.size);
}

// What a call says when it fails as a collective does.
inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const CollectiveError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

class CollectiveContract : public testing::TestWithParam<ContractGroup> {
 protected:
  int size() const { return GetParam().size; }
  std::size_t ranks() const { return static_cast<std::size_t>(size()); }
  void run(const std::function<void(Collective&)>& body) const {
    GetParam().run(size(), 1, [&](const std::vector<Collective*>& groups) { body(*groups[0]); });
  }
};

// Numbers of each type, and as what they are reduced.
template <typename T>
struct Number {
  using Sum = T;
  static T make(double value) { return static_cast<T>(value); }
  static Sum sum(T value) { return value; }
};
template <>
struct Number<Bfloat16> {
  using Sum = float;
  static Bfloat16 make(double value) {  // by search, as naive as can be: the nearest, ties to even
    const auto wide = static_cast<float>(value);
    if (std::isnan(wide)) return {0x7fc0};
    const auto down = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(wide) >> 16);
    const auto up = static_cast<std::uint16_t>(down + 1);
    const double below = std::abs(double{wide} - double{sum({down})});
    const double above = std::abs(double{wide} - double{sum({up})});
    if (below == above) return {down % 2 == 0 ? down : up};
    return {below < above ? down : up};
  }
  static float sum(Bfloat16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }
};

template <typename T>
std::vector<T> values_of(int rank, std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto mixed = (static_cast<std::uint64_t>(rank) * 7919 + i) * 2654435761U % 1000;
    const double value = static_cast<double>(mixed) * 0.37;
    values[i] =
        Number<T>::make(std::is_same_v<T, std::uint8_t> ? static_cast<double>(mixed % 250) : value);
  }
  return values;
}

template <typename T>
std::vector<T> reduced(int ranks, std::size_t count, Reduction reduction) {
  std::vector<std::vector<T>> all;
  for (int rank = 0; rank < ranks; ++rank) all.push_back(values_of<T>(rank, count));
  std::vector<T> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto sum = Number<T>::sum(all[0][i]);
    using Sum = decltype(sum);
    for (std::size_t rank = 1; rank < all.size(); ++rank) {
      const Sum next = Number<T>::sum(all[rank][i]);
      if (reduction == Reduction::kSum) sum = static_cast<Sum>(sum + next);
      if (reduction == Reduction::kMax) sum = std::max(sum, next);
      if (reduction == Reduction::kMin) sum = std::min(sum, next);
    }
    if constexpr (std::is_same_v<T, Bfloat16>) {
      result[i] = Number<T>::make(double{sum});
    } else {
      result[i] = sum;
    }
  }
  return result;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace fedstill

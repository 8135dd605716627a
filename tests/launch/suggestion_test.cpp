#include "launch/suggestion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace fedstill {
namespace {

// The definition, without the table.
std::size_t naive_distance(std::string_view a, std::string_view b) {
  if (a.empty()) return b.size();
  if (b.empty()) return a.size();
  const auto x = a.substr(1), y = b.substr(1);
  if (a[0] == b[0]) return naive_distance(x, y);
  return 1 + std::min({naive_distance(x, b), naive_distance(a, y), naive_distance(x, y)});
}

TEST(EditDistance, AgreesWithItsDefinition) {
  const std::vector<std::string> words{"", "a", "ab", "ba", "count", "cuont", "coun", "mount", "x"};
  for (const auto& a : words) {
    for (const auto& b : words)
      EXPECT_EQ(edit_distance(a, b), naive_distance(a, b)) << a << " " << b;
  }
}

TEST(DidYouMean, NamesTheNearestOnlyWhenItIsNear) {
  const std::vector<std::string_view> known{"mean-prob", "entropy", "size"};
  EXPECT_EQ(did_you_mean("entrpy", known), " (did you mean entropy?)");
  EXPECT_EQ(did_you_mean("meanprob", known), " (did you mean mean-prob?)");
  EXPECT_EQ(did_you_mean("convolution", known), "");
  EXPECT_EQ(did_you_mean("x", {}), "");
}

}  // namespace
}  // namespace fedstill

#include "aggregation/rule.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <stdexcept>

#include "tests/aggregation/rule_contract.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

std::vector<std::string> all_rules() {
  std::vector<std::string> names;
  for (const std::string_view name : rule_names()) names.emplace_back(name);
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& rule) {
  std::string name = rule.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Every, RuleContract, testing::ValuesIn(all_rules()), test_name);

TEST(Rule, NamesAreThoseOfTheDocumentation) {
  EXPECT_THAT(
      all_rules(),
      testing::ElementsAre("mean-prob", "mean-logit", "mean-logit-standardised", "size", "max-prob",
                           "entropy", "dlad-softmax", "dlad-ratio", "dlad-odds", "bounded-odds"));
}

TEST(Rule, AnUnknownNameListsTheKnownOnes) {
  try {
    make_rule("meen-prob");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("meen-prob"));
    EXPECT_THAT(error.what(), testing::HasSubstr("mean-prob, mean-logit"));
    EXPECT_THAT(error.what(), testing::HasSubstr("bounded-odds"));
  }
}

TEST(Rule, RefusesOptionsThatAreNotPositiveNumbers) {
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(make_rule("mean-prob", {.temperature = bad}), std::invalid_argument);
    EXPECT_THROW(make_rule("dlad-softmax", {.softmax_temperature = bad}), std::invalid_argument);
    EXPECT_THROW(make_rule("entropy", {.entropy_scale = bad}), std::invalid_argument);
    EXPECT_THROW(make_rule("bounded-odds", {.ratio_clip = bad}), std::invalid_argument);
    EXPECT_THROW(make_rule("bounded-odds", {.share_cap = bad}), std::invalid_argument);
  }
}

class MeasureClients : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "clients.cache";
};

TEST_F(MeasureClients, AgreesWithTheDefinitions) {
  World world = make_world(3, 57, 4, 21);
  world.confidences[0] = 1.0F;
  world.confidences[60] = 0.0F;
  auto cache = PredictionCache::open_or_create(path_, key_of(world));
  EXPECT_THROW(measure_clients(cache), std::invalid_argument);  // nobody is done
  write_world(cache, world);
  const ClientFacts facts = measure_clients(cache), expected = facts_of(world);
  const auto expect_near = [](const at::Tensor& a, const at::Tensor& b) {
    ASSERT_EQ(a.sizes(), b.sizes());
    for (std::int64_t k = 0; k < a.size(0); ++k) {
      EXPECT_NEAR(a[k].item<double>(), b[k].item<double>(), 1e-9 * b[k].item<double>());
    }
  };
  expect_near(facts.sample_counts, expected.sample_counts);
  expect_near(facts.mean_odds, expected.mean_odds);
  expect_near(facts.mean_confidence, expected.mean_confidence);
  expect_near(facts.logit_deviation, expected.logit_deviation);
  expect_near(facts.contradiction, expected.contradiction);
  EXPECT_NEAR(facts.claimed, expected.claimed, 1e-9);
}

}  // namespace
}  // namespace fedstill

#include "launch/bench/scaling_plot.h"

#include <gmock/gmock.h>

namespace fedstill {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(ScalingPlot, HasALineAPointAndANamePerWay) {
  const std::string svg =
      scaling_plot("resnet8 & others", {{"threads", {{1, 1.0}, {2, 1.5}}}, {"a<b", {{4, 3.0}}}});
  EXPECT_THAT(svg, StartsWith("<svg xmlns="));
  EXPECT_THAT(svg, EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("resnet8 &amp; others"));
  EXPECT_THAT(svg, HasSubstr(">threads</text>"));
  EXPECT_THAT(svg, HasSubstr(">a&lt;b</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  // Four ranks: the paper ends at 4, so rank 2 is in the middle of 60 to 480, 1.5 of 4 above 350.
  EXPECT_THAT(svg, HasSubstr("cx=\"270\" cy=\"237.5\""));
}

TEST(ScalingPlot, NothingMeasuredIsAnEmptyPicture) {
  EXPECT_THAT(scaling_plot("", {}), HasSubstr(">ideal</text>"));
}

}  // namespace
}  // namespace fedstill

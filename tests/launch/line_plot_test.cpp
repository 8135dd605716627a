#include "launch/line_plot.h"

#include <gmock/gmock.h>

namespace fedstill {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(LinePlot, HasALinePointsAndANamePerLine) {
  const std::string svg = draw({.title = "resnet8 & others",
                                .x = "ranks",
                                .y = "times one rank",
                                .x_end = 4,
                                .y_end = 4,
                                .lines = {{.name = "threads", .points = {{1, 1.0}, {2, 1.5}}},
                                          {.name = "a<b", .points = {{4, 3.0}}}}});
  EXPECT_THAT(svg, StartsWith("<svg xmlns="));
  EXPECT_THAT(svg, EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("resnet8 &amp; others"));
  EXPECT_THAT(svg, HasSubstr(">threads</text>"));
  EXPECT_THAT(svg, HasSubstr(">a&lt;b</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  // Rank 2 of 4 is in the middle of 60 to 480, 1.5 of 4 above 350.
  EXPECT_THAT(svg, HasSubstr("cx=\"270\" cy=\"237.5\""));
}

TEST(LinePlot, AReferenceIsDashedAndHasNoDots) {
  const std::string svg =
      draw({.lines = {{.name = "ideal", .points = {{0, 0}, {1, 1}}, .is_reference = true}}});
  EXPECT_THAT(svg, HasSubstr("stroke-dasharray"));
  EXPECT_THAT(svg, HasSubstr(">ideal</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("<circle")));
}

TEST(LinePlot, MarksAreRoundNumbers) {
  const std::string svg = draw({.x_end = 30, .y_end = 100});
  for (const char* mark : {">5</text>", ">15</text>", ">30</text>", ">100</text>"}) {
    EXPECT_THAT(svg, HasSubstr(mark));
  }
  EXPECT_THAT(svg, Not(HasSubstr(">3</text>")));
}

}  // namespace
}  // namespace fedstill

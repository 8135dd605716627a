#pragma once

#include <string>
#include <vector>

namespace fedstill {

struct ScalingLine {
  struct Point {
    int ranks = 1;
    double speed_up = 1.0;  // over one rank
  };
  std::string name;
  std::vector<Point> points;
};

// An SVG picture of speed-up over ranks, with the ideal as a dashed line. Complete in itself: no
// fonts, scripts or files from elsewhere.
std::string scaling_plot(const std::string& title, const std::vector<ScalingLine>& lines);

}  // namespace fedstill

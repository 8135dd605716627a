#pragma once

#include <string>
#include <vector>

namespace fedstill {

struct PlotPoint {
  double x = 0.0, y = 0.0;
};
struct PlotLine {
  std::string name;
  std::vector<PlotPoint> points{};
  bool is_reference = false;  // grey and dashed, without dots
};
// Both axes begin at 0 and end where they are told to.
struct LinePlot {
  std::string title{}, x{}, y{};  // and what the axes are
  double x_end = 1.0, y_end = 1.0;
  std::vector<PlotLine> lines{};
};

// An SVG picture. Complete in itself: no fonts, scripts or files from elsewhere.
std::string draw(const LinePlot& plot);

}  // namespace fedstill

#include "launch/bench/scaling_plot.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace fedstill {
namespace {

constexpr double kLeft = 60, kTop = 50, kWidth = 420, kHeight = 300, kLegend = 500;
constexpr std::array<std::string_view, 6> kColours{"#0072b2", "#d55e00", "#009e73",
                                                   "#cc79a7", "#e69f00", "#56b4e9"};

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

// Ranks from left to right, speed-up from bottom to top, both from 0 to the same end.
class Paper {
 public:
  explicit Paper(double end) : end_(end) {}
  std::string x(double ranks) const { return number(kLeft + kWidth * ranks / end_); }
  std::string y(double speed_up) const { return number(kTop + kHeight * (1.0 - speed_up / end_)); }

  void text(const std::string& x, const std::string& y, std::string_view what,
            const std::string& more = "") {
    svg_ += "<text x=\"" + x + "\" y=\"" + y + "\" " + more + ">" + escaped(what) + "</text>\n";
  }
  void polyline(const std::vector<ScalingLine::Point>& points, const std::string& style) {
    svg_ += "<polyline fill=\"none\" " + style + " points=\"";
    for (const auto& point : points) svg_ += x(point.ranks) + "," + y(point.speed_up) + " ";
    svg_ += "\"/>\n";
  }
  void dot(const ScalingLine::Point& point, std::string_view colour) {
    svg_ += "<circle r=\"4\" cx=\"" + x(point.ranks) + "\" cy=\"" + y(point.speed_up) +
            "\" fill=\"" + std::string(colour) + "\"/>\n";
  }
  std::string finished() const {
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 410\" "
           "font-family=\"sans-serif\" font-size=\"13\">\n"
           "<rect width=\"720\" height=\"410\" fill=\"white\"/>\n" +
           svg_ + "</svg>\n";
  }

 private:
  double end_;
  std::string svg_;
};

void draw_axes(Paper& paper, int end) {
  const int step = std::max(1, end / 8);
  for (int i = 0; i <= end; i += step) {
    paper.polyline({{0, double(i)}, {end, double(i)}}, "stroke=\"#ddd\"");
    paper.text(number(kLeft - 10), paper.y(i - 0.02 * end), std::to_string(i),
               "text-anchor=\"end\"");
    paper.text(paper.x(i), number(kTop + kHeight + 20), std::to_string(i),
               "text-anchor=\"middle\"");
  }
  paper.text(number(kLeft + kWidth / 2), number(kTop + kHeight + 42), "ranks",
             "text-anchor=\"middle\"");
  paper.text(number(kLeft), number(kTop - 10), "times one rank", "text-anchor=\"middle\"");
}

}  // namespace

std::string scaling_plot(const std::string& title, const std::vector<ScalingLine>& lines) {
  int most = 2;
  double fastest = 0.0;
  for (const ScalingLine& line : lines) {
    for (const auto& point : line.points) {
      most = std::max(most, point.ranks);
      fastest = std::max(fastest, point.speed_up);
    }
  }
  const int end = std::max(most, static_cast<int>(fastest) + 1);
  Paper paper(end);
  paper.text("20", "22", title, "font-size=\"15\"");
  draw_axes(paper, end);
  paper.polyline({{0, 0.0}, {end, double(end)}}, "stroke=\"#888\" stroke-dasharray=\"6 5\"");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string colour(kColours[i % kColours.size()]);
    paper.polyline(lines[i].points, "stroke-width=\"2\" stroke=\"" + colour + "\"");
    for (const auto& point : lines[i].points) paper.dot(point, colour);
    paper.text(number(kLegend), number(kTop + 20 + 20 * double(i)), lines[i].name,
               "fill=\"" + colour + "\"");
  }
  paper.text(number(kLegend), number(kTop + 20 + 20 * double(lines.size())), "ideal",
             "fill=\"#888\"");
  return paper.finished();
}

}  // namespace fedstill

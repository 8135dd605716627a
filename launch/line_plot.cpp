#include "launch/line_plot.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace fedstill {
namespace {

constexpr double kLeft = 60, kTop = 50, kWidth = 420, kHeight = 300, kLegend = 500;
constexpr std::array<std::string_view, 6> kColours{"#0072b2", "#d55e00", "#009e73",
                                                   "#cc79a7", "#e69f00", "#56b4e9"};

std::string short_number(double value) {
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

// 1, 2 or 5 times a power of ten, so that an axis has five to ten marks.
double distance_of_marks(double end) {
  const double power = std::pow(10.0, std::floor(std::log10(end / 10.0)));
  for (const double times : {1.0, 2.0, 5.0}) {
    if (times * power * 10.0 >= end) return times * power;
  }
  return 10.0 * power;
}

class Paper {
 public:
  Paper(double x_end, double y_end) : x_end_(x_end), y_end_(y_end) {}
  std::string x(double value) const { return short_number(kLeft + kWidth * value / x_end_); }
  std::string y(double value) const {
    return short_number(kTop + kHeight * (1.0 - value / y_end_));
  }

  void text(const std::string& x, const std::string& y, std::string_view what,
            const std::string& more = "") {
    svg_ += "<text x=\"" + x + "\" y=\"" + y + "\" " + more + ">" + escaped(what) + "</text>\n";
  }
  void polyline(const std::vector<PlotPoint>& points, const std::string& style) {
    svg_ += "<polyline fill=\"none\" " + style + " points=\"";
    for (const auto& point : points) svg_ += x(point.x) + "," + y(point.y) + " ";
    svg_ += "\"/>\n";
  }
  void dot(const PlotPoint& point, std::string_view colour) {
    svg_ += "<circle r=\"4\" cx=\"" + x(point.x) + "\" cy=\"" + y(point.y) + "\" fill=\"" +
            std::string(colour) + "\"/>\n";
  }
  std::string finished() const {
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 410\" "
           "font-family=\"sans-serif\" font-size=\"13\">\n"
           "<rect width=\"720\" height=\"410\" fill=\"white\"/>\n" +
           svg_ + "</svg>\n";
  }

 private:
  double x_end_, y_end_;
  std::string svg_;
};

void draw_axes(Paper& paper, const LinePlot& plot) {
  const double x_step = distance_of_marks(plot.x_end), y_step = distance_of_marks(plot.y_end);
  for (int i = 0; i * y_step <= plot.y_end; ++i) {
    paper.polyline({{0, i * y_step}, {plot.x_end, i * y_step}}, "stroke=\"#ddd\"");
    paper.text(short_number(kLeft - 10), paper.y(i * y_step - 0.02 * plot.y_end),
               short_number(i * y_step), "text-anchor=\"end\"");
  }
  for (int i = 0; i * x_step <= plot.x_end; ++i) {
    paper.text(paper.x(i * x_step), short_number(kTop + kHeight + 20), short_number(i * x_step),
               "text-anchor=\"middle\"");
  }
  paper.text(short_number(kLeft + kWidth / 2), short_number(kTop + kHeight + 42), plot.x,
             "text-anchor=\"middle\"");
  paper.text(short_number(kLeft), short_number(kTop - 10), plot.y, "text-anchor=\"middle\"");
}

void draw_line(Paper& paper, const PlotLine& line, std::size_t place, const std::string& colour) {
  paper.polyline(line.points, line.is_reference
                                  ? "stroke=\"" + colour + "\" stroke-dasharray=\"6 5\""
                                  : "stroke-width=\"2\" stroke=\"" + colour + "\"");
  if (!line.is_reference) {
    for (const auto& point : line.points) paper.dot(point, colour);
  }
  paper.text(short_number(kLegend), short_number(kTop + 20 + 20 * static_cast<double>(place)),
             line.name, "fill=\"" + colour + "\"");
}

}  // namespace

std::string draw(const LinePlot& plot) {
  Paper paper(plot.x_end, plot.y_end);
  paper.text("20", "22", plot.title, "font-size=\"15\"");
  draw_axes(paper, plot);
  std::size_t coloured = 0;
  for (std::size_t i = 0; i < plot.lines.size(); ++i) {
    const bool grey = plot.lines[i].is_reference;
    draw_line(paper, plot.lines[i], i,
              grey ? "#888" : std::string(kColours[coloured++ % kColours.size()]));
  }
  return paper.finished();
}

}  // namespace fedstill

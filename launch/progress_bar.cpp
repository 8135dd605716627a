#include "launch/progress_bar.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace fedstill {
namespace {

constexpr int kBarCells = 24;

struct Totals {
  std::int64_t done = 0, total = 0;
};

Totals add_up(const std::vector<Progress::Task>& tasks) {
  Totals sum;
  for (const auto& task : tasks) {
    sum.done += task.done;
    sum.total += task.total;
  }
  return sum;
}

// Eighths of a cell, so that a bar moves smoothly.
std::string bar(double share, bool color, bool finished) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kBarCells * 8));
  std::string cells;
  for (int i = 0; i < eighths / 8; ++i) cells += "█";
  int used = eighths / 8;
  if (eighths % 8 != 0) {
    cells += kEighths[eighths % 8];
    ++used;
  }
  const std::string rest(static_cast<std::size_t>(kBarCells - used), ' ');
  if (!color) return "│" + cells + rest + "│";
  const std::string paint = finished ? "\x1b[32m" : "\x1b[36m";
  return "\x1b[2m│\x1b[0m" + paint + cells + "\x1b[0m" + rest + "\x1b[2m│\x1b[0m";
}

// Cut to so many characters of UTF-8, so that a line never wraps and the redraw stays in place.
std::string cut(const std::string& text, int width) {
  int characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) continue;
    if (++characters > width) return text.substr(0, i);
  }
  return text;
}

std::string percent(double share) {
  char text[16];
  std::snprintf(text, sizeof(text), "%3.0f %%", 100.0 * share);
  return text;
}

std::string task_line(const Progress::Task& task, std::size_t name_width,
                      const ProgressOptions& options) {
  const double share =
      task.total > 0 ? static_cast<double>(task.done) / static_cast<double>(task.total) : 0.0;
  std::string name = task.name;
  name.resize(std::max(name.size(), name_width), ' ');
  const int room = options.width - static_cast<int>(name.size()) - kBarCells - 14;
  const std::string state = task.started ? percent(share) : " wait";
  return "  " + name + " " + bar(share, options.color, task.finished) + " " + state + "  " +
         cut(task.note, std::max(0, room));
}

}  // namespace

std::string duration_text(double seconds) {
  char text[48];
  if (seconds < 59.95) {
    std::snprintf(text, sizeof(text), seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
  } else {
    const auto whole = static_cast<long long>(std::llround(seconds));
    std::snprintf(text, sizeof(text), "%lld min %lld s", whole / 60, whole % 60);
  }
  return text;
}

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

std::string stage_summary(const std::string& stage, const std::vector<Progress::Task>& tasks,
                          double elapsed) {
  const Totals sum = add_up(tasks);
  if (sum.total <= 0) return stage;
  const double share = static_cast<double>(sum.done) / static_cast<double>(sum.total);
  std::string out = stage + "  " + percent(share);
  if (elapsed <= 0.0 || sum.done <= 0) return out;
  const double rate = static_cast<double>(sum.done) / elapsed;
  if (const auto whole = std::llround(rate); whole > 0) out += "  " + grouped(whole) + " images/s";
  if (share < 1.0) {
    out += "  about " + duration_text(static_cast<double>(sum.total - sum.done) / rate) + " left";
  }
  return out;
}

std::vector<std::string> progress_lines(const std::string& stage,
                                        const std::vector<Progress::Task>& tasks, double elapsed,
                                        const ProgressOptions& options) {
  const std::string head = cut(stage_summary(stage, tasks, elapsed), options.width - 1);
  std::vector<std::string> lines{options.color ? "\x1b[1m" + head + "\x1b[0m" : head};
  std::size_t name_width = 0;
  for (const auto& task : tasks) name_width = std::max(name_width, task.name.size());
  // Those at work first where not all fit.
  std::vector<const Progress::Task*> order;
  order.reserve(tasks.size());
  for (const auto& task : tasks) order.push_back(&task);
  const auto room = static_cast<std::size_t>(std::max(1, options.height - 3));
  if (order.size() > room) {
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return (a->started && !a->finished) > (b->started && !b->finished);
    });
  }
  for (std::size_t i = 0; i < std::min(room, order.size()); ++i) {
    lines.push_back(task_line(*order[i], name_width, options));
  }
  return lines;
}

}  // namespace fedstill

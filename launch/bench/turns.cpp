#include "launch/bench/turns.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "launch/counted.h"
#include "launch/progress.h"

namespace fedstill {

double Way::median() const {
  std::vector<double> sorted = found;
  std::ranges::sort(sorted);
  return sorted.empty() ? 0.0 : sorted[sorted.size() / 2];
}

void measure_in_turn(const std::string& stage, std::vector<Way>& ways, std::int64_t repeats,
                     bool quiet, const std::function<void(Way&)>& take) {
  Progress progress(std::cerr, terminal_progress(quiet));
  const auto turns = static_cast<std::int64_t>(ways.size()) * repeats;
  progress.begin_stage(stage, {{.name = "measurements", .note = "", .total = turns}});
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    take(ways[static_cast<std::size_t>(turn) % ways.size()]);
    progress.advance(0, turn + 1);
  }
  progress.end_stage(counted(turns, "measurement"));
  std::erase_if(ways, [](const Way& way) { return way.found.empty(); });
}

std::string fixed(double value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

}  // namespace fedstill

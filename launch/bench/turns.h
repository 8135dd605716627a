#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fedstill {

// One way to do the same work.
struct Way {
  std::string name, beside;  // beside: the way that it is compared with
  int ranks = 1;
  std::function<double()> speed;  // images a second
  std::vector<double> found{};

  double median() const;  // 0 where nothing was found
};

// Lets take() measure every way so often, in turn, so that all see the same machine, with a
// progress bar on stderr. Ways that found nothing are taken out.
void measure_in_turn(const std::string& stage, std::vector<Way>& ways, std::int64_t repeats,
                     bool quiet, const std::function<void(Way&)>& take);

std::string fixed(double value, int digits);  // "12.50"

}  // namespace fedstill

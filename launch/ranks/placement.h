#pragma once

#include <span>
#include <vector>

namespace fedstill {

// Which rank does which piece of work, so that the last is done early: the costliest first, each to
// the rank with the least so far (Graham 1969: at most 4/3 of the best). The same on every machine.
// Requires: ranks >= 1.
std::vector<int> place(std::span<const double> costs, int ranks);

}  // namespace fedstill

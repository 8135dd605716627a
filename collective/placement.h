#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fedstill {

// Which rank does which piece of work, so that the last is done early: the costliest first, each to
// the rank with the least so far (Graham 1969: at most 4/3 of the best). The same on every machine.
// Requires: ranks >= 1.
std::vector<int> place(std::span<const double> costs, int ranks);

// A part of work that can be cut: units [begin, end) of an item, for one of the hands.
struct Piece {
  std::size_t item = 0;
  std::int64_t begin = 0, end = 0;
  std::size_t hand = 0;
};
// Items of so many units each, a unit of item i costing costs[i], cut into as many equal shares as
// there are hands: laid end to end and cut there, between units (McNaughton 1959), so that no share
// is above the mean by more than a unit and few items have two hands. In the order of items and
// units. Requires: hands >= 1.
std::vector<Piece> cut(std::span<const double> costs, std::int64_t units, std::size_t hands);

}  // namespace fedstill

#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "transport/session_messages.h"

namespace fedstill {

// Rows of an answer to an administrator as long as they fit, and how many did not.
class Rows {
 public:
  void add(nlohmann::json row) {
    bytes_ += row.dump().size() + 1;
    if (is_full()) return leave_out(1);
    rows_.push_back(std::move(row));
  }
  bool is_full() const { return bytes_ > kRoom; }
  void leave_out(std::size_t count) { left_out_ += count; }
  nlohmann::json under(const char* name) && {
    return {{name, std::move(rows_)}, {"left_out", left_out_}};
  }

 private:
  static constexpr std::size_t kRoom = kMaxStatusBytes - 8192;  // what is beside the rows is small

  nlohmann::json rows_ = nlohmann::json::array();
  std::size_t bytes_ = 0, left_out_ = 0;
};

// What make(key, value) says of each entry of a map, under a name.
template <typename Map, typename Make>
nlohmann::json rows_of(const Map& entries, const char* name, const Make& make) {
  Rows rows;
  std::size_t others = entries.size();
  for (const auto& [key, value] : entries) {
    rows.add(make(key, value));
    --others;
    if (!rows.is_full()) continue;
    rows.leave_out(others);
    break;
  }
  return std::move(rows).under(name);
}

}  // namespace fedstill

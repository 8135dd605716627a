#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "launch/job.h"

namespace fedstill {

// One key of a job file, bound to the field of one Job. Reading, writing, checking, --set, hashing
// and the job reference all walk the same list.
struct Setting {
  using Value =
      std::variant<std::int64_t*, double*, bool*, std::string*, std::vector<std::string>*>;

  std::string_view section;
  std::string_view key;
  Value value;
  std::string_view comment;
  double low = 0.0, high = 0.0;             // numbers: the range, both included
  std::vector<std::string_view> choices{};  // strings: the known names; empty where any goes
  bool changes_result = true;               // false: only speed and memory depend on it

  std::string name() const;  // "clients.count"
};

// Every setting in the order of the written job. Requires: job outlives the list.
std::vector<Setting> settings_of(Job& job);

// Whether the models and predictions of the first round's clients depend on this setting.
bool concerns_clients(const Setting& setting);

// The value as TOML writes it.
std::string toml_value(const Setting& setting);

// Throws JobError, beginning with the origin, if the value is outside the range or the choices.
void check_setting(const Setting& setting, std::string_view origin);

}  // namespace fedstill

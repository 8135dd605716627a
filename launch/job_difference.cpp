#include "launch/job_difference.h"

namespace fedstill {

std::string difference_text(Job holds, Job asked,
                            const std::function<bool(const Setting&)>& counts) {
  constexpr int kMost = 4;
  const auto held = settings_of(holds), wanted = settings_of(asked);
  std::string out;
  int others = 0;
  for (std::size_t i = 0; i < held.size(); ++i) {
    const std::string here = toml_value(held[i]), there = toml_value(wanted.at(i));
    if (here == there || !counts(held[i]) || ++others > kMost) continue;
    out += (out.empty() ? "" : "; ") + held[i].name() + " = " + here + ", asked for " + there;
  }
  return others <= kMost ? out : out + "; and " + std::to_string(others - kMost) + " more";
}

}  // namespace fedstill

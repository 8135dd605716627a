#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace fedstill {

// Levenshtein distance: insertions, deletions and replacements.
std::size_t edit_distance(std::string_view a, std::string_view b);

// " (did you mean clients.count?)" if a known name is near enough to be a typing error, else "".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

std::string joined(std::span<const std::string_view> names);  // "a, b, c"

}  // namespace fedstill

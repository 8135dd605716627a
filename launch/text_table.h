#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fedstill {

// Columns as wide as their widest cell; cells of the first two columns to the left, the others,
// numbers, to the right. The first row is the head and is underlined.
std::string text_table(std::vector<std::vector<std::string>> rows);

// "1 × 28 × 28"
std::string sizes_text(const std::vector<std::int64_t>& sizes);

}  // namespace fedstill

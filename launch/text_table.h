#pragma once

#include <string>
#include <vector>

namespace fedstill {

// Columns as wide as their widest cell; cells of the first two columns to the left, the others,
// numbers, to the right. The first row is the head and is underlined.
std::string text_table(std::vector<std::vector<std::string>> rows);

}  // namespace fedstill

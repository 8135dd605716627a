#pragma once

#include <cstddef>
#include <string_view>

namespace fedstill {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;  // 0: not UTF-8
};

// The character that the text begins with. Requires: not empty.
Character first_character(std::string_view text);

}  // namespace fedstill

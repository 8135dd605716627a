#pragma once

#include <cstddef>
#include <string_view>

namespace fedstill {

// Text that may come from anybody and go to a terminal, a log or a file name; to_free_text(),
// is_name() and is_sha256() are in transport/message.h.

// Printable UTF-8: no control characters, no overlong forms, no surrogates.
bool is_free_text(std::string_view text, std::size_t max_bytes);
// The same with line feeds and tabs.
bool is_text_of_lines(std::string_view text, std::size_t max_bytes);

}  // namespace fedstill

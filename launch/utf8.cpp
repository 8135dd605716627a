#include "launch/utf8.h"

#include <array>

namespace fedstill {

Character first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  constexpr std::array<char32_t, 5> kLowest{0, 0, 0x80, 0x800, 0x10000};  // or it is overlong
  if (lead < 0xC0 || lead > 0xF7 || text.size() < bytes) return {};
  char32_t code = lead & (0x7FU >> bytes);
  for (const char next : text.substr(1, bytes - 1)) {
    const auto byte = static_cast<unsigned char>(next);
    if ((byte & 0xC0U) != 0x80U) return {};
    code = code << 6 | (byte & 0x3FU);
  }
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kLowest[bytes] || code > 0x10FFFF || surrogate) return {};
  return {code, bytes};
}

}  // namespace fedstill

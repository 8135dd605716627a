#include "launch/outside_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>

namespace fedstill {
namespace {

template <typename Json>
std::string dumped(const Json& value, int indent) {
  return value.dump(indent, ' ', true, Json::error_handler_t::replace);
}

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;  // 0: not UTF-8
};

// The character that the text begins with. Requires: not empty.
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

bool is_between(char32_t code, char32_t first, char32_t last) {
  return code >= first && code <= last;
}

bool may_be_shown(char32_t code) {
  const bool control = code < 0x20 || is_between(code, 0x7F, 0x9F);
  const bool turns = is_between(code, 0x200E, 0x200F) || is_between(code, 0x2028, 0x202E) ||
                     is_between(code, 0x2066, 0x2069);
  return !control && !turns;
}

std::string shown_part(std::string_view text, bool keep_lines) {
  std::string out;
  while (!text.empty()) {
    const Character c = first_character(text);
    const std::size_t bytes = std::max<std::size_t>(1, c.bytes);
    const bool kept = c.bytes > 0 && (may_be_shown(c.code) || (keep_lines && c.code == '\n'));
    out += kept ? text.substr(0, bytes) : "?";
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace

std::string json_text(const nlohmann::json& value, int indent) { return dumped(value, indent); }

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return dumped(value, indent);
}

std::string printable(const std::string& text) { return shown_part(text, false); }

std::string printable_lines(const std::string& text) { return shown_part(text, true); }

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = first_character(text).bytes;
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace fedstill

#include "launch/outside_text.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "launch/utf8.h"
#include "model/decode_error.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

template <typename Json>
std::string dumped(const Json& value, int indent) {
  return value.dump(indent, ' ', true, Json::error_handler_t::replace);
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

namespace {

bool fits_64_bits(const nlohmann::json& value) {
  constexpr double kLimit = 0x1p63;
  if (value.is_number_float()) return std::abs(value.get<double>()) < kLimit;
  return !value.is_structured() || std::ranges::all_of(value, fits_64_bits);
}

}  // namespace

nlohmann::json parse_outside_json(std::string_view text, const std::string& origin) {
  nlohmann::json out = parse_strict_json(text, origin);
  if (!fits_64_bits(out)) throw DecodeError("[" + origin + "] found a number beyond 64 bits");
  return out;
}

}  // namespace fedstill

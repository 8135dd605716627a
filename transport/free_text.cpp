#include "transport/free_text.h"

#include <algorithm>

#include "transport/message.h"

namespace fedstill {
namespace {

// Bytes of the printable UTF-8 character at the front, or 0 if there is none (RFC 3629: no overlong
// forms, no surrogates, nothing past U+10FFFF).
std::size_t character_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  unsigned code = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (at(i) & 0x3F);
  }
  constexpr unsigned kSmallest[] = {0, 0, 0xA0, 0x800, 0x10000};  // U+0080–9F are controls
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return lead < 0xC2 || lead > 0xF4 || code < kSmallest[size] || code > 0x10FFFF || surrogate
             ? 0
             : size;
}

}  // namespace

bool is_free_text(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) return false;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

bool is_text_of_lines(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) return false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    if (!is_free_text(text.substr(0, end), max_bytes)) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

std::string to_free_text(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    const std::string_view next = size == 0 ? std::string_view("?") : text.substr(0, size);
    if (out.size() + next.size() > max_bytes) break;
    out += next;
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

bool is_sha256(std::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 64 && std::all_of(text.begin(), text.end(), is_hex);
}

bool is_name(std::string_view text) {
  constexpr std::size_t kMaxName = 64;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  // A name may end up in a path: neither "." nor ".." nor a hidden file.
  return !text.empty() && text.size() <= kMaxName && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace fedstill

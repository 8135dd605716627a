#include "launch/job_text.h"

#include <cstddef>

#include "launch/job.h"

namespace fedstill {
namespace {

constexpr std::string_view kBeforeAString = "\n=[,{.";

// The text behind a comment or string that begins at its first character; a string without an end
// goes to the end of its line, where the parser will complain.
std::string_view behind(std::string_view text) {
  const char opening = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\n') return text.substr(i);
    if (text[i] == opening && opening != '#') return text.substr(i + 1);
    const bool escapes = text[i] == '\\' && opening == '"';
    if (escapes && i + 1 < text.size() && text[i + 1] != '\n') ++i;
  }
  return {};
}

}  // namespace

void check_job_text(std::string_view text, const std::string& origin) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  int line = 1;
  char before = '\n';  // the last character that is not a blank
  const auto fail = [&](const char* what) {
    throw JobError("[job] " + origin + ":" + std::to_string(line) + ": " + what);
  };
  while (!text.empty()) {
    const char c = text.front();
    if (text.starts_with("\"\"\"") || text.starts_with("'''")) {
      fail("found a string of several lines, expected one in single quotes or double quotes");
    }
    if ((static_cast<unsigned char>(c) & 0x80U) != 0) {
      fail("found a character that is not ASCII outside of a string or comment");
    }
    const bool quotes = c == '"' || c == '\'';
    if (quotes && kBeforeAString.find(before) == std::string_view::npos) {
      fail("found a quote where no string can begin");
    }
    if (c == '\n') ++line;
    if (c != ' ' && c != '\t' && c != '\r') before = c;
    if (quotes || c == '#') {
      text = behind(text);
    } else {
      text.remove_prefix(1);
    }
  }
}

}  // namespace fedstill

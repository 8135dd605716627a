#include "launch/job_text.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "launch/job.h"
#include "launch/utf8.h"

namespace fedstill {
namespace {

bool is_ascii(char c) { return (static_cast<unsigned char>(c) & 0x80U) == 0; }

// One pass over the text, which shrinks while what it becomes grows.
class Transcription {
 public:
  Transcription(std::string_view text, const std::string& origin) : text_(text), origin_(origin) {}

  std::string run() {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
    while (!text_.empty()) take_next();
    return std::move(out_);
  }

 private:
  void take_next() {
    const char c = text_.front();
    if (text_.starts_with("\"\"\"") || text_.starts_with("'''")) {
      fail("found a string of several lines, expected one in single quotes or double quotes");
    }
    if (!is_ascii(c)) fail("found a character that is not ASCII outside of a string or comment");
    if (c == '#') return take_comment();
    if (c == '"' || c == '\'') return take_string();
    if (c == '\n') ++line_;
    out_ += c;
    text_.remove_prefix(1);
  }

  void take_comment() {
    const std::string_view comment = text_.substr(0, text_.find('\n'));
    for (const char c : comment) out_ += is_ascii(c) ? c : '?';
    text_.remove_prefix(comment.size());
  }

  // A string without an end goes to the end of its line, where the parser will complain. Between
  // single quotes nothing can be escaped: with such a character inside they become double quotes.
  void take_string() {
    const char quote = text_.front();
    const std::size_t end = end_of_string(quote);
    const bool is_closed = end < text_.size() && text_[end] == quote;
    const std::string_view inside = text_.substr(1, end - 1);
    const bool is_literal = quote == '\'' && std::ranges::all_of(inside, is_ascii);
    out_ += is_literal ? '\'' : '"';
    write_inside(inside, quote == '\'' && !is_literal);
    if (is_closed) out_ += is_literal ? '\'' : '"';
    text_.remove_prefix(is_closed ? end + 1 : end);
  }

  std::size_t end_of_string(char quote) const {
    std::size_t end = 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      const bool escapes = quote == '"' && text_[end] == '\\' && end + 1 < text_.size();
      end += escapes && text_[end + 1] != '\n' ? 2 : 1;
    }
    return end;
  }

  void write_inside(std::string_view inside, bool escape) {
    bool is_escaped = false;  // by the backslash before
    while (!inside.empty()) {
      const char c = inside.front();
      const Character character = first_character(inside);
      if (character.bytes == 0) fail("found bytes that are not UTF-8");
      if (!is_ascii(c)) {
        if (is_escaped) fail("found a backslash before a character that has no escape");
        write_escaped(character.code);
      } else {
        if (escape && (c == '\\' || c == '"')) out_ += '\\';
        out_ += c;
      }
      is_escaped = !escape && c == '\\' && !is_escaped;
      inside.remove_prefix(character.bytes);
    }
  }

  void write_escaped(char32_t code) {
    char escaped[16];
    std::snprintf(escaped, sizeof(escaped), "\\U%08X", static_cast<unsigned>(code));
    out_ += escaped;
  }

  [[noreturn]] void fail(const char* what) const {
    throw JobError("[job] " + origin_ + ":" + std::to_string(line_) + ": " + what);
  }

  std::string_view text_;
  const std::string& origin_;
  std::string out_;
  int line_ = 1;
};

}  // namespace

std::string ascii_job_text(std::string_view text, const std::string& origin) {
  return Transcription(text, origin).run();
}

}  // namespace fedstill

// The values of settings as text, and what is wrong with them.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "launch/outside_text.h"
#include "launch/settings.h"
#include "launch/suggestion.h"

namespace fedstill {
namespace {

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) {
      out += c;
      continue;
    }
    char escaped[8];
    std::snprintf(escaped, sizeof(escaped), "\\u%04X", static_cast<unsigned>(c));
    out += escaped;
  }
  return out + '"';
}

std::string number(double value) {
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

struct WriteValue {
  std::string operator()(const std::int64_t* v) const { return std::to_string(*v); }
  std::string operator()(const double* v) const { return number(*v); }
  std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
  std::string operator()(const std::string* v) const { return in_quotes(*v); }
  std::string operator()(const std::vector<std::string>* v) const {
    std::string out = "[";
    for (const auto& item : *v) out += (out.size() > 1 ? ", " : "") + in_quotes(item);
    return out + "]";
  }
};

std::string plain(double value) {
  return value == static_cast<double>(static_cast<std::int64_t>(value))
             ? std::to_string(static_cast<std::int64_t>(value))
             : number(value);
}

void check_range(const Setting& setting, double value, std::string_view origin) {
  if (std::isfinite(value) && value >= setting.low && value <= setting.high) return;
  const std::string upper = std::isinf(setting.high) ? "" : " to " + plain(setting.high);
  throw JobError(std::string(origin) + ": " + setting.name() + " = " + toml_value(setting) +
                 ", expected " + plain(setting.low) + (upper.empty() ? " or more" : upper) +
                 (upper.empty() && std::isinf(value) ? " and finite" : ""));
}

// A job file could not say it.
void check_utf8(const Setting& setting, const std::string& value, std::string_view origin) {
  if (is_utf8(value)) return;
  throw JobError(std::string(origin) + ": " + setting.name() + " = \"" + value +
                 "\" is not UTF-8; rename the folder or make a link to it");
}

void check_choice(const Setting& setting, const std::string& value, std::string_view origin) {
  const auto& known = setting.choices;
  if (known.empty() || std::find(known.begin(), known.end(), value) != known.end()) return;
  throw JobError(std::string(origin) + ": " + setting.name() + " = \"" + value + "\" is not known" +
                 did_you_mean(value, known) + "; known: " + joined(known));
}

}  // namespace

std::string toml_value(const Setting& setting) { return std::visit(WriteValue{}, setting.value); }

void check_setting(const Setting& setting, std::string_view origin) {
  if (const auto* integer = std::get_if<std::int64_t*>(&setting.value)) {
    check_range(setting, static_cast<double>(**integer), origin);
  } else if (const auto* real = std::get_if<double*>(&setting.value)) {
    check_range(setting, **real, origin);
  } else if (const auto* text = std::get_if<std::string*>(&setting.value)) {
    check_utf8(setting, **text, origin);
    check_choice(setting, **text, origin);
  } else if (const auto* list = std::get_if<std::vector<std::string>*>(&setting.value)) {
    if ((*list)->empty()) {
      throw JobError(std::string(origin) + ": " + setting.name() +
                     " is empty, expected at least one of: " + joined(setting.choices));
    }
    for (const auto& item : **list) check_choice(setting, item, origin);
  }
}

}  // namespace fedstill

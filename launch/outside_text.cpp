#include "launch/outside_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fedstill {
namespace {

template <typename Json>
std::string dumped(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string json_text(const nlohmann::json& value, int indent) { return dumped(value, indent); }

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return dumped(value, indent);
}

std::string printable(std::string text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

}  // namespace fedstill

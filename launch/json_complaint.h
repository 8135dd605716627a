#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fedstill {

// What a JSON library's error is about, without the number it begins with: "key 'x' not found".
inline std::string complaint_of(const nlohmann::json::exception& error) {
  const std::string what = error.what();
  const auto end = what.find("] ");
  return "is not as fedstill writes it: " +
         (end == std::string::npos ? what : what.substr(end + 2));
}

}  // namespace fedstill

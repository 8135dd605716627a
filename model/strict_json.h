#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fedstill {

// Parses JSON from outside. Refuses duplicate keys (two parsers would see two documents), nesting
// deeper than max_depth, invalid UTF-8 and trailing text. Throws DecodeError "[origin] …".
nlohmann::json parse_strict_json(std::string_view text, const std::string& origin,
                                 std::size_t max_depth = 8);

// A float as a JSON number with as few digits as give back exactly that float. Throws
// std::invalid_argument if it is not finite: JSON has no such number.
nlohmann::json json_of_float(float value);

// Text from outside as an error message may show it: cut to a bounded length.
std::string shown(std::string_view text);

// Reads a JSON object key by key; finish() refuses the keys that nobody read. A missing key, a
// wrong type or a value outside its range is a DecodeError "[origin] …" naming the key.
// Requires: the JSON value outlives the reader.
class StrictObject {
 public:
  StrictObject(const nlohmann::json& value, std::string origin);

  const nlohmann::json& at(const std::string& key);
  const nlohmann::json& object(const std::string& key);
  const nlohmann::json& array(const std::string& key, std::size_t max_size);
  const std::string& text(const std::string& key);
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high);
  float real(const std::string& key);
  std::vector<std::int64_t> integers(const std::string& key, std::size_t max_size);
  std::vector<float> reals(const std::string& key, std::size_t max_size);
  std::vector<std::string> texts(const std::string& key, std::size_t max_size);

  void finish() const;
  [[noreturn]] void fail(const std::string& what) const;  // DecodeError "[origin] what"

 private:
  const nlohmann::json& value_;
  std::string origin_;
  std::set<std::string> read_;
};

}  // namespace fedstill

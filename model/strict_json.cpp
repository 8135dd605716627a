#include "model/strict_json.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "model/decode_error.h"

namespace fedstill {
namespace {

using Json = nlohmann::json;

// Sees every event of the parser before the document grows by it.
class Watch {
 public:
  Watch(const std::string& origin, std::size_t max_depth)
      : origin_(origin), max_depth_(max_depth) {}

  bool operator()(int, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) open();
    if (event == Event::object_end || event == Event::array_end) keys_.pop_back();
    if (event == Event::key && !keys_.back().insert(parsed.get<std::string>()).second) {
      throw DecodeError("[" + origin_ + "] JSON key '" +
                        shown(parsed.get_ref<const std::string&>()) + "' appears twice");
    }
    return true;
  }

 private:
  void open() {
    keys_.emplace_back();
    if (keys_.size() > max_depth_) {
      throw DecodeError("[" + origin_ + "] JSON is nested deeper than " +
                        std::to_string(max_depth_));
    }
  }

  const std::string& origin_;
  std::size_t max_depth_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

std::string shown(std::string_view text) {
  constexpr std::size_t kLimit = 120;
  if (text.size() <= kLimit) return std::string(text);
  std::size_t end = kLimit;  // not within a character: a byte 10xxxxxx goes on with the one before
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "…";
}

Json parse_strict_json(std::string_view text, const std::string& origin, std::size_t max_depth) {
  Watch watch(origin, max_depth);
  try {
    return Json::parse(text.begin(), text.end(), std::ref(watch));
  } catch (const Json::parse_error& error) {
    throw DecodeError("[" + origin + "] found damaged JSON at byte " + std::to_string(error.byte));
  } catch (const Json::exception& error) {
    throw DecodeError("[" + origin + "] " + shown(error.what()));
  }
}

Json json_of_float(float value) {
  if (!std::isfinite(value)) throw std::invalid_argument("[json] a float is not finite");
  char digits[32];
  const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  double wide = 0.0;
  std::from_chars(digits, end, wide);
  // Rounding twice (decimal → double → float) could miss a float; then all digits are written.
  return static_cast<float>(wide) == value ? wide : static_cast<double>(value);
}

StrictObject::StrictObject(const Json& value, std::string origin)
    : value_(value), origin_(std::move(origin)) {
  if (!value_.is_object()) {
    fail(std::string("found ") + value_.type_name() + ", expected object");
  }
}

void StrictObject::fail(const std::string& what) const {
  throw DecodeError("[" + origin_ + "] " + what);
}

const Json& StrictObject::at(const std::string& key) {
  const auto found = value_.find(key);
  if (found == value_.end()) fail("key '" + key + "' is missing");
  read_.insert(key);
  return *found;
}

const Json& StrictObject::object(const std::string& key) {
  const Json& value = at(key);
  if (!value.is_object()) fail("'" + key + "' is not an object");
  return value;
}

const Json& StrictObject::array(const std::string& key, std::size_t max_size) {
  const Json& value = at(key);
  if (!value.is_array()) fail("'" + key + "' is not an array");
  if (value.size() > max_size) {
    fail("'" + key + "' has " + std::to_string(value.size()) + " elements, limit " +
         std::to_string(max_size));
  }
  return value;
}

const std::string& StrictObject::text(const std::string& key) {
  const Json& value = at(key);
  if (!value.is_string()) fail("'" + key + "' is not a string");
  return value.get_ref<const std::string&>();
}

namespace {

bool fits(const Json& value, std::int64_t low, std::int64_t high) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return false;
  }
  const auto number = value.get<std::int64_t>();
  return low <= number && number <= high;
}

bool fits_float(const Json& value) {
  return value.is_number() && std::isfinite(static_cast<float>(value.get<double>()));
}

}  // namespace

std::int64_t StrictObject::integer(const std::string& key, std::int64_t low, std::int64_t high) {
  const Json& value = at(key);
  if (!fits(value, low, high)) {
    fail("'" + key + "' is not an integer from " + std::to_string(low) + " to " +
         std::to_string(high));
  }
  return value.get<std::int64_t>();
}

float StrictObject::real(const std::string& key) {
  const Json& value = at(key);
  if (!fits_float(value)) fail("'" + key + "' is not a finite float");
  return static_cast<float>(value.get<double>());
}

std::vector<std::int64_t> StrictObject::integers(const std::string& key, std::size_t max_size) {
  std::vector<std::int64_t> values;
  for (const Json& element : array(key, max_size)) {
    if (!fits(element, std::numeric_limits<std::int64_t>::min(),
              std::numeric_limits<std::int64_t>::max())) {
      fail("'" + key + "' holds something other than integers");
    }
    values.push_back(element.get<std::int64_t>());
  }
  return values;
}

std::vector<float> StrictObject::reals(const std::string& key, std::size_t max_size) {
  std::vector<float> values;
  for (const Json& element : array(key, max_size)) {
    if (!fits_float(element)) fail("'" + key + "' holds something other than finite floats");
    values.push_back(static_cast<float>(element.get<double>()));
  }
  return values;
}

std::vector<std::string> StrictObject::texts(const std::string& key, std::size_t max_size) {
  std::vector<std::string> values;
  for (const Json& element : array(key, max_size)) {
    if (!element.is_string()) fail("'" + key + "' holds something other than strings");
    values.push_back(element.get<std::string>());
  }
  return values;
}

void StrictObject::finish() const {
  for (const auto& [key, value] : value_.items()) {
    if (!read_.contains(key)) fail("unknown key '" + shown(key) + "'");
  }
}

}  // namespace fedstill

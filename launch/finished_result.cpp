#include "launch/finished_result.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "launch/outside_text.h"
#include "model/decode_error.h"
#include "model/text_file.h"

namespace fedstill {

std::optional<nlohmann::json> finished_result(
    const RunFolder& folder, std::string_view name, std::size_t max_bytes,
    const std::function<bool(const nlohmann::json&)>& is_whole) {
  const auto file = folder.file(name);
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    nlohmann::json result = parse_outside_json(read_text(file, max_bytes), file.string());
    if (is_whole(result)) return result;
  } catch (const DecodeError&) {
  } catch (const nlohmann::json::exception&) {
  }
  return std::nullopt;
}

}  // namespace fedstill

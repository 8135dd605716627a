#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace fedstill {

// Classifies images with a bundle: {"images": [{"image", "class", "name", "probability"}, …]}. A
// file is a PNG, whatever its name, or an IDX file of many images, plain or gzip. "note" with an
// image that was changed to fit. Throws InputError, and DataError where a file is none of both or
// an image does not have the bundle's size.
nlohmann::json predict_files(const std::filesystem::path& bundle,
                             const std::vector<std::filesystem::path>& images);
std::string prediction_text(const nlohmann::json& predictions);

}  // namespace fedstill

#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fedstill {

// Accuracy of a bundle (in integers) or of a model file (in float) on the test images of a source:
// {"model", "kind", "data", "part", "images", "test_accuracy", "per_class"}. Without a source it is
// that of the run that the file lies in, else fashion-mnist. part: "own" of a site's folder, which
// has no test images: all that are in it are measured on; else "test". A model file is normalised
// as the bundle or fedavg.json of its run says, or by the source's training images where there is
// none. "warning" then, and where a bundle's class names are not the source's. device: of a model
// file's answers.
nlohmann::json evaluate_file(const std::filesystem::path& model, const std::string& source = "",
                             const std::string& device = "cpu");
std::string evaluation_text(const nlohmann::json& evaluation);

}  // namespace fedstill

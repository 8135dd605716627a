#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fedstill {

// Accuracy of a bundle (in integers) or of a model file (in float) on the test images of a source:
// {"model", "kind", "data", "images", "test_accuracy", "per_class"}. A model file is normalised as
// the report or bundle of its run says, or by the source's training images where there is none.
// "warning" where a bundle's class names are not the source's. device: of a model file's answers.
nlohmann::json evaluate_file(const std::filesystem::path& model, const std::string& source,
                             const std::string& device = "cpu");
std::string evaluation_text(const nlohmann::json& evaluation);

}  // namespace fedstill

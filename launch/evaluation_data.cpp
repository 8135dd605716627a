#include "launch/evaluation_data.h"

#include <filesystem>
#include <string_view>
#include <system_error>

namespace fedstill {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kIdx = "idx:";

bool has(const fs::path& folder, const char* name) {
  std::error_code ignored;
  return fs::exists(folder / name, ignored) ||
         fs::exists(folder / (std::string(name) + ".gz"), ignored);
}

// What shards writes, and what client --data reads.
bool is_site(const std::string& source) {
  if (!source.starts_with(kIdx)) return false;
  const fs::path folder = source.substr(kIdx.size());
  const bool has_own =
      has(folder, "train-images-idx3-ubyte") || has(folder, "train-images-idx4-ubyte");
  return has_own && !has(folder, "t10k-images-idx3-ubyte") &&
         !has(folder, "t10k-labels-idx1-ubyte");
}

}  // namespace

EvaluationData read_evaluation_data(const std::string& source) {
  if (!is_site(source)) return {source, read_source(source), false};
  const Dataset own = read_labelled(source);
  return {source, {own, own}, true};
}

void name_classes(EvaluationData& data, const std::vector<std::string>& names) {
  const std::size_t found = data.sets.test.class_names.size();
  const bool fits = data.is_own ? found <= names.size() : found == names.size();
  if (!data.source.starts_with(kIdx) || !fits) return;
  data.sets.train.class_names = data.sets.test.class_names = names;
}

}  // namespace fedstill

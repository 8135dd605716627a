#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/split.h"

namespace fedstill::tests {

using Labels = std::vector<std::int32_t>;

inline Labels balanced_labels(std::int64_t count, std::int64_t classes) {
  Labels labels;
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<std::int32_t>(i * 7 % classes));
  }
  return labels;
}

inline SplitOptions small_options(const std::string& scheme, std::uint64_t seed = 0) {
  SplitOptions options;
  options.scheme = scheme;
  options.clients = 5;
  options.private_count = 1203;  // no multiple of the clients
  options.pool_count = 300;
  options.validation_count = 97;
  options.alpha = 0.3;
  options.minimum = 10;
  options.seed = seed;
  return options;
}

inline const Labels kLabels = balanced_labels(2000, 10);

inline Split small_split(const SplitOptions& options) { return make_split(kLabels, 10, options); }

inline std::map<std::int32_t, std::int64_t> class_counts(const std::vector<std::int64_t>& images,
                                                         const Labels& labels = kLabels) {
  std::map<std::int32_t, std::int64_t> counts;
  for (const std::int64_t image : images) ++counts[labels[static_cast<std::size_t>(image)]];
  return counts;
}

}  // namespace fedstill::tests

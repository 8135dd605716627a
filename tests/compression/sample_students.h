#pragma once

#include <numeric>
#include <string_view>

#include "data/batches.h"
#include "data/synthetic.h"
#include "model/builder.h"
#include "model/zoo.h"

namespace fedstill::test {

inline constexpr ImageShape kSmallImage{1, 16, 16};
inline constexpr std::int64_t kClasses = 6;

inline const TrainTest& small_images() {
  static const TrainTest images = make_synthetic(kSmallImage, kClasses, 320, 400, 3);
  return images;
}

inline ImageView view_of(const Dataset& dataset) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(dataset.images->count()));
  std::iota(all.begin(), all.end(), 0);
  return {dataset.images, all};
}

inline ImageView calibration_images() { return view_of(small_images().train); }
inline ImageView test_images() { return view_of(small_images().test); }

inline const Normalisation& small_normalisation() {
  static const Normalisation normalisation = measure_normalisation(calibration_images());
  return normalisation;
}

// Trained for some seconds' worth of steps: logits that mean something.
Graph trained(std::string_view name, const Dataset& images, const Normalisation& normalisation,
              std::int64_t epochs);

inline Graph untrained(std::string_view name, std::uint64_t seed = 1) {
  return make_model(name, kSmallImage, kClasses, seed);
}

}  // namespace fedstill::test

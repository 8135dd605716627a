#pragma once

#include <cstdint>
#include <string_view>

#include "data/readers.h"

namespace fedstill {

// A small labelled image set that needs no download: every class is a smooth random pattern; an
// image is its class's pattern shifted, changed in contrast, mixed with another class's and noisy.
// A small network learns it in seconds, and not perfectly. The same arguments give the same bytes
// on every machine. Throws std::invalid_argument for sizes below one (or two classes).
TrainTest make_synthetic(const ImageShape& shape, std::int64_t classes, std::int64_t train,
                         std::int64_t test, std::uint64_t seed);

// What "synthetic:SIZES" stands for: 6,000 training and 1,000 test images, by default 10 classes of
// 1 × 28 × 28. SIZES is empty or CLASSESxCHANNELSxHEIGHTxWIDTH; throws DataError if it is not.
TrainTest read_synthetic(std::string_view sizes);

}  // namespace fedstill

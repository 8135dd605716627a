#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "training/batch_source.h"

namespace fedstill {

// Balanced batches of rows that are already numbers, e.g. features: half of every batch from the
// positives [P, F] (target 1), half from the negatives [Q, F] (target 0); an epoch walks the larger
// of the two once. Throws std::invalid_argument if either is empty or batch < 2.
std::unique_ptr<BatchSource> make_balanced_rows(at::Tensor positives, at::Tensor negatives,
                                                std::int64_t batch, std::uint64_t seed);

// The same batches as one epoch of exactly so many steps, over as many of the inner epochs as it
// takes.
std::unique_ptr<BatchSource> make_one_epoch(std::unique_ptr<BatchSource> inner, std::int64_t steps);

}  // namespace fedstill

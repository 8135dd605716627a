#pragma once

#include <memory>

#include "training/batch_source.h"

namespace fedstill {

// Batches of two sources side by side: the rows of the first, then those of the second, whose
// targets must be of one type and width. An epoch is one of the first source; the second goes on
// through its own epochs for as long as it takes.
std::unique_ptr<BatchSource> make_paired_batches(std::unique_ptr<BatchSource> first,
                                                 std::unique_ptr<BatchSource> second);

}  // namespace fedstill

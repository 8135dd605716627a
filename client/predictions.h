#pragma once

#include <filesystem>
#include <string>

#include "data/batches.h"
#include "data/images.h"
#include "model/graph.h"

namespace fedstill {

// What a model with the outputs "logits" and "confidence" says about the pool, as the file that
// leaves the site instead of the model. Logits are clipped to what the file takes. Throws what
// predict() and write_predictions_file() throw.
void write_predictions(const Graph& graph, const ImageView& pool,
                       const Normalisation& normalisation, const std::string& pool_hash,
                       const std::filesystem::path& file);

}  // namespace fedstill

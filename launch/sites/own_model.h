#pragma once

#include <memory>
#include <string>

#include "model/graph.h"

namespace fedstill {

// What a site trains first: what `client --model` names.
struct OwnModel {
  std::string architecture;            // as which it joins
  std::string content;                 // the architecture, or the hash of the file's network
  std::shared_ptr<const Graph> start;  // to go on from; nothing: a fresh one of the architecture
};
// named: an architecture of the zoo, or else a model file with the output "logits"; what else it
// answers is left out. Throws UsageError for what is neither, DecodeError for a damaged file,
// DataError for a network without logits.
OwnModel own_model(const std::string& named);

}  // namespace fedstill

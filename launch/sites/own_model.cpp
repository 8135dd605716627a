#include "launch/sites/own_model.h"

#include <algorithm>
#include <filesystem>

#include "data/data_error.h"
#include "launch/command_line.h"
#include "launch/suggestion.h"
#include "model/edit.h"
#include "model/model_file.h"
#include "model/zoo.h"
#include "transport/message.h"

namespace fedstill {

OwnModel own_model(const std::string& named) {
  const auto known = zoo_names();
  if (std::ranges::find(known, named) != known.end()) return {named, named, nullptr};
  if (!std::filesystem::is_regular_file(named)) {
    throw UsageError("--model: neither a model file nor an architecture: " + named +
                     did_you_mean(named, known) + "; known: " + joined(known));
  }
  const Graph graph = read_model(named);
  if (!graph.outputs.contains("logits")) {
    throw DataError("[client] " + named + ": a model without the output logits");
  }
  auto start = std::make_shared<const Graph>(extract(graph, {"logits"}));
  return {to_free_text(start->architecture, 64), "sha256:" + model_hash(*start), start};
}

}  // namespace fedstill

#include "launch/stages/accuracy.h"

#include <string>
#include <vector>

#include "training/predict.h"

namespace fedstill {

double accuracy_on(const Graph& graph, const Shard& images, const Run& run,
                   const Material& material) {
  if (images.labels.empty()) return 0.0;
  const std::vector<std::string> outputs{"logits"};
  const auto scores =
      predict(graph, outputs, images.images, material.normalisation, {.device = run.device});
  return accuracy(scores.front(), images.labels);
}

}  // namespace fedstill

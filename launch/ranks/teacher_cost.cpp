#include "launch/ranks/teacher_cost.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "model/cost.h"
#include "model/model_file.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

// The first block warms up, the others are timed.
constexpr std::int64_t kBlock = 64, kBlocks = 3;

std::string kind_of(const Graph& graph) {
  const Cost cost = total_cost(graph);
  return graph.architecture + " " + std::to_string(cost.multiply_adds) + " " +
         std::to_string(cost.activation_bytes);
}

std::vector<std::string> outputs_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const auto& [name, node] : graph.outputs) names.push_back(name);
  return names;
}

}  // namespace

double TeacherCosts::seconds_per_image(const Teacher& teacher) {
  const Graph graph = read_model(teacher.model);
  const auto [found, is_new] = known_.try_emplace(kind_of(graph));
  if (is_new) found->second = measure(graph);
  return found->second;
}

double TeacherCosts::measure(const Graph& graph) const {
  using Clock = std::chrono::steady_clock;
  const auto& rows = images_.indices;
  const std::int64_t count = std::min(images_.count(), kBlock * kBlocks);
  const ImageView few{images_.images, {rows.begin(), rows.begin() + count}};
  auto began = Clock::now();
  PredictOptions options{.block = kBlock, .on_block = {}, .device = device_};
  options.on_block = [&](std::int64_t done) {
    if (done == kBlock && done < count) began = Clock::now();
  };
  set_thread_count(1);
  predict(graph, outputs_of(graph), few, normalisation_, options);
  const std::chrono::duration<double> spent = Clock::now() - began;
  return spent.count() / static_cast<double>(count > kBlock ? count - kBlock : count);
}

}  // namespace fedstill

#include "training/fit_identity.h"

#include <sstream>

#include "model/sha256.h"

namespace fedstill {
namespace {

void add_facts(std::vector<Checkpoint::Fact>& facts, const OptimizerOptions& options) {
  facts.push_back({"optimizer", options.name});
  facts.push_back({"learning rate", to_text(options.learning_rate)});
  facts.push_back({"momentum", to_text(options.momentum)});
  facts.push_back({"nesterov", options.nesterov ? "on" : "off"});
  facts.push_back({"beta1", to_text(options.beta1)});
  facts.push_back({"beta2", to_text(options.beta2)});
  facts.push_back({"epsilon", to_text(options.epsilon)});
  facts.push_back({"weight decay", to_text(options.weight_decay)});
}

void add_facts(std::vector<Checkpoint::Fact>& facts, const ScheduleOptions& options) {
  facts.push_back({"schedule", options.name});
  facts.push_back({"warm-up steps", std::to_string(options.warm_up_steps)});
  if (options.name != "step") return;
  facts.push_back({"step factor", to_text(options.step_factor)});
  for (const double fraction : options.step_at) facts.push_back({"step at", to_text(fraction)});
}

// Structure by operators and names, values by the hash of what the parameters start from.
void add_facts(std::vector<Checkpoint::Fact>& facts, Executor& executor) {
  for (const Node& node : executor.graph().nodes) {
    facts.push_back({"node", node.name + " " + std::string(op_name(node.op))});
  }
  Sha256 hash;
  for (const Executor::Parameter& parameter : executor.parameters()) {
    facts.push_back({"parameter", parameter.name + (parameter.trained ? "" : " (not trained)")});
    hash.update(to_rows(parameter.value).bytes());
  }
  facts.push_back({"initial values", hash.hex()});
}

}  // namespace

std::string to_text(double value) {
  std::ostringstream text;
  text.precision(17);
  text << value;
  return text.str();
}

Tensor to_rows(const at::Tensor& value) {
  const at::Tensor rows = value.detach().to(at::kCPU).contiguous(at::MemoryFormat::Contiguous);
  return Tensor::of_floats(rows.sizes().vec(),
                           {rows.const_data_ptr<float>(), static_cast<std::size_t>(rows.numel())});
}

std::vector<Checkpoint::Fact> fit_identity(const FitOptions& options, std::int64_t epochs,
                                           std::int64_t steps_per_epoch, Executor& executor) {
  std::vector<Checkpoint::Fact> facts{
      {"epochs", std::to_string(epochs)},
      {"steps per epoch", std::to_string(steps_per_epoch)},
      {"seed", std::to_string(options.seed)},
      {"clip norm", to_text(options.clip_norm)},
  };
  if (options.accumulate > 1) facts.push_back({"accumulate", std::to_string(options.accumulate)});
  if (const int ranks = options.parallel.ranks(); ranks > 1) {
    facts.push_back({"ranks", std::to_string(ranks)});
    if (options.parallel.shared_batch_norm) facts.push_back({"batch norm", "shared"});
    if (options.parallel.bf16) facts.push_back({"gradients", "bfloat16"});
  }
  add_facts(facts, options.optimizer);
  add_facts(facts, options.schedule);
  add_facts(facts, executor);
  return facts;
}

}  // namespace fedstill

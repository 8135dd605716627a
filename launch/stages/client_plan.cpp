#include "launch/stages/client_plan.h"

#include <algorithm>

#include "launch/stages/clients.h"
#include "launch/stages/run.h"
#include "model/cost.h"
#include "model/zoo.h"

namespace fedstill {
namespace {

// Activations, their gradients and the unfolded copies of a convolution.
constexpr std::int64_t kActivationCopies = 4;
// Values, gradients, momentum, a snapshot and the encoded file.
constexpr std::int64_t kParameterCopies = 5;
// What the head does with an image beside a body of ordinary size, in multiply-adds.
constexpr double kHeadMultiplyAdds = 1.2e6;

LocalOptions local_options(const Job& job, const std::string& architecture, std::size_t index) {
  const auto& c = job.clients;
  LocalOptions options;
  options.architecture = architecture;
  options.epochs = c.epochs;
  options.minimum_steps = c.min_steps;
  options.batch = c.batch;
  options.learning_rate = c.learning_rate;
  options.warm_up_steps = c.warm_up_steps;
  options.weight_decay = c.weight_decay;
  options.clip_norm = c.clip_norm;
  options.augmentation = {static_cast<int>(c.crop_padding), c.flip, static_cast<float>(c.erase)};
  options.bf16 = job.run.bf16;
  options.seed = seed_of(job, Stream::kClient, index);
  return options;
}

HeadOptions head_options(const Job& job, std::size_t index) {
  HeadOptions options;
  options.form = job.head.form;
  options.steps = job.head.steps;
  options.batch = job.head.batch;
  options.learning_rate = job.head.learning_rate;
  options.weight_decay = job.head.weight_decay;
  options.dropout = job.head.dropout;
  options.seed = seed_of(job, Stream::kHead, index);
  return options;
}

}  // namespace

ClientPlan plan_client(const Job& job, const Material& material, std::size_t index) {
  const auto& models = job.clients.models;
  ClientPlan plan;
  plan.name = client_name(index, material.shards.size());
  plan.architecture = models[index % models.size()];
  plan.task = {material.shards[index],
               material.pool.images,
               material.classes(),
               material.normalisation,
               local_options(job, plan.architecture, index),
               head_options(job, index)};
  const std::int64_t samples = std::max<std::int64_t>(1, plan.task.shard.images.count());
  const std::int64_t batch = std::min(job.clients.batch, samples);
  plan.steps_per_epoch = std::max<std::int64_t>(1, samples / batch);
  const std::int64_t steps =
      std::max(job.clients.epochs * plan.steps_per_epoch, job.clients.min_steps);
  plan.body_images = steps * batch;
  plan.head_images = job.head.steps * job.head.batch;
  const Cost cost = total_cost(
      make_model(plan.architecture, material.data.train.images->shape, material.classes(), 0));
  plan.cost = static_cast<double>(plan.body_images) * static_cast<double>(cost.multiply_adds) +
              static_cast<double>(plan.head_images) * kHeadMultiplyAdds;
  plan.memory_bytes =
      kActivationCopies * batch * cost.activation_bytes + kParameterCopies * cost.parameter_bytes;
  return plan;
}

}  // namespace fedstill

#include "launch/stages/client_plan.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "launch/stages/clients.h"
#include "launch/stages/run.h"
#include "model/cost.h"
#include "model/random.h"
#include "model/zoo.h"

namespace fedstill {
namespace {

// Activations, their gradients and the unfolded copies of a convolution.
constexpr std::int64_t kActivationCopies = 4;
// Values, gradients, momentum, a snapshot and the encoded file.
constexpr std::int64_t kParameterCopies = 5;
// What the head does with an image beside a body of ordinary size, in multiply-adds.
constexpr double kHeadMultiplyAdds = 1.2e6;

// What LibTorch's libraries take for every stream, and a recorded step beside the one that is not.
constexpr std::int64_t kDeviceBytes = std::int64_t{192} << 20;

std::int64_t image_bytes(const ClientTask& task) {
  return (task.shard.images.count() + task.pool.count()) * task.pool.images->pixels_per_image();
}

LocalOptions local_options(const Job& job, const ClientRound& round, std::uint64_t stream) {
  const auto& c = job.clients;
  LocalOptions options;
  options.architecture = round.architecture;
  options.epochs = c.epochs;
  options.minimum_steps = c.min_steps;
  options.batch = c.batch;
  options.learning_rate = c.learning_rate;
  options.warm_up_steps = c.warm_up_steps;
  options.weight_decay = c.weight_decay;
  options.clip_norm = c.clip_norm;
  options.augmentation = {static_cast<int>(c.crop_padding), c.flip, static_cast<float>(c.erase)};
  options.bf16 = job.run.bf16;
  options.seed = seed_of(job, Stream::kClient, stream);
  if (!round.lesson) return options;
  options.epochs = job.round.epochs;
  options.learning_rate = job.round.learning_rate;
  options.seed = derive_key(options.seed, round.number);
  return options;
}

HeadOptions head_options(const Job& job, std::uint64_t stream) {
  HeadOptions options;
  options.form = job.head.form;
  options.steps = job.head.steps;
  options.batch = job.head.batch;
  options.learning_rate = job.head.learning_rate;
  options.weight_decay = job.head.weight_decay;
  options.dropout = job.head.dropout;
  options.seed = seed_of(job, Stream::kHead, stream);
  return options;
}

}  // namespace

const std::string& first_architecture(const Job& job, std::size_t index) {
  return job.clients.models[index % job.clients.models.size()];
}

ClientPlan plan_client(const Run& run, const Material& material, std::size_t index) {
  const Job& job = run.job;
  ClientPlan plan;
  plan.name = client_name(index, material.shards.size());
  plan.architecture = run.lesson ? job.distillation.student : first_architecture(job, index);
  const ClientRound round{run.round, plan.architecture, run.lesson};
  plan.task = client_task(job, round, material.shards[index], material.pool.images,
                          material.classes(), material.normalisation, client_stream(plan.name));
  plan.load = workload_of(job, round, plan.task.shard.images.count());
  const Cost cost = total_cost(
      make_model(plan.architecture, material.data.train.images->shape, material.classes(), 0));
  plan.cost = static_cast<double>(plan.load.body_images) * static_cast<double>(cost.multiply_adds) +
              static_cast<double>(plan.load.head_images) * kHeadMultiplyAdds;
  plan.memory_bytes = kActivationCopies * job.clients.batch * cost.activation_bytes +
                      kParameterCopies * cost.parameter_bytes;
  if (!run.device.is_cpu()) {
    place_on(run.device, plan.task);
    plan.memory_bytes += kDeviceBytes + image_bytes(plan.task);
  }
  return plan;
}

ClientTask client_task(const Job& job, const ClientRound& round, Shard shard, ImageView pool,
                       std::int64_t classes, Normalisation normalisation, std::uint64_t stream) {
  return {std::move(shard),
          std::move(pool),
          classes,
          std::move(normalisation),
          local_options(job, round, stream),
          head_options(job, stream),
          round.lesson,
          {job.round.pool_weight, job.clients.batch}};
}

void place_on(at::Device device, ClientTask& task) {
  task.local.device = task.head.device = device;
}

HeadOptions joint_head_options(const Job& job) { return head_options(job, client_stream("")); }

ClientWorkload workload_of(const Job& job, const ClientRound& round, std::int64_t samples) {
  const std::int64_t batch = std::min(job.clients.batch, std::max<std::int64_t>(1, samples));
  ClientWorkload load;
  const std::int64_t steps_per_epoch = std::max<std::int64_t>(1, samples / batch);
  const std::int64_t epochs = round.lesson ? job.round.epochs : job.clients.epochs;
  load.body_images = (round.lesson ? batch + job.clients.batch : batch) *
                     std::max(epochs * steps_per_epoch, job.clients.min_steps);
  load.head_images = job.head.steps * job.head.batch;
  return load;
}

std::int64_t device_budget(std::int64_t asked, DeviceMemory memory, std::int64_t ranks) {
  return asked > 0 ? asked : std::min(memory.free, memory.total / ranks) / 4 * 3;
}

std::uint64_t client_stream(std::string_view name) {
  constexpr std::string_view kSimulated = "client-";
  std::uint64_t number = 0;
  if (name.starts_with(kSimulated)) {
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + kSimulated.size(), end, number);
    if (read.ec == std::errc{} && read.ptr == end) return number;
  }
  return name_hash(name);
}

}  // namespace fedstill

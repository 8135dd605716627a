#include "launch/bench/federation.h"

#include <string>

#include "launch/command_line.h"
#include "launch/counted.h"
#include "model/random.h"
#include "model/zoo.h"
#include "training/chain/kernels.h"
#include "training/executor.h"

namespace fedstill {
namespace {

// What the seeds are derived for.
enum class Draw : std::uint64_t { kWeights = 1, kShards = 2, kRounds = 3 };

std::uint64_t key_for(std::uint64_t seed, Draw draw) {
  return derive_key(seed, static_cast<std::uint64_t>(draw));
}

Workload settings(const BenchSimulateCommand& c) {
  Workload w = named_workload(c.workload);
  w.clients = c.clients.value_or(w.clients);
  w.images = c.images.value_or(w.images);
  w.per_round = c.per_round.value_or(w.per_round);
  w.rounds = c.rounds.value_or(w.rounds);
  w.steps.batch = c.batch.value_or(w.steps.batch);
  w.steps.epochs = c.epochs.value_or(w.steps.epochs);
  w.steps.learning_rate = c.learning_rate.value_or(w.steps.learning_rate);
  w.steps.bf16 = c.bf16;
  if (w.per_round > w.clients) {
    throw UsageError("--per-round " + std::to_string(w.per_round) + ", expected at most the " +
                     counted(w.clients, "client"));
  }
  return w;
}

ClientShards deal(const BenchSimulateCommand& c, const Workload& w, const Dataset& train) {
  const std::uint64_t key = key_for(c.seed, Draw::kShards);
  if (c.split == "iid") return deal_evenly(train.images->count(), w.clients, w.images, key);
  SplitOptions options;
  options.scheme = c.split;
  options.clients = static_cast<int>(w.clients);
  options.private_count = w.clients * w.images;
  options.pool_count = options.validation_count = 0;
  options.alpha = c.alpha;
  options.minimum = 1;
  options.seed = key;
  return shards_of(make_split(train.labels, train.classes(), options));
}

Graph first_model(const BenchSimulateCommand& c, const Dataset& train) {
  const std::uint64_t key = key_for(c.seed, Draw::kWeights);
  const ImageShape& image = train.images->shape;
  if (c.model.empty()) return workload_model(c.workload, image, train.classes(), key);
  try {
    return make_model(c.model, image, train.classes(), key);
  } catch (const std::invalid_argument& error) {
    throw UsageError("--model " + c.model + ": " + error.what());
  }
}

std::string closed_form_warning(const LocalSteps& steps) {
  if (!steps.bf16 || chain::fastest_kernels().bf16.native) return {};
  return "--bf16: this processor has no AVX512_BF16, and products of rounded factors are slower "
         "than those of float32";
}

std::string autograd_warning(const LocalSteps& steps) {
  if (!steps.bf16 || bf16_pays()) return {};
  return "--bf16: with autograd that was measured to be slower on processors without AMX tiles";
}

}  // namespace

BenchFederation make_federation(const BenchSimulateCommand& c) {
  BenchFederation f;
  f.workload = settings(c);
  f.data = read_source(c.data);
  // Grey levels from 0 to 1, as those who compare simulators have them.
  const auto channels = static_cast<std::size_t>(f.data.train.images->shape.channels);
  f.normalisation = {std::vector<float>(channels, 0.0F), std::vector<float>(channels, 1.0F)};
  f.shards = deal(c, f.workload, f.data.train);
  f.first = first_model(c, f.data.train);
  f.name = c.model.empty() ? c.workload : c.model;
  f.options.rounds = f.workload.rounds;
  f.options.per_round = f.workload.per_round;
  f.options.weigh_by_samples = c.weighting == "samples";
  f.options.server_learning_rate = c.server_learning_rate;
  f.options.seed = key_for(c.seed, Draw::kRounds);
  f.options.workers = static_cast<int>(c.workers);
  return f;
}

std::int64_t images_of_round(const BenchFederation& f) {
  return f.workload.per_round * f.workload.steps.epochs * std::ssize(f.shards.rows) /
         f.shards.clients();
}

BenchEngine make_engine(const BenchFederation& f, const BenchSimulateCommand& c) {
  const LocalSteps& steps = f.workload.steps;
  if (c.engine != "autograd") {
    try {
      return {make_chain_engine(f.first, f.data.train, f.normalisation, steps), "closed-form",
              closed_form_warning(steps)};
    } catch (const std::invalid_argument& error) {
      if (c.engine == "closed-form") {
        throw UsageError("--engine closed-form: " + std::string(error.what()));
      }
    }
  }
  return {make_autograd_engine(f.first, f.data.train, f.normalisation, steps), "autograd",
          autograd_warning(steps)};
}

}  // namespace fedstill

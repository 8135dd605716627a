#include "launch/settings.h"

#include <limits>

#include "aggregation/rule.h"
#include "compression/calibrate.h"
#include "data/split.h"
#include "distillation/losses.h"
#include "model/zoo.h"

namespace fedstill {
namespace {

constexpr double kAny = std::numeric_limits<double>::infinity();
constexpr double kMany = 1e9;

void add_data(std::vector<Setting>& out, Job::Data& d) {
  const std::string_view s = "data";
  out.push_back({s, "source", &d.source,
                 "fashion-mnist, mnist:DIR, idx:DIR (four IDX files), cifar10:DIR or synthetic"});
  out.push_back({s, "private", &d.private_count, "training images dealt to the clients", 1, kMany});
  out.push_back({s, "pool", &d.pool, "unlabeled images everybody sees", 1, kMany});
  out.push_back({s, "validation", &d.validation, "images nobody trains on", 0, kMany});
}

void add_clients(std::vector<Setting>& out, Job::Clients& c) {
  const std::string_view s = "clients";
  out.push_back({s, "count", &c.count, "how many sites take part", 1, 100'000});
  out.push_back(
      {s, "models", &c.models, "architectures, dealt to the clients in turn", 0, 0, zoo_names()});
  out.push_back(
      {s, "split", &c.split, "how the private images are dealt out", 0, 0, split_schemes()});
  out.push_back({s, "alpha", &c.alpha, "dirichlet, dirichlet-clients: small is uneven", 1e-3, 1e6});
  out.push_back({s, "shards", &c.shards, "shards: label-sorted pieces per client", 1, 1e6});
  out.push_back({s, "classes", &c.classes, "classes: classes per client", 1, 1e6});
  out.push_back({s, "minimum", &c.minimum, "images every client has at least", 1, kMany});
  out.push_back({s, "epochs", &c.epochs, "over the own images", 1, 1e6});
  out.push_back({s, "min_steps", &c.min_steps, "epochs are added until this many steps", 0, kMany});
  out.push_back({s, "batch", &c.batch, "images per step", 1, 65'536});
  out.push_back({s, "learning_rate", &c.learning_rate, "SGD, momentum 0.9, cosine", 0, kAny});
  out.push_back({s, "warm_up_steps", &c.warm_up_steps, "linear from zero", 0, kMany});
  out.push_back({s, "weight_decay", &c.weight_decay, "spares BatchNorm and bias", 0, 1e3});
  out.push_back({s, "clip_norm", &c.clip_norm, "of the gradients; 0: off", 0, kAny});
  out.push_back({s, "crop_padding", &c.crop_padding, "augmentation: random crop; 0: off", 0, 64});
  out.push_back({s, "flip", &c.flip, "augmentation: left-right at random"});
  out.push_back({s, "erase", &c.erase, "augmentation: probability of a blanked rectangle", 0, 1});
  out.push_back(
      {s, "liars", &c.liars,
       "to measure robustness: the last so many have wrong labels and always say \"mine\"", 0,
       100'000});
  out.push_back({s, "threads", &c.threads, "of one client's training", 1, 4096});
}

void add_head(std::vector<Setting>& out, Job::Head& h) {
  const std::string_view s = "head";
  out.push_back({s,
                 "form",
                 &h.form,
                 "the \"mine or the pool\" classifier looks at pixels or features",
                 0,
                 0,
                 {"pixels", "features"}});
  out.push_back({s, "steps", &h.steps, "of training", 1, kMany});
  out.push_back({s, "batch", &h.batch, "half own images, half pool", 2, 65'536});
  out.push_back({s, "learning_rate", &h.learning_rate, "Adam, cosine", 0, kAny});
  out.push_back({s, "weight_decay", &h.weight_decay, "", 0, 1e3});
  out.push_back({s, "dropout", &h.dropout, "", 0, 0.95});
}

void add_pool_and_aggregation(std::vector<Setting>& out, Job::Pool& p, Job::Aggregation& a) {
  out.push_back(
      {"pool", "source", &p.source, "split: a part of the training images", 0, 0, {"split"}});
  const std::string_view s = "aggregation";
  out.push_back(
      {s, "rule", &a.rule, "how many opinions become one soft label", 0, 0, rule_names()});
  out.push_back({s, "temperature", &a.temperature, "of the teachers' softmax", 1e-3, 1e3});
  out.push_back({s, "softmax_temperature", &a.softmax_temperature, "dlad-softmax", 1e-3, 1e3});
  out.push_back({s, "entropy_scale", &a.entropy_scale, "entropy: exp(-H / scale)", 1e-3, 1e3});
  out.push_back(
      {s, "ratio_clip", &a.ratio_clip, "bounded-odds: of one client on one image", 1e-3, 1e6});
  out.push_back(
      {s, "share_cap", &a.share_cap, "bounded-odds: of one client's image count", 1e-3, 1});
}

// How many rounds, what clients do in those after the first, and when a round of many sites closes:
// in one process everybody is there and in time.
void add_round(std::vector<Setting>& out, Job::Round& r) {
  const std::string_view s = "round";
  out.push_back(
      {s, "count", &r.count, "from the second on clients go on from the last student", 1, 1000});
  out.push_back({s, "epochs", &r.epochs, "later rounds: over the own images", 1, 1e6});
  out.push_back({s, "learning_rate", &r.learning_rate, "later rounds", 0, kAny});
  out.push_back({s, "pool_weight", &r.pool_weight,
                 "later rounds: of the soft labels beside the own labels; 0: clients forget", 0,
                 1e3});
  out.push_back({s,
                 "student",
                 &r.student,
                 "later rounds: a fresh one is distilled, or the last one goes on",
                 0,
                 0,
                 {"fresh", "last"}});
  const auto add = [&out](std::string_view key, std::int64_t* value, std::string_view comment) {
    out.push_back({"round", key, value, comment, 1, 1e6, {}, false});
  };
  add("minimum", &r.minimum,
      "clients; with fewer updates past the deadline the round fails as soon as nobody gets on any "
      "more");
  add("deadline_minutes", &r.deadline_minutes,
      "after it opened; before it all clients are awaited");
  add("silent_seconds", &r.silent_seconds, "without a sign of life a client counts as silent");
  add("stalled_minutes", &r.stalled_minutes, "without progress it is no longer waited for");
  add("linger_minutes", &r.linger_minutes,
      "at most, for all who ever joined to fetch the last bundle");
}

void add_distillation(std::vector<Setting>& out, Job::Distillation& d) {
  const std::string_view s = "distillation";
  out.push_back({s, "student", &d.student, "architecture", 0, 0, zoo_names()});
  out.push_back({s,
                 "targets",
                 &d.targets,
                 "ensemble, or true-labels: the pool's hidden labels, as an upper bound",
                 0,
                 0,
                 {"ensemble", "true-labels"}});
  out.push_back({s, "loss", &d.loss, "", 0, 0, distillation_loss_names()});
  out.push_back({s, "temperature", &d.temperature, "kl", 1e-3, 1e3});
  out.push_back({s, "epochs", &d.epochs, "over the pool", 1, 1e6});
  out.push_back({s, "batch", &d.batch, "images per step", 1, 65'536});
  out.push_back({s, "accumulate", &d.accumulate, "so many batches make one step", 1, 65'536});
  out.push_back({s, "ranks", &d.ranks, "that fit the student in a cluster job; 0: all", 0, 65'536});
  out.push_back({s, "optimizer", &d.optimizer, "", 0, 0, {"sgd", "adam", "adamw"}});
  out.push_back({s, "learning_rate", &d.learning_rate, "", 0, kAny});
  out.push_back({s, "weight_decay", &d.weight_decay, "spares BatchNorm and bias", 0, 1e3});
  out.push_back({s, "schedule", &d.schedule, "", 0, 0, {"constant", "step", "cosine"}});
  out.push_back({s, "warm_up_steps", &d.warm_up_steps, "linear from zero", 0, kMany});
  out.push_back({s, "crop_padding", &d.crop_padding, "augmentation: random crop; 0: off", 0, 64});
  out.push_back({s, "flip", &d.flip, "augmentation: left-right at random"});
  out.push_back({s, "erase", &d.erase, "augmentation: probability of a blanked rectangle", 0, 1});
}

// Of a cluster job.
void add_ranks(std::vector<Setting>& out, Job::Ranks& r) {
  const std::string_view s = "ranks";
  out.push_back({s, "coordinators", &r.coordinators,
                 "in a cluster job the first so many ask the teachers and fit the student, the "
                 "others train clients; 0: all do both",
                 0, 65'536});
  out.push_back({s,
                 "batch_norm",
                 &r.batch_norm,
                 "of the student on several ranks: over the images of all, or of each its own",
                 0,
                 0,
                 {"per-rank", "shared"}});
  out.push_back({s, "bf16_gradients", &r.bf16_gradients, "the student's travel as bfloat16"});
}

void add_compression(std::vector<Setting>& out, Job::Compression& c) {
  const std::string_view s = "compression";
  out.push_back({s, "scheme", &c.scheme, "8-bit weights and activations", 0, 0, {"w8a8"}});
  out.push_back({s, "calibration", &c.calibration, "how activation ranges are chosen", 0, 0,
                 calibration_methods()});
  out.push_back({s, "percentile", &c.percentile, "percentile", 51, 100});
  out.push_back({s, "images", &c.images, "of the pool, to calibrate on", 1, kMany});
  out.push_back({s, "minimum_agreement", &c.minimum_agreement,
                 "with the float student; below it no bundle is written", 0, 1});
}

// Of `fedavg` alone.
void add_averaging(std::vector<Setting>& out, Job::Averaging& a) {
  const std::string_view s = "averaging";
  out.push_back({s, "model", &a.model, "architecture of all clients", 0, 0, zoo_names()});
  out.push_back(
      {s, "rounds", &a.rounds, "in each the weights become the clients' average", 1, 1e6});
  out.push_back({s, "per_round", &a.per_round, "clients that train in one; 0: all", 0, 100'000});
  out.push_back({s, "epochs", &a.epochs, "over the own images, in one round", 1, 1e6});
  out.push_back({s, "batch", &a.batch, "images per step", 1, 65'536});
  out.push_back({s, "learning_rate", &a.learning_rate, "SGD without momentum", 0, kAny});
  out.push_back({s, "server_learning_rate", &a.server_learning_rate,
                 "share of the way from the old weights to the average", 1e-6, 1e3});
  out.push_back({s,
                 "weighting",
                 &a.weighting,
                 "what a client counts in the average",
                 0,
                 0,
                 {"samples", "uniform"}});
}

void add_run(std::vector<Setting>& out, Job::Run& r) {
  const std::string_view s = "run";
  out.push_back({s, "seed", &r.seed, "of everything that is drawn", 0, kAny});
  out.push_back({s,
                 "workers",
                 &r.workers,
                 "cores that train clients and ask teachers; 0: all",
                 0,
                 4096,
                 {},
                 false});
  out.push_back({s, "threads", &r.threads, "of the distillation; 0: one per core", 0, 4096});
  out.push_back(
      {s,
       "memory_mb",
       &r.memory_mb,
       "clients wait while the estimate is above this; 0: half of the machine's, three quarters of "
       "what a GPU has free",
       0,
       kMany,
       {},
       false});
  out.push_back(
      {s, "bf16", &r.bf16, "convolutions in bfloat16; pays on processors with AMX tiles and GPUs"});
  out.push_back({s,
                 "device",
                 &r.device,
                 "cpu, cuda (on several GPUs each rank of a machine takes its own) or cuda:N",
                 0,
                 0,
                 {},
                 false});
}

}  // namespace

std::string Setting::name() const { return std::string(section) + "." + std::string(key); }

std::vector<Setting> settings_of(Job& job) {
  std::vector<Setting> out;
  add_data(out, job.data);
  add_clients(out, job.clients);
  add_head(out, job.head);
  add_round(out, job.round);
  add_pool_and_aggregation(out, job.pool, job.aggregation);
  add_distillation(out, job.distillation);
  add_ranks(out, job.ranks);
  add_compression(out, job.compression);
  add_averaging(out, job.averaging);
  add_run(out, job.run);
  return out;
}

bool concerns_clients(const Setting& setting) {
  const std::string_view s = setting.section;
  return setting.changes_result && s != "round" && s != "aggregation" && s != "distillation" &&
         s != "compression" && s != "averaging" && s != "ranks" && setting.name() != "run.threads";
}

}  // namespace fedstill

#include "launch/job_check.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

#include "launch/machine.h"
#include "launch/suggestion.h"
#include "model/zoo.h"
#include "training/device.h"

namespace fedstill {
namespace {

[[noreturn]] void contradiction(const std::string& message) { throw JobError("[job] " + message); }

void check_device(const std::string& name) {
  try {
    parse_device(name);
  } catch (const std::invalid_argument& error) {
    contradiction(std::string("run.device: ") + error.what());
  }
}

// A default that asks for more than there is means all there are; who asks for that many is told.
void check_at_most(const std::string& key, std::int64_t asked, std::int64_t preset,
                   const std::string& of, std::int64_t there) {
  if (asked <= there || asked == preset) return;
  contradiction(key + " = " + std::to_string(asked) + ", but " + of + " is " +
                std::to_string(there));
}

// Whether it is there shows when it is read.
void check_source(const std::string& source) {
  constexpr std::array<std::string_view, 5> kKinds{"fashion-mnist", "mnist", "idx", "cifar10",
                                                   "synthetic"};
  const std::string kind = source.substr(0, source.find(':'));
  if (std::ranges::find(kKinds, kind) != kKinds.end()) return;
  contradiction("data.source = \"" + source + "\" is not known" + did_you_mean(kind, kKinds) +
                "; known: fashion-mnist, mnist:DIR, idx:DIR, cifar10:DIR, "
                "synthetic[:CLASSESxCHANNELSxHEIGHTxWIDTH]");
}

}  // namespace

void check_fits(const std::string& setting, const std::string& model, const Dataset& train) {
  try {
    make_model(model, train.images->shape, train.classes(), 0);
  } catch (const std::invalid_argument& error) {
    contradiction(setting + " = \"" + model + "\" does not fit the images: " + error.what());
  }
}

void check_job(const Job& job) {
  check_device(job.run.device);
  check_source(job.data.source);
  const auto& c = job.clients;
  if (c.count * c.minimum > job.data.private_count) {
    contradiction("clients.count × clients.minimum = " + std::to_string(c.count * c.minimum) +
                  " images, but data.private is " + std::to_string(job.data.private_count));
  }
  if (c.liars > c.count) {
    contradiction("clients.liars = " + std::to_string(c.liars) + ", but clients.count is " +
                  std::to_string(c.count));
  }
  if (job.distillation.batch > job.data.pool) {
    contradiction("distillation.batch = " + std::to_string(job.distillation.batch) +
                  ", but data.pool has only " + std::to_string(job.data.pool) + " images");
  }
  if (job.distillation.batch * job.distillation.accumulate > job.data.pool) {
    contradiction("distillation.batch × distillation.accumulate = " +
                  std::to_string(job.distillation.batch * job.distillation.accumulate) +
                  ", but data.pool has only " + std::to_string(job.data.pool) + " images");
  }
  const Job preset;
  check_at_most("round.minimum", job.round.minimum, preset.round.minimum, "clients.count", c.count);
  check_at_most("compression.images", job.compression.images, preset.compression.images,
                "data.pool", job.data.pool);
  if (job.head.batch % 2 != 0) {
    contradiction("head.batch = " + std::to_string(job.head.batch) +
                  ", expected an even number: half own images, half pool");
  }
}

void check_job_against(const Job& job, const Dataset& train) {
  const std::int64_t wanted = job.data.private_count + job.data.pool + job.data.validation;
  const std::int64_t found = train.images->count();
  if (wanted > found) {
    contradiction("data.private + data.pool + data.validation = " + std::to_string(wanted) +
                  " images, but " + job.data.source + " has " + std::to_string(found));
  }
  if (job.clients.split == "classes" && job.clients.classes > train.classes()) {
    contradiction("clients.classes = " + std::to_string(job.clients.classes) + ", but " +
                  job.data.source + " has " + std::to_string(train.classes()) + " classes");
  }
  if (job.clients.split == "classes" && job.clients.count * job.clients.classes < train.classes()) {
    contradiction("clients.count × clients.classes = " +
                  std::to_string(job.clients.count * job.clients.classes) + ", but " +
                  job.data.source + " has " + std::to_string(train.classes()) +
                  " classes, and each needs a client");
  }
  if (job.clients.split == "shards" &&
      job.clients.count * job.clients.shards > job.data.private_count) {
    contradiction("clients.count × clients.shards exceeds data.private");
  }
  for (const auto& model : job.clients.models) check_fits("clients.models", model, train);
  check_fits("distillation.student", job.distillation.student, train);
}

void resolve_machine(Job& job) {
  if (job.run.workers == 0) job.run.workers = usable_cores();
  if (job.run.threads == 0) job.run.threads = usable_cores();
  if (job.run.memory_mb == 0 && !parse_device(job.run.device).cuda)
    job.run.memory_mb = std::max<std::int64_t>(512, (usable_memory_bytes() >> 20) / 2);
}

void move_to_device(Job& job, const std::string& device) {
  if ((device == "cpu") != (job.run.device == "cpu")) job.run.memory_mb = 0;
  job.run.device = device;
}

}  // namespace fedstill

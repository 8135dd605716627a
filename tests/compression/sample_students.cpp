#include "tests/compression/sample_students.h"

#include <gtest/gtest.h>

#include "training/fit.h"
#include "training/losses.h"
#include "training/threads.h"

namespace fedstill::test {
namespace {

// The networks are tiny: on a busy machine, threads that wait for each other cost ten times more
// than they gain.
class OneThread : public ::testing::Environment {
  void SetUp() override { set_thread_count(1); }
};
const auto* const one_thread = ::testing::AddGlobalTestEnvironment(new OneThread);

}  // namespace

Graph trained(std::string_view name, const Dataset& images, const Normalisation& normalisation,
              std::int64_t epochs) {
  Executor executor(untrained(name));
  const auto source = make_batches(view_of(images), to_tensor(images.labels),
                                   {.batch = 32,
                                    .normalisation = normalisation,
                                    .augmentation = {},
                                    .seed = 5,
                                    .channels_last = true});
  FitOptions options;
  options.epochs = epochs;
  options.optimizer.name = "adam";
  options.optimizer.learning_rate = 2e-3;
  const int logits = executor.graph().output("logits");
  fit(executor, std::span(&logits, 1), *source, cross_entropy(), options);
  return executor.snapshot();
}

}  // namespace fedstill::test

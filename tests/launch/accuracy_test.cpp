#include "launch/stages/accuracy.h"

#include <gtest/gtest.h>

#include <ATen/ops/argmax.h>
#include <sstream>

#include "data/readers.h"
#include "data/whole_view.h"
#include "launch/event_log.h"
#include "model/zoo.h"
#include "tests/launch/temp_folder.h"
#include "training/predict.h"

namespace fedstill {
namespace {

TEST(Accuracy, IsTheShareThatTheNetworkPutsInTheirClass) {
  const tests::TempFolder temp;
  const Job job;
  const RunFolder folder = RunFolder::create(temp / "run", job);
  EventLog events(folder.path());
  std::ostringstream nowhere;
  Progress progress(nowhere, {ProgressMode::kQuiet, false, 80, 24, {}});
  std::atomic<bool> stop = false;
  const fedstill::Run run{job, folder, events, progress, stop};
  Material material;
  material.normalisation = {{0.3F}, {0.2F}};
  const Graph graph = make_model("mlp", {1, 16, 16}, 4, 1);
  Shard shard{whole(read_source("synthetic:4x1x16x16").test.images), {}};
  EXPECT_EQ(accuracy_on(graph, shard, run, material), 0.0);
  const std::vector<std::string> outputs{"logits"};
  const at::Tensor said =
      predict(graph, outputs, shard.images, material.normalisation).front().argmax(1).contiguous();
  for (std::int64_t i = 0; i < said.numel(); ++i) {
    shard.labels.push_back(static_cast<std::int32_t>(said.const_data_ptr<std::int64_t>()[i]));
  }
  EXPECT_EQ(accuracy_on(graph, shard, run, material), 1.0);
  for (std::size_t i = 0; i < shard.labels.size() / 4; ++i)
    shard.labels[i] = (shard.labels[i] + 1) % 4;
  EXPECT_EQ(accuracy_on(graph, shard, run, material), 0.75);
}

}  // namespace
}  // namespace fedstill

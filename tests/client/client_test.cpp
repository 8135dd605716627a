#include "client/client.h"

#include <gtest/gtest.h>

#include "model/model_file.h"
#include "tests/client/images.h"

namespace fedstill {
namespace {

ClientTask small_task(const std::string& form) {
  ClientTask task;
  task.shard = shard_of({0, 1}, 0, 80);
  task.pool = shard_of({1, 2}, 1, 80).images;
  task.classes = kClasses;
  task.normalisation = some_normalisation();
  task.local.architecture = "lenet5";
  task.local.epochs = 1;
  task.local.minimum_steps = 3;
  task.head.form = form;
  task.head.steps = 4;
  return task;
}

TEST(RunClient, GivesOneGraphWithBothOutputs) {
  for (const char* form : {"pixels", "features"}) {
    const ClientResult result = run_client(small_task(form));
    const Graph& graph = result.update.graph;
    EXPECT_EQ(result.update.sample_count, 80);
    EXPECT_GE(result.training.steps, 3);
    EXPECT_EQ(result.head.steps, 4);
    const auto shapes = infer_shapes(graph);
    EXPECT_EQ(shapes[static_cast<std::size_t>(graph.output("logits"))], SampleShape{kClasses});
    EXPECT_EQ(shapes[static_cast<std::size_t>(graph.output("confidence"))], SampleShape{});
    EXPECT_EQ(model_hash(run_client(small_task(form)).update.graph), model_hash(graph));
  }
}

TEST(RunClient, BothFitsReportToTheirOwn) {
  int body_events = 0, head_events = 0;
  FitOptions run_body, run_head;
  run_body.on_event = [&](const FitEvent&) { ++body_events; };
  run_head.on_event = [&](const FitEvent&) { ++head_events; };
  run_client(small_task("pixels"), run_body, run_head);
  EXPECT_GE(body_events, 3);
  EXPECT_GE(head_events, 4);
}

}  // namespace
}  // namespace fedstill

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "training/batch_source.h"
#include "training/device_graph.h"

namespace fedstill {

// Makes the same step with batch after batch: the first few times as it is, then recorded into a
// device graph and replayed on copies of the batches. Where recording fails it goes on as it began.
class RecordedStep {
 public:
  // Before this many ordinary steps caches, workspaces and gradients are not as they stay.
  static constexpr int kWarmUp = 3;
  using MakeGraph = std::function<std::unique_ptr<DeviceGraph>()>;

  // Without make, nothing is recorded; it may throw, as may the graph. The step works on the batch
  // it is given and on memory that stays.
  RecordedStep(std::function<void(const Batch&)> step, MakeGraph make)
      : step_(std::move(step)), make_(std::move(make)) {}

  void run(const Batch& batch);  // throws what the step throws
  bool replays() const { return graph_ != nullptr; }
  const std::string& refusal() const { return refusal_; }  // why it was not recorded, or nothing

 private:
  bool fits(const Batch& batch) const;
  void record(const Batch& batch);

  std::function<void(const Batch&)> step_;
  MakeGraph make_;
  int steps_ = 0;
  Batch fixed_;  // what the graph reads
  std::unique_ptr<DeviceGraph> graph_;
  std::string refusal_;
};

}  // namespace fedstill

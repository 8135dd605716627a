#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "training/checkpoint.h"

namespace fedstill {

// The file from which a fit goes on. It is written as often as takes no more than a share of the
// fit's time, so a killed fit loses little whatever a step, an epoch or a write takes.
class FitFile {
 public:
  struct Length {
    std::int64_t steps = 0, steps_per_epoch = 1;
  };
  FitFile(std::filesystem::path path, double share, std::vector<Checkpoint::Fact> identity)
      : path_(std::move(path)), share_(share), identity_(std::move(identity)) {}

  // Puts what the file holds, if there is one, into place and tensors, on whatever device they are.
  // Checks everything before it changes anything: throws std::invalid_argument for another fit's
  // file and DecodeError where the file is damaged or number, shape or steps are not the fit's.
  void load(FitPlace& place, std::span<const at::Tensor> tensors, const Length& length);
  // Has enough time passed since the last save?
  bool is_due() const;
  // Atomically, unless that place is there already.
  void save(const FitPlace& place, std::span<const at::Tensor> tensors);

 private:
  using Clock = std::chrono::steady_clock;
  // Of the first save, until it is measured: a disk's flush.
  static constexpr std::chrono::duration<double> kFirstCost{0.002};

  Checkpoint read() const;

  std::filesystem::path path_;
  double share_;
  std::vector<Checkpoint::Fact> identity_;
  std::int64_t steps_saved_ = 0;
  std::chrono::duration<double> cost_ = kFirstCost;  // of the last save
  Clock::time_point saved_at_ = Clock::now();
};

}  // namespace fedstill

#include "training/fit_file.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <string>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "training/fit_identity.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 34U;

void check_shapes(const Checkpoint& state, std::span<const at::Tensor> targets) {
  if (state.tensors.size() != targets.size()) {
    throw DecodeError("it holds " + std::to_string(state.tensors.size()) + " tensors, expected " +
                      std::to_string(targets.size()));
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i].sizes() == at::IntArrayRef(state.tensors[i].shape())) continue;
    throw DecodeError("tensor " + std::to_string(i) + " is not shaped as the fit's");
  }
}

void check_place(const FitPlace& place, const FitFile::Length& length) {
  const auto epochs = static_cast<std::int64_t>(place.epoch_losses.size());
  if (place.steps_done <= length.steps && epochs == place.steps_done / length.steps_per_epoch) {
    return;
  }
  throw DecodeError("it holds " + std::to_string(place.steps_done) + " steps with " +
                    std::to_string(epochs) + " epochs, expected at most " +
                    std::to_string(length.steps) + " with one for every " +
                    std::to_string(length.steps_per_epoch));
}

void assign(const at::Tensor& target, const Tensor& rows) {
  const at::NoGradGuard no_grad;
  const at::Tensor copy = at::empty(rows.shape(), at::kFloat);
  if (!rows.bytes().empty()) {
    std::memcpy(copy.mutable_data_ptr<float>(), rows.bytes().data(), rows.bytes().size());
  }
  target.copy_(copy);
}

}  // namespace

Checkpoint FitFile::read() const { return decode_checkpoint(read_file(path_, kMaxBytes)); }

void FitFile::load(FitPlace& place, std::span<const at::Tensor> tensors, const Length& length) {
  if (!std::filesystem::exists(path_)) return;
  try {
    const Checkpoint state = read();
    check_identity(state, identity_, path_);
    check_shapes(state, tensors);
    check_place(state.place, length);
    for (std::size_t i = 0; i < tensors.size(); ++i) assign(tensors[i], state.tensors[i]);
    place = state.place;
  } catch (const DecodeError& error) {
    throw DecodeError("[fit] checkpoint " + path_.string() + ": " + error.what());
  }
  steps_saved_ = place.steps_done;
}

bool FitFile::is_due() const { return cost_ / share_ <= Clock::now() - saved_at_; }

void FitFile::save(const FitPlace& place, std::span<const at::Tensor> tensors) {
  if (place.steps_done == steps_saved_) return;
  const auto began = Clock::now();
  Checkpoint state{identity_, place, {}};
  for (const at::Tensor& tensor : tensors) state.tensors.push_back(to_rows(tensor));
  write_file_atomically(path_, encode_checkpoint(state));
  steps_saved_ = place.steps_done;
  saved_at_ = Clock::now();
  cost_ = saved_at_ - began;
}

}  // namespace fedstill

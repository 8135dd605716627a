#include "training/fit_state.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <string>

#include "model/decode_error.h"

namespace fedstill {
namespace {

void assign(const at::Tensor& target, const Tensor& rows) {
  const at::Tensor copy = at::empty(rows.shape(), at::kFloat);
  std::memcpy(copy.mutable_data_ptr<float>(), rows.bytes().data(), rows.bytes().size());
  target.copy_(copy);
}

}  // namespace

void restore(const Checkpoint& state, std::span<const at::Tensor> targets, std::int64_t epochs,
             const std::filesystem::path& path) {
  const at::NoGradGuard no_grad;
  const std::string origin = "[fit] checkpoint " + path.string();
  if (state.tensors.size() != targets.size() || state.epochs_done > epochs) {
    throw DecodeError(origin + " holds " + std::to_string(state.tensors.size()) + " tensors of " +
                      std::to_string(state.epochs_done) + " epochs, expected " +
                      std::to_string(targets.size()) + " of at most " + std::to_string(epochs));
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i].sizes() == at::IntArrayRef(state.tensors[i].shape())) continue;
    throw DecodeError(origin + ": tensor " + std::to_string(i) + " is not shaped as the fit's");
  }
  for (std::size_t i = 0; i < targets.size(); ++i) assign(targets[i], state.tensors[i]);
}

}  // namespace fedstill

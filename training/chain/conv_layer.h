#pragma once

#include <cstdint>

#include "training/chain/aligned.h"
#include "training/chain/chain_plan.h"
#include "training/chain/kernels.h"

namespace fedstill::chain {

// One Conv2d of a chain with the ReLU and the MaxPool behind it, at once: what the pool drops is
// never written, and backward walks only the outputs that a gradient reaches, at most one of a
// window; without a MaxPool the weights' gradient is summed over all outputs. Images are [height,
// width, channels], padded(their floats) apart.
class ConvLayer {
 public:
  // bf16: forward's factors are rounded to bfloat16. Backward is float32: it takes outputs one by
  // one, from anywhere, and two of them make no pair.
  ConvLayer(const ConvStage& stage, const Kernels& kernels, std::int64_t batch, bool bf16);

  std::int64_t out_stride() const { return padded(stage_.out_features()); }
  void forward(std::int64_t rows, const float* x, const float* weights, const float* bias,
               float* y);
  // After the forward of the same rows. d: the loss's gradient for y. dx, for x, may be null. Then
  // moves weights and bias by -rate × their gradients.
  void backward(std::int64_t rows, const float* x, const float* y, const float* d, float* dx,
                float* weights, float* bias, float rate);

 private:
  std::int64_t in_stride() const { return padded(stage_.height * stage_.width * stage_.channels); }
  bool has_border() const { return stage_.padding[0] > 0 || stage_.padding[1] > 0; }
  const float* with_border(std::int64_t r, const float* x);
  void without_border(float* dx) const;
  std::int64_t image_size() const { return has_border() ? border_size_ : in_stride(); }
  std::int64_t depth() const { return stage_.kernel[0] * stage_.kernel_row(); }
  std::int64_t pair_row() const { return (stage_.kernel_row() + 1) / 2; }
  template <typename Value>
  ConvRow<Value> row_at(const Value* image, std::int64_t place) const;
  void pack(const float* weights, const float* bias);
  void pack_pairs();
  void forward_image(const float* image, std::int64_t r, float* y);
  void convolve(const float* image, std::int64_t place, std::int64_t panel, std::int64_t count,
                float* out);
  bool is_dense() const { return stage_.pool == 1; }
  void gather_image(const float* image, const float* y, const float* d);
  void backward_image(const float* image, std::int64_t r, const float* y, const float* d,
                      const float* weights, float* image_gradient);
  void collect(std::int64_t begin, std::int64_t end, std::int64_t r, const float* y,
               const float* d);
  void unpack_gradient();
  void update(float* weights, float* bias, float rate);

  ConvStage stage_;
  const Kernels& kernels_;
  bool bf16_;
  std::int64_t border_width_, border_size_;      // of the image with its border
  std::int64_t row_;                             // floats of one of its rows
  std::int64_t panels_;                          // of output channels
  std::int64_t kernel_panels_;                   // of a row of the kernel
  std::int64_t band_;                            // pooled rows that backward takes at once
  Aligned<float> packed_, packed_bias_;          // [panel][kernel row × column × channel][kPanel]
  Aligned<Bf16> pairs_, rounded_;                // of packed_; of one image
  Aligned<float> lines_;                         // rows of one pool window, of two panels
  Aligned<float> bordered_, bordered_gradient_;  // [batch, border_size_]; [border_size_]
  Aligned<std::int32_t> winners_;  // [batch, out_stride]: where each output comes from
  Aligned<std::int32_t> offsets_;  // entries of a band: [out_channels, their most]
  Aligned<float> values_;
  Aligned<std::int64_t> counts_;             // [out_channels]
  Aligned<float> gradient_, bias_gradient_;  // as the weights lie
};

}  // namespace fedstill::chain

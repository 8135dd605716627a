#pragma once

#include <cstdint>
#include <vector>

namespace fedstill::chain {

// Rows of weights and of features are padded with zeros to whole panels, and kernels may read so
// many floats past the end of a buffer.
inline constexpr std::int64_t kPanel = 16;
constexpr std::int64_t padded(std::int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

// The upper half of a float: bfloat16. Denormal numbers may count as zero.
enum class Bf16 : std::uint16_t {};

// A linear layer over the rows of a batch. Strides are in values; `in` is whole panels.
template <typename Value>
struct LinearPart {
  std::int64_t rows, in, out;
  const Value* x;  // [rows, in]
  std::int64_t x_stride;
  float* w;  // [out, in]
};

// One row of positions of a convolution over an image [h, w, channels].
template <typename Value>
struct ConvRow {
  const Value* x;            // first value under the kernel at the first position
  std::int64_t row;          // values from one row of the image to the next
  std::int64_t step;         // values from one position to the next
  std::int64_t kernel_rows;  // height of the kernel
  std::int64_t kernel_row;   // its width × channels: values that lie together
  std::int64_t positions;
};

// Gradients of a convolution's outputs that are not zero, all of one output channel.
struct Entries {
  const std::int32_t* offsets;  // of the first value under the kernel, in the image
  const float* values;
  std::int64_t count;
};

// Maxima of windows of `size` × `size` over as many rows of positions.
struct PoolRow {
  const float* values;  // [size, positions, lanes]
  std::int64_t size, positions;
  std::int64_t lanes;              // one or two panels
  std::int64_t pooled;             // windows
  std::int32_t offset, row, step;  // of the first position, from row to row, between positions
  bool rectify;                    // maxima below zero become zero
};

// Products of bfloat16 factors, two at a time, summed in float32. A pair is two values side by
// side, the second one zero where there is none; kernels may read a pair past the end of a buffer.
struct Bf16Kernels {
  bool native;  // by instructions for it; else float32 arithmetic on rounded factors, slower
  // to[i] = x[i], rounded to the nearest, half to even; NaN stays NaN.
  void (*round)(const float* x, std::int64_t count, Bf16* to);
  // to[2i] = a[i] and to[2i + 1] = b[i], rounded so; b may be null: zeros. count is whole panels.
  void (*pair)(const float* a, const float* b, std::int64_t count, Bf16* to);
  // As Kernels::linear; rows of x with zeros behind them, up to two whole panels. A panel behind w
  // is read.
  void (*linear)(const LinearPart<Bf16>& part, float* out, std::int64_t out_stride);
  // As Kernels::linear_back; x [rows / 2, in] and scaled [rows / 2, d_stride] are pairs of rows.
  void (*linear_back)(const LinearPart<Bf16>& part, const Bf16* d, const Bf16* scaled,
                      std::int64_t d_stride, float* dx);
  // As Kernels::convolve; weights are pairs of neighbours in a row of the kernel:
  // [panel, kernel_rows, kernel_row / 2, kPanel, 2].
  void (*convolve)(const ConvRow<Bf16>& row, const Bf16* weights, const float* bias,
                   std::int64_t panels, float* out);
};

// The inner loops for one instruction set. Within one set a result never depends on anything but
// its arguments; two sets round differently.
struct Kernels {
  const char* name;
  // out[r][o] += Σ x[r][i] · w[o][i]
  void (*linear)(const LinearPart<float>& part, float* out, std::int64_t out_stride);
  // dx[r][i] += Σ d[r][o] · w[o][i] (dx may be null), then w[o][i] += Σ scaled[r][o] · x[r][i]
  void (*linear_back)(const LinearPart<float>& part, const float* d, const float* scaled,
                      std::int64_t d_stride, float* dx);
  // out[position][lane] = bias[lane] + Σ x · weights, for one or two panels of output channels:
  // weights [panel, kernel_rows · kernel_row, kPanel], out [positions, panels · kPanel].
  void (*convolve)(const ConvRow<float>& row, const float* weights, const float* bias,
                   std::int64_t panels, float* out);
  // best[window][c] and the offset of the position it is from, for c < channels, `stride` apart.
  void (*pool)(const PoolRow& row, std::int64_t channels, std::int64_t stride, float* best,
               std::int32_t* winners);
  // Where every output may have a gradient: gradient[panel][ky · kernel_row + i][lane] += Σ over
  // the positions of d[lane] · x, for one or two panels, and bias[lane] += Σ d[lane]. d [positions,
  // d_stride] counts where y > 0 (y null: everywhere).
  void (*gather_dense)(const ConvRow<float>& row, const float* d, const float* y,
                       std::int64_t d_stride, std::int64_t panels, float* gradient, float* bias);
  // gradient[ky][i] += Σ value · image[offset + ky · row + i], rows of whole panels
  void (*gather_weights)(const Entries& entries, const float* image, std::int64_t row,
                         std::int64_t kernel_rows, std::int64_t panels, float* gradient);
  // image_gradient[offset + ky · row + i] += value · weights[ky][i]
  void (*scatter_inputs)(const Entries& entries, const float* weights, std::int64_t row,
                         std::int64_t kernel_rows, std::int64_t panels, float* image_gradient);
  // y[i] += scale · x[i]
  void (*add)(float scale, const float* x, float* y, std::int64_t count);
  // y[i] = (x[i] − mean) · scale
  void (*normalise)(const std::uint8_t* x, std::int64_t count, float mean, float scale, float* y);
  // sums[i] += weight · x[i] rounded to a multiple of 2^-36; true if all products were below 2^15.
  bool (*add_exactly)(double weight, const float* x, double* sums, std::int64_t count);
  Bf16Kernels bf16;
};

// What this processor can run, plain C++ first, the fastest last.
std::vector<const Kernels*> available_kernels();
const Kernels& fastest_kernels();

extern const Kernels kPortableKernels;

}  // namespace fedstill::chain

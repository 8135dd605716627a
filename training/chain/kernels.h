#pragma once

#include <cstdint>
#include <vector>

namespace fedstill::chain {

// Rows of weights and of features are padded with zeros to whole panels, and kernels may read so
// many floats past the end of a buffer.
inline constexpr std::int64_t kPanel = 16;
constexpr std::int64_t padded(std::int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

// A linear layer over the rows of a batch. Strides are in floats; `in` is whole panels.
struct LinearPart {
  std::int64_t rows, in, out;
  const float* x;  // [rows, in]
  std::int64_t x_stride;
  float* w;  // [out, in]
};

// One row of positions of a convolution over an image [h, w, channels].
struct ConvRow {
  const float* x;            // first value under the kernel at the first position
  std::int64_t row;          // floats from one row of the image to the next
  std::int64_t step;         // floats from one position to the next
  std::int64_t kernel_rows;  // height of the kernel
  std::int64_t kernel_row;   // its width × channels: floats that lie together
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

// The inner loops for one instruction set. Within one set a result never depends on anything but
// its arguments; two sets round differently.
struct Kernels {
  const char* name;
  // out[r][o] += Σ x[r][i] · w[o][i]
  void (*linear)(const LinearPart& part, float* out, std::int64_t out_stride);
  // dx[r][i] += Σ d[r][o] · w[o][i] (dx may be null), then w[o][i] += Σ scaled[r][o] · x[r][i]
  void (*linear_back)(const LinearPart& part, const float* d, const float* scaled,
                      std::int64_t d_stride, float* dx);
  // out[position][lane] = bias[lane] + Σ x · weights, for one or two panels of output channels:
  // weights [panel, kernel_rows · kernel_row, kPanel], out [positions, panels · kPanel].
  void (*convolve)(const ConvRow& row, const float* weights, const float* bias, std::int64_t panels,
                   float* out);
  // best[window][c] and the offset of the position it is from, for c < channels, `stride` apart.
  void (*pool)(const PoolRow& row, std::int64_t channels, std::int64_t stride, float* best,
               std::int32_t* winners);
  // Where every output may have a gradient: gradient[panel][ky · kernel_row + i][lane] += Σ over
  // the positions of d[lane] · x, for one or two panels, and bias[lane] += Σ d[lane]. d [positions,
  // d_stride] counts where y > 0 (y null: everywhere).
  void (*gather_dense)(const ConvRow& row, const float* d, const float* y, std::int64_t d_stride,
                       std::int64_t panels, float* gradient, float* bias);
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
};

// What this processor can run, plain C++ first, the fastest last.
std::vector<const Kernels*> available_kernels();
const Kernels& fastest_kernels();

extern const Kernels kPortableKernels;
std::vector<const Kernels*> machine_kernels();  // the ones for this processor family, slowest first

}  // namespace fedstill::chain

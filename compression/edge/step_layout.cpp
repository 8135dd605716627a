#include <array>
#include <cstring>

#include "compression/edge/steps.h"

namespace fedstill {
namespace {

// A tensor seen along one axis: outer blocks of `length` runs of `inner` neighbouring bytes.
struct AxisView {
  std::int64_t outer = 1, length = 1, inner = 1;
};

// The axis is one of the graph's shape; images lie channels-last.
AxisView along(const SampleShape& shape, std::int64_t axis) {
  SampleShape stored = shape;
  auto at = static_cast<std::size_t>(axis);
  if (shape.size() == 3) {
    stored = {shape[1], shape[2], shape[0]};
    at = (at + 2) % 3;
  }
  AxisView view;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    (i < at ? view.outer : i == at ? view.length : view.inner) *= stored[i];
  }
  return view;
}

using Table = std::array<std::uint8_t, 256>;

Table requantization_table(const ActivationScale& from, const ActivationScale& to) {
  Table table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = nearest_code(real_value(static_cast<std::uint8_t>(i), from), to);
  }
  return table;
}

struct ConcatPart {
  const std::uint8_t* from;
  std::int64_t bytes;  // of each outer block
  bool same_scale;
  Table table;
};

}  // namespace

Step make_concat_step(const StepContext& context) {
  std::vector<ConcatPart> parts;
  for (const Codes& input : context.inputs) {
    const AxisView view = along(input.shape, context.node.attributes.axis);
    parts.push_back({input.data, view.length * view.inner, input.scale == context.output.scale,
                     requantization_table(input.scale, context.output.scale)});
  }
  const AxisView view = along(context.output.shape, context.node.attributes.axis);
  return [parts, start = context.output.data, outer = view.outer] {
    std::uint8_t* to = start;
    for (std::int64_t block = 0; block < outer; ++block) {
      for (const ConcatPart& part : parts) {
        const std::uint8_t* from = part.from + block * part.bytes;
        if (part.same_scale) std::memcpy(to, from, static_cast<std::size_t>(part.bytes));
        for (std::int64_t i = 0; i < part.bytes && !part.same_scale; ++i)
          to[i] = part.table[from[i]];
        to += part.bytes;
      }
    }
  };
}

Step make_slice_step(const StepContext& context) {
  const AxisView in = along(context.inputs[0].shape, context.node.attributes.axis);
  const AxisView out = along(context.output.shape, context.node.attributes.axis);
  return [in, out, from = context.inputs[0].data + context.node.attributes.begin * in.inner,
          to = context.output.data] {
    for (std::int64_t block = 0; block < out.outer; ++block) {
      std::memcpy(to + block * out.length * out.inner, from + block * in.length * in.inner,
                  static_cast<std::size_t>(out.length * out.inner));
    }
  };
}

Step make_reshape_step(const StepContext& context) {
  std::vector<std::uint8_t> plain(static_cast<std::size_t>(element_count(context.output.shape)));
  return [plain, in = context.inputs[0], out = context.output]() mutable {
    to_channels_first(in.data, in.shape, plain.data());
    to_channels_last(plain.data(), out.shape, out.data);
  };
}

Step make_upsample_step(const StepContext& context) {
  return [in = context.inputs[0], out = context.output, scale = context.node.attributes.scale] {
    const std::int64_t channels = in.shape[0], width = out.shape[2];
    for (std::int64_t y = 0; y < out.shape[1]; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        std::memcpy(out.data + (y * width + x) * channels,
                    in.data + (y / scale * in.shape[2] + x / scale) * channels,
                    static_cast<std::size_t>(channels));
      }
    }
  };
}

bool is_plain(const SampleShape& shape) {
  return shape.size() != 3 || shape[0] == 1 || shape[1] * shape[2] == 1;
}

void to_channels_first(const std::uint8_t* from, const SampleShape& shape, std::uint8_t* to) {
  if (is_plain(shape)) {
    std::memcpy(to, from, static_cast<std::size_t>(element_count(shape)));
    return;
  }
  const std::int64_t channels = shape[0], pixels = shape[1] * shape[2];
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < pixels; ++i) *to++ = from[i * channels + c];
  }
}

void to_channels_last(const std::uint8_t* from, const SampleShape& shape, std::uint8_t* to) {
  if (is_plain(shape)) {
    std::memcpy(to, from, static_cast<std::size_t>(element_count(shape)));
    return;
  }
  const std::int64_t channels = shape[0], pixels = shape[1] * shape[2];
  for (std::int64_t i = 0; i < pixels; ++i) {
    for (std::int64_t c = 0; c < channels; ++c) *to++ = from[c * pixels + i];
  }
}

}  // namespace fedstill

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/quantized_graph.h"

namespace fedstill {

// What an edge device receives: one zip (docs/formats.md) with manifest.json (hashes of the other
// entries, class names, normalisation), model.safetensors (the quantized graph) and model.onnx (the
// same network in QDQ form).
struct EdgeBundle {
  std::vector<std::string> class_names;
  std::vector<float> mean, deviation;  // input normalisation per channel, of pixel / 255
  QuantizedGraph model;
  std::vector<std::byte> onnx;
  double agreement = 0.0;  // with the float student, from the gate
};

std::vector<std::byte> encode_bundle(const EdgeBundle& bundle);  // deterministic bytes
EdgeBundle decode_bundle(std::span<const std::byte> bytes);      // DecodeError: damaged zip, wrong
                                                                 // hash, missing entry, too large
void write_bundle(const std::filesystem::path& path, const EdgeBundle& bundle);  // atomically
EdgeBundle read_bundle(const std::filesystem::path& path);

}  // namespace fedstill

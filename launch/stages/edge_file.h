#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "compression/verify.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"
#include "launch/stages/student.h"

namespace fedstill {

struct BundleRecord {
  std::string scheme, sha256;
  double test_accuracy = 0.0, agreement = 0.0;
  std::int64_t bytes = 0, float_bytes = 0;  // of bundle.fsb and of student.safetensors
  std::vector<LayerNoise> layers;
};
nlohmann::json to_json(const BundleRecord& record);

struct EdgeFile {
  std::vector<std::byte> bytes;
  BundleRecord record;
};

// Quantizes the student, lets the gate look at it and writes bundle.fsb, or takes the finished one
// from the run folder. Throws GateError, and then no bundle is written.
EdgeFile make_edge_file(const Run& run, const Material& material, const Student& student);

}  // namespace fedstill

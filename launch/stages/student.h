#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launch/stages/material.h"
#include "launch/stages/run.h"
#include "launch/stages/teaching.h"
#include "model/graph.h"

namespace fedstill {

struct StudentRecord {
  std::string architecture, sha256;
  std::int64_t parameters = 0;
  double validation_accuracy = 0.0, test_accuracy = 0.0, seconds = 0.0;
  std::vector<double> losses;
};
nlohmann::json to_json(const StudentRecord& record);

struct Student {
  Graph graph;
  StudentRecord record;
};

// Distills the soft labels into student.safetensors and student.onnx of the run folder, or takes
// the finished student from there. A killed fit goes on from its checkpoint.
Student make_student(const Run& run, const Material& material, const Teaching& teaching);

// On another rank of the crew: fits its replica of rank 0's student to these targets.
void help_distill(const Run& run, const Material& material, const at::Tensor& targets);

}  // namespace fedstill

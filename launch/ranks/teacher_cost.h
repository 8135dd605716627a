#pragma once

#include <map>
#include <string>

#include "aggregation/teacher_pass.h"
#include "data/batches.h"
#include "data/images.h"

namespace fedstill {

// What teachers cost, by asking one of each kind about a few images: what a small network takes is
// hardly what its multiply-adds say. On this machine, with one LibTorch thread.
class TeacherCosts {
 public:
  // What they refer to must outlive it.
  TeacherCosts(const ImageView& images, const Normalisation& normalisation, at::Device device)
      : images_(images), normalisation_(normalisation), device_(device) {}

  double seconds_per_image(const Teacher& teacher);  // throws DecodeError for no model

 private:
  double measure(const Graph& graph) const;

  const ImageView& images_;
  const Normalisation& normalisation_;
  at::Device device_;
  std::map<std::string, double> known_;  // by kind
};

}  // namespace fedstill

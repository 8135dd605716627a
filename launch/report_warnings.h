#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/job.h"

namespace fedstill {

// Why a job's weights say nothing where no client recognises the pool; "" for rules that do not ask
// who does.
std::string foreign_pool_warning(const std::string& rule);

// What a reader should know before the results are believed, a sentence or two each: what happened
// and what to do about it.
struct ResultFacts {
  bool foreign_pool = false;
  std::int64_t classes = 0, pool_images = 0;
  double student_accuracy = 0.0;
  // On the same images; nothing where part of the clients could be asked about other images only.
  std::optional<double> ensemble_accuracy = {};
};
std::vector<std::string> result_warnings(const Job& job, const ResultFacts& facts);

}  // namespace fedstill

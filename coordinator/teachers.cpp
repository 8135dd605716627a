#include "coordinator/teachers.h"

#include <algorithm>

namespace fedstill {
namespace {

// The lower of the two in the middle.
std::int64_t median_sample_count(const std::vector<AcceptedUpdate>& updates) {
  std::vector<std::int64_t> counts;
  counts.reserve(updates.size());
  for (const AcceptedUpdate& update : updates) counts.push_back(update.sample_count);
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>((counts.size() - 1) / 2);
  std::nth_element(counts.begin(), middle, counts.end());
  return *middle;
}

}  // namespace

std::vector<Teacher> teachers_of(const std::vector<AcceptedUpdate>& updates,
                                 const PredictionsShape& pool) {
  std::vector<Teacher> teachers;
  teachers.reserve(updates.size());
  for (const AcceptedUpdate& update : updates) {
    Teacher& teacher =
        teachers.emplace_back(Teacher{update.file, update.sha256, update.sample_count});
    if (update.mode != Participation::kPredictions) continue;
    teacher.predictions = pool;
    teacher.sample_count = std::min(teacher.sample_count, median_sample_count(updates));
  }
  return teachers;
}

}  // namespace fedstill

#include "coordinator/teachers.h"

#include <algorithm>

#include "model/decode_error.h"
#include "model/sha256.h"

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

void check_hashes(const std::vector<AcceptedUpdate>& updates) {
  for (const AcceptedUpdate& update : updates) {
    if (sha256_hex_of_file(update.file) == update.sha256) continue;
    throw DecodeError("[coordinator] " + update.file.string() + " of " + update.client +
                      ": the content no longer has this hash");
  }
}

}  // namespace fedstill

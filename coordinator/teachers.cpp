#include "coordinator/teachers.h"

namespace fedstill {

std::vector<Teacher> teachers_of(const std::vector<AcceptedUpdate>& updates) {
  std::vector<Teacher> teachers;
  teachers.reserve(updates.size());
  for (const AcceptedUpdate& update : updates) {
    teachers.push_back({update.file, update.sha256, update.sample_count});
  }
  return teachers;
}

}  // namespace fedstill

#pragma once

#include <stdexcept>

namespace fedstill {

// A job file, a flag or a combination of settings is wrong. The message says where, what was found
// and what was expected.
class JobError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fedstill

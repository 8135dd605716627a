#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/launch/process.h"

namespace fedstill::tests {

// Stands in for the Python that FEDSTILL_BENCH_PYTHON names: a shell script whose $1 is the program
// that it was to run, and the rest what that is given.
class StubPython {
 public:
  explicit StubPython(const std::string& body) {
    std::ofstream(path()) << "#!/bin/sh\necho \"$*\" >> '" << log().string() << "'\n"
                          << body << "\n";
    std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
  }
  std::string path() const { return folder_ / "python"; }
  std::string asked() const { return text_of(log()); }  // a line for every time

 private:
  std::filesystem::path log() const { return folder_ / "asked"; }
  TempFolder folder_;
};

}  // namespace fedstill::tests

#pragma once

#include <stdlib.h>
#include <sys/wait.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace fedstill::tests {

// The Python packages that hold our files against the world's readers: numpy, onnx, onnxruntime,
// safetensors. Tests skip only where they are positively absent:
//   if (!oracles_are_present()) GTEST_SKIP() << "no Python oracles";
// Requires: the compile definition FEDSTILL_DEPS.
inline bool oracles_are_present() {
  return std::filesystem::exists(FEDSTILL_DEPS "/oracles") &&
         std::system("python3 -c '' > /dev/null 2>&1") == 0;
}

struct OracleResult {
  int status = 0;
  std::string output;  // stdout and stderr together
};

// Runs tests/oracle/<script> with these arguments.
inline OracleResult run_oracle(const std::string& script,
                               const std::vector<std::string>& arguments) {
  std::string command = "PYTHONPATH='" FEDSTILL_DEPS "/oracles' python3 '" FEDSTILL_SOURCE_DIR
                        "/tests/oracle/" +
                        script + "'";
  for (const std::string& argument : arguments) command += " '" + argument + "'";
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  OracleResult result;
  char part[4096];
  for (std::size_t count; (count = std::fread(part, 1, sizeof(part), pipe)) > 0;) {
    result.output.append(part, count);
  }
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

// A folder of its own for files that a script reads and writes; removed at the end.
class OracleFolder {
 public:
  OracleFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "fedstill_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~OracleFolder() { std::filesystem::remove_all(path_); }
  OracleFolder(const OracleFolder&) = delete;
  OracleFolder& operator=(const OracleFolder&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }

  std::string write(const std::string& name, std::span<const std::byte> bytes) const {
    std::ofstream(path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path(name);
  }

  std::vector<float> read_floats(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    return {values, values + bytes.size() / sizeof(float)};
  }

 private:
  std::filesystem::path path_;
};

}  // namespace fedstill::tests

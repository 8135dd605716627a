#include "launch/input.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace fedstill {
namespace {

namespace fs = std::filesystem;

void require_readable(const fs::path& path) {
  if (::access(path.c_str(), R_OK) == 0) return;
  const int error = errno;
  throw InputError(
      "[input] cannot read " + path.string() + ": " + std::generic_category().message(error),
      error == EACCES ? "this user may not read it" : "check the path");
}

std::string hint_for(const fs::path& run, std::initializer_list<std::string_view> meant) {
  std::string there;
  std::error_code ignored;
  for (const auto name : meant) {
    if (!fs::exists(run / name, ignored)) continue;
    there += (there.empty() ? "give " : " or ") + (run / name).string();
  }
  if (!there.empty()) return there;
  return meant.size() == 0 ? "give a file" : "is this run finished? it has no such file";
}

}  // namespace

void require_file(const fs::path& path, std::initializer_list<std::string_view> meant) {
  require_readable(path);
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return;
  if (!is_run_folder(path)) {
    throw InputError("[input] " + path.string() + " is a folder, expected a file", "give a file");
  }
  throw InputError("[input] " + path.string() + " is a run folder, expected a file",
                   hint_for(path, meant));
}

void require_file_if_given(const fs::path& path) {
  if (!path.empty()) require_file(path);
}

void require_folder(const fs::path& path) {
  require_readable(path);
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return;
  throw InputError("[input] " + path.string() + " is a file, expected a folder",
                   "give the folder that it lies in");
}

bool is_run_folder(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "job.toml", ignored) && fs::is_directory(folder / "state", ignored);
}

}  // namespace fedstill

#include "launch/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "launch/job_file.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxStateBytes = std::size_t{64} << 20;

[[noreturn]] void fail(int error, const fs::path& path, const std::string& what) {
  throw std::system_error(error, std::generic_category(), "[run] " + path.string() + ": " + what);
}

// create_directories says only that it failed, not where; this names the path.
void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw std::system_error(error, "[run] cannot create " + path.string());
}

int lock_folder(const fs::path& folder) {
  const fs::path path = folder / "lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) fail(errno, path, "cannot be opened");
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(file);
    fail(error, folder, "another fedstill is using this run folder");
  }
  return file;
}

}  // namespace

RunFolder RunFolder::create(const fs::path& folder, const Job& job) {
  std::error_code ignored;
  const bool existed = fs::exists(folder, ignored);
  if (existed && fs::exists(folder / "job.toml", ignored)) {
    throw JobError("[run] " + folder.string() + " already holds a run; go on with --resume " +
                   folder.string() + " or give another --run");
  }
  if (existed && fs::is_directory(folder, ignored) && !fs::is_empty(folder, ignored)) {
    throw JobError("[run] " + folder.string() + " is not empty; give another --run");
  }
  make_folder(folder);
  try {
    RunFolder run(folder, lock_folder(folder));
    for (const char* part : {"clients", "cache", "state"}) make_folder(folder / part);
    write_file_atomically(run.file("job.toml"), write_job(job));
    return run;
  } catch (...) {
    if (!existed) fs::remove_all(folder, ignored);
    throw;
  }
}

RunFolder RunFolder::reopen(const fs::path& folder, Job& job) {
  std::error_code ignored;
  if (!fs::exists(folder / "job.toml", ignored)) {
    throw JobError("[run] " + folder.string() + " holds no run: job.toml is missing");
  }
  RunFolder run(folder, lock_folder(folder));
  apply_job_file(job, run.file("job.toml"));
  return run;
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

fs::path RunFolder::client(const std::string& name) const {
  fs::path folder = path_ / "clients" / name;
  make_folder(folder);
  return folder;
}

void RunFolder::remember(const std::string& name, const nlohmann::json& value) const {
  const fs::path path = path_ / "state" / (name + ".json");
  make_folder(path.parent_path());
  write_file_atomically(path, value.dump(1));
}

std::optional<nlohmann::json> RunFolder::recall(const std::string& name) const {
  const fs::path path = path_ / "state" / (name + ".json");
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  const auto bytes = read_file(path, kMaxStateBytes);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  auto value = nlohmann::json::parse(text, text + bytes.size(), nullptr, false);
  if (value.is_discarded()) throw DecodeError("[run] " + path.string() + " is not JSON");
  return value;
}

fs::path default_run_folder() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &local);
  fs::path folder = fs::path("runs") / stamp;
  std::error_code ignored;
  for (int i = 2; fs::exists(folder, ignored); ++i) {
    folder = fs::path("runs") / (std::string(stamp) + "-" + std::to_string(i));
  }
  return folder;
}

}  // namespace fedstill

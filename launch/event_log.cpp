#include "launch/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>

#include "launch/outside_text.h"

namespace fedstill {
namespace {

[[noreturn]] void refuse_log(const std::filesystem::path& path, const char* what) {
  throw std::system_error(errno, std::generic_category(),
                          "[events] " + path.string() + ": " + what);
}

// Length of the file up to and with its last newline.
off_t whole_lines(int file, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(file, &status) != 0) refuse_log(path, "cannot be read");
  for (off_t end = status.st_size; end > 0; --end) {
    char last = 0;
    if (::pread(file, &last, 1, end - 1) != 1) refuse_log(path, "cannot be read");
    if (last == '\n') return end;
  }
  return 0;
}

double unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) /
         1000.0;
}

}  // namespace

LineFile::LineFile(const std::filesystem::path& path, std::string_view first_line) : path_(path) {
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) refuse_log(path_, "cannot be opened");
  const off_t length = whole_lines(file_, path_);
  if (::ftruncate(file_, length) != 0) refuse_log(path_, "cannot be written");
  if (length == 0 && !first_line.empty()) append(first_line);
}

LineFile::~LineFile() {
  if (file_ >= 0) ::close(file_);
}

void LineFile::append(std::string_view line) {
  const std::lock_guard guard(mutex_);
  write(std::string(line) + "\n");
}

void LineFile::write(std::string_view text) {
  for (std::string_view left = text; !left.empty();) {
    const ssize_t written = ::write(file_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int why = errno;
      if (left.size() < text.size()) cut_off_half_line();
      errno = why;
      refuse_log(path_, "cannot be written");
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
}

void LineFile::cut_off_half_line() {
  if (::ftruncate(file_, whole_lines(file_, path_)) != 0) refuse_log(path_, "cannot be written");
}

EventLog::EventLog(const std::filesystem::path& run_folder)
    : events_(run_folder / "events.jsonl", ""),
      metrics_(run_folder / "metrics.csv", "stage,who,epoch,step,loss,images_per_second,round") {}

void EventLog::event(std::string_view name, const nlohmann::json& details) {
  nlohmann::ordered_json line;
  line["time"] = unix_seconds();
  line["event"] = name;
  for (const auto& [key, value] : details.items()) line[key] = value;
  events_.append(json_text(line));
}

void EventLog::metric(std::string_view stage, std::string_view who, std::int64_t epoch,
                      std::int64_t step, double loss, double images_per_second,
                      std::int64_t round) {
  const auto number = [](double value) { return nlohmann::json(value).dump(); };
  metrics_.append(std::string(stage) + "," + std::string(who) + "," + std::to_string(epoch) + "," +
                  std::to_string(step) + "," + number(loss) + "," + number(images_per_second) +
                  "," + std::to_string(round));
}

}  // namespace fedstill

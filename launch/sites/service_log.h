#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "model/file_descriptor.h"

namespace fedstill {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
LogLevel parse_log_level(std::string_view text);  // std::invalid_argument
std::string_view name(LogLevel level);

// What a service that nobody watches tells: "2026-11-22T07:31:02.123Z warning refused …", a line
// each, into a file that is renamed to FILE.1 (the older to FILE.2, …) before it grows too large.
// SIGHUP: the file is opened anew at the next line, for whoever renames it himself. SIGUSR2: debug,
// and the level before when it comes again. Any thread. A line that cannot be written is lost, and
// how many were is told as soon as there is room: a full disk does not end a service.
class ServiceLog {
 public:
  struct Options {
    std::filesystem::path file;  // empty: nowhere
    LogLevel level = LogLevel::kInfo;
    std::uint64_t max_bytes = std::uint64_t{16} << 20;
    int keep = 5;  // older files
  };
  // Takes both signals where it writes anywhere. Throws std::system_error if it cannot.
  explicit ServiceLog(const Options& options);
  ~ServiceLog();
  ServiceLog(const ServiceLog&) = delete;
  ServiceLog& operator=(const ServiceLog&) = delete;

  void write(LogLevel level, std::string_view text);  // control characters become '?'
  void set_level(LogLevel level);

 private:
  void heed_signals();
  void write_line(const std::string& line);
  void rotate();

  const Options options_;
  std::mutex mutex_;
  LogLevel level_;
  std::unique_ptr<FileDescriptor> file_;
  std::uint64_t bytes_ = 0, lost_ = 0;
  int opened_at_ = 0, toggled_at_ = 0;  // counts of signals seen
};

// The work of a service that logs there: what ends it by an exception is the log's last line.
template <typename Work>
auto with_log(const std::filesystem::path& file, std::string_view level, const Work& work) {
  ServiceLog log({.file = file, .level = parse_log_level(level)});
  try {
    return work(log);
  } catch (const std::exception& error) {
    log.write(LogLevel::kError, error.what());
    throw;
  }
}

}  // namespace fedstill

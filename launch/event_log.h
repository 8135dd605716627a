#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace fedstill {

// A text file that only grows, one whole line at a time. A line that a kill left half-written is
// cut off when the file is opened again. Any thread may append. Throws std::system_error.
class LineFile {
 public:
  LineFile(const std::filesystem::path& path, std::string_view first_line);  // of a new file
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  void append(std::string_view line);

 private:
  void write(std::string_view text);
  void cut_off_half_line();
  std::filesystem::path path_;
  int file_ = -1;
  std::mutex mutex_;
};

// What happened in a run, for people and scripts that follow it: events.jsonl (one object per line
// with "time" in seconds since the epoch and "event") and metrics.csv (one row per epoch).
class EventLog {
 public:
  explicit EventLog(const std::filesystem::path& run_folder);
  void event(std::string_view name, const nlohmann::json& details);  // details: an object
  void metric(std::string_view stage, std::string_view who, std::int64_t epoch, std::int64_t step,
              double loss, double images_per_second, std::int64_t round);

 private:
  LineFile events_, metrics_;
};

}  // namespace fedstill

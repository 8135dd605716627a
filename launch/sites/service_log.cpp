#include "launch/sites/service_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <span>
#include <stdexcept>
#include <system_error>

#include "launch/outside_text.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};

// How often each signal came: a handler can reach nothing else.
std::atomic<int> g_reopen{0}, g_toggle{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_log_signal(int number) { ++(number == SIGHUP ? g_reopen : g_toggle); }

void take_signals() {
  struct sigaction action {};
  action.sa_handler = on_log_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGHUP, &action, nullptr);
  ::sigaction(SIGUSR2, &action, nullptr);
}

std::string time_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(now_ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03dZ",
                static_cast<int>(now_ms % 1000));
  return text.data();
}

std::unique_ptr<FileDescriptor> open_log(const fs::path& file) {
  return std::make_unique<FileDescriptor>(file, O_WRONLY | O_CREAT | O_APPEND);
}

fs::path numbered(const fs::path& file, int number) {
  return fs::path(file).concat("." + std::to_string(number));
}

}  // namespace

LogLevel parse_log_level(std::string_view text) {
  const auto* const found = std::ranges::find(kNames, text);
  if (found != std::end(kNames)) return static_cast<LogLevel>(found - std::begin(kNames));
  throw std::invalid_argument("[log] level: found '" + std::string(text) +
                              "', expected debug, info, warning or error");
}

std::string_view name(LogLevel level) { return kNames[static_cast<std::size_t>(level)]; }

ServiceLog::ServiceLog(const Options& options)
    : options_(options), level_(options.level), opened_at_(g_reopen), toggled_at_(g_toggle) {
  if (options_.file.empty()) return;
  file_ = open_log(options_.file);
  bytes_ = fs::file_size(options_.file);
  take_signals();
}

ServiceLog::~ServiceLog() = default;

void ServiceLog::set_level(LogLevel level) {
  const std::lock_guard guard(mutex_);
  level_ = level;
}

void ServiceLog::write(LogLevel level, std::string_view text) {
  if (options_.file.empty()) return;
  const std::lock_guard guard(mutex_);
  heed_signals();
  if (level < level_) return;
  const auto line = [](LogLevel of, const std::string& what) {
    return time_text() + " " + std::string(name(of)) + " " + printable(what) + "\n";
  };
  try {
    if (lost_ > 0) {
      write_line(line(LogLevel::kWarning, std::to_string(lost_) + " lines could not be written"));
      lost_ = 0;
    }
    write_line(line(level, std::string(text)));
  } catch (const std::system_error&) {
    ++lost_;
  }
}

void ServiceLog::heed_signals() {
  if (const int toggled = g_toggle; toggled != toggled_at_) {
    const bool is_odd = (toggled - toggled_at_) % 2 != 0;
    toggled_at_ = toggled;
    const LogLevel other = options_.level == LogLevel::kDebug ? LogLevel::kInfo : options_.level;
    if (is_odd) level_ = level_ == LogLevel::kDebug ? other : LogLevel::kDebug;
  }
  const int reopen = g_reopen;
  if (reopen == opened_at_) return;
  opened_at_ = reopen;
  try {
    auto file = open_log(options_.file);
    bytes_ = fs::file_size(options_.file);
    file_ = std::move(file);
  } catch (const std::system_error&) {  // the old one is better than none
  }
}

void ServiceLog::write_line(const std::string& line) {
  if (bytes_ > 0 && bytes_ + line.size() > options_.max_bytes) rotate();
  try {
    file_->write(std::as_bytes(std::span(line)));
    bytes_ += line.size();
  } catch (const std::system_error&) {
    // No half line stays; where even that fails the next one ends it.
    if (::ftruncate(file_->get(), static_cast<off_t>(bytes_)) != 0) ++bytes_;
    throw;
  }
}

void ServiceLog::rotate() {
  // It may be gone: somebody took it, or the new one could not be opened after the last rotation.
  std::error_code absent;
  const bool is_there = fs::exists(options_.file, absent);
  for (int number = is_there ? options_.keep : 0; number > 0; --number) {
    const auto newer = number > 1 ? numbered(options_.file, number - 1) : options_.file;
    fs::rename(newer, numbered(options_.file, number), absent);
  }
  file_ = std::make_unique<FileDescriptor>(options_.file, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC);
  bytes_ = 0;
}

}  // namespace fedstill

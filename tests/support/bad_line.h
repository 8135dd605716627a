#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace fedstill {

// What happens to one connection on its way.
struct Weather {
  enum class End {
    kClose,   // both sides are told
    kReset,   // both sides are told rudely
    kSilence  // nobody is told: nothing passes any more, as when a cable is pulled
  };
  std::chrono::milliseconds delay{0};                // of every byte, each way
  std::uint64_t bytes_per_second = 0;                // each way; 0: no limit
  std::uint64_t up = UINT64_MAX, down = UINT64_MAX;  // bytes until it ends…
  End end = End::kClose;                             // …so
};

// A line between clients and a server on this machine: they connect to its port instead of the
// server's, and every connection gets its own weather.
class BadLine {
 public:
  explicit BadLine(std::uint16_t target);
  ~BadLine();
  BadLine(const BadLine&) = delete;
  BadLine& operator=(const BadLine&) = delete;

  std::uint16_t port() const { return port_; }
  // Of connections to come; called once for each, never twice at a time.
  void set_weather(std::function<Weather()> weather);
  void set_weather(const Weather& weather) {
    set_weather([weather] { return weather; });
  }
  void pull_the_plug() { is_plugged_ = false; }  // ends every silent connection

  std::uint64_t connections() const { return connections_; }
  std::uint64_t ended() const { return ended_; }    // by the weather
  std::uint64_t silent() const { return silent_; }  // so far, whether or not they still are
  std::vector<std::byte> last_recording();          // what went up the last connection that ended

 private:
  struct Way;
  void accept_all();
  void carry(int near, Weather weather);
  bool carry_one(Way& way, std::chrono::steady_clock::time_point now);
  void stay_silent();

  const std::uint16_t target_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::function<Weather()> weather_;
  std::vector<std::byte> recording_;
  std::atomic<bool> is_over_ = false, is_plugged_ = true;
  std::atomic<std::uint64_t> connections_{0}, ended_{0}, silent_{0};
  std::thread thread_;
};

}  // namespace fedstill

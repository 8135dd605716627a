#include "tests/support/bad_line.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <span>
#include <stdexcept>
#include <utility>

#include "tests/support/loopback_address.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLookMilliseconds = 20;  // for the end, while nothing happens
constexpr std::size_t kMostBytes = 64 * 1024;

int connect_to(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback_address(port);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return descriptor;
  }
  ::close(descriptor);
  return -1;
}

bool send_all(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

void close_with_reset(int descriptor) {
  const linger abortive{1, 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abortive, sizeof(abortive));
  ::close(descriptor);
}

}  // namespace

// One direction of a connection.
struct BadLine::Way {
  struct Piece {
    Clock::time_point due;
    std::vector<std::byte> bytes;
  };
  int from, to;
  const Weather* weather;
  std::uint64_t left;  // bytes until the connection ends
  std::vector<std::byte>* recording = nullptr;
  std::deque<Piece> pieces{};   // under way
  Clock::time_point free_at{};  // of the throttle
  bool has_ended = false;       // the sender sends no more
  bool wants_input(Clock::time_point now) const {
    return !has_ended && left > 0 && now >= free_at && pieces.size() < 64;
  }
};

BadLine::BadLine(std::uint16_t target) : target_(target), weather_([] { return Weather{}; }) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback_address(0);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 128) != 0 ||
      ::getsockname(listener_, generic, &size) != 0) {
    throw std::runtime_error("[bad line] cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { accept_all(); });
}

BadLine::~BadLine() {
  is_over_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
}

void BadLine::set_weather(std::function<Weather()> weather) {
  const std::lock_guard guard(mutex_);
  weather_ = std::move(weather);
}

std::vector<std::byte> BadLine::last_recording() {
  const std::lock_guard guard(mutex_);
  return recording_;
}

void BadLine::accept_all() {
  std::vector<std::thread> carrying;
  for (int near; (near = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
    Weather weather;
    {
      const std::lock_guard guard(mutex_);
      weather = weather_();
    }
    ++connections_;
    carrying.emplace_back([this, near, weather] { carry(near, weather); });
  }
  is_over_ = true;
  for (std::thread& one : carrying) one.join();
}

void BadLine::carry(int near, Weather weather) {
  const int far = connect_to(target_);
  if (far < 0) {
    ::close(near);
    return;
  }
  std::vector<std::byte> recording;
  std::array<Way, 2> ways{Way{near, far, &weather, weather.up, &recording},
                          Way{far, near, &weather, weather.down}};
  bool is_open = true;
  while (is_open && !is_over_) {
    const auto now = Clock::now();
    auto wake = now + std::chrono::milliseconds(kLookMilliseconds);
    std::array<pollfd, 2> entries{};
    for (std::size_t i = 0; i < 2; ++i) {
      const Way& way = ways[i];
      entries[i] = {way.wants_input(now) ? way.from : -1, POLLIN, 0};
      if (!way.pieces.empty()) wake = std::min(wake, way.pieces.front().due);
      if (way.free_at > now) wake = std::min(wake, way.free_at);
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(wake - now).count();
    ::poll(entries.data(), entries.size(), static_cast<int>(std::max<std::int64_t>(0, wait)));
    for (Way& way : ways) is_open = carry_one(way, Clock::now()) && is_open;
  }
  {
    const std::lock_guard guard(mutex_);
    recording_ = std::move(recording);
  }
  const bool by_weather = ways[0].left == 0 || ways[1].left == 0;
  if (by_weather) ++ended_;
  if (by_weather && weather.end == Weather::End::kSilence) stay_silent();
  for (const int end : {near, far}) {
    by_weather&& weather.end == Weather::End::kReset ? close_with_reset(end) : void(::close(end));
  }
}

// False once the connection is to end.
bool BadLine::carry_one(Way& way, Clock::time_point now) {
  if (way.wants_input(now)) {
    std::vector<std::byte> bytes(std::min<std::uint64_t>(kMostBytes, way.left));
    if (way.weather->bytes_per_second > 0) {
      bytes.resize(std::clamp<std::size_t>(way.weather->bytes_per_second / 50, 1, bytes.size()));
    }
    const ssize_t got = ::recv(way.from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) way.has_ended = true;
    if (got > 0) {
      bytes.resize(static_cast<std::size_t>(got));
      way.left -= bytes.size();
      if (way.weather->bytes_per_second > 0) {
        way.free_at = now + std::chrono::microseconds(1'000'000 * bytes.size() /
                                                      way.weather->bytes_per_second);
      }
      if (way.recording != nullptr) {
        way.recording->insert(way.recording->end(), bytes.begin(), bytes.end());
      }
      way.pieces.push_back({now + way.weather->delay, std::move(bytes)});
    }
  }
  while (!way.pieces.empty() && way.pieces.front().due <= now) {
    if (!send_all(way.to, way.pieces.front().bytes)) return false;
    way.pieces.pop_front();
  }
  return !way.pieces.empty() || (!way.has_ended && way.left > 0);
}

void BadLine::stay_silent() {
  ++silent_;
  while (!is_over_ && is_plugged_) ::poll(nullptr, 0, kLookMilliseconds);
}

}  // namespace fedstill

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "transport/tls/server.h"

namespace fedstill {

// What a coordinator looks like from outside at one moment.
struct Vitals {
  std::uint32_t round = 0;
  std::string state, trouble;  // of the round; why events cannot be recorded, or nothing
  std::map<std::string, std::size_t> members;  // by state
  std::size_t uploads = 0, expected = 0, delivered = 0;
  double deadline_seconds = 0.0;
  ServerCounters server;
};

// For monitoring, on the loopback address only: GET /metrics in Prometheus' text format, GET
// /health with 200 and {"status": "ok"}, or 503 and what is wrong (a failed round, a full disk).
class Monitor {
 public:
  // look() is called from the monitor's threads. Port 0: any. Throws std::system_error where the
  // port cannot be had.
  Monitor(std::uint16_t port, std::function<Vitals()> look);
  ~Monitor();
  std::uint16_t port() const;

 private:
  class Pages;
  std::unique_ptr<Pages> pages_;
};

}  // namespace fedstill

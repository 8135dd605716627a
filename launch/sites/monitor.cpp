#include "launch/sites/monitor.h"

#include <CivetServer.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "launch/machine.h"

namespace fedstill {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric metric(MetricType type, double value) {
  ClientMetric out;
  if (type == MetricType::Counter) out.counter.value = value;
  if (type == MetricType::Gauge) out.gauge.value = value;
  return out;
}

// One family of one value.
template <typename Value>
MetricFamily family(const char* name, const char* help, MetricType type, Value value) {
  return {name, help, type, {metric(type, static_cast<double>(value))}};
}

std::vector<MetricFamily> families_of(const Vitals& v) {
  constexpr auto kGauge = MetricType::Gauge, kCounter = MetricType::Counter;
  std::vector<MetricFamily> out{
      family("fedstill_round", "Number of the round", kGauge, v.round),
      family("fedstill_round_failed", "1 when the round failed", kGauge, v.state == "failed"),
      family("fedstill_round_deadline_seconds", "Seconds to the deadline", kGauge,
             v.deadline_seconds),
      family("fedstill_recording", "0 when events cannot be written (a full disk)", kGauge,
             v.trouble.empty()),
      family("fedstill_updates", "Updates accepted in the round", kGauge, v.uploads),
      family("fedstill_updates_expected", "Updates the round waits for", kGauge, v.expected),
      family("fedstill_bundles_delivered", "Clients that have the last bundle", kGauge,
             v.delivered),
      family("fedstill_connections", "Open connections", kGauge, v.server.connections),
      family("fedstill_handshakes", "TLS handshakes under way", kGauge, v.server.handshakes),
      family("fedstill_accepted_total", "Connections accepted", kCounter, v.server.accepted),
      family("fedstill_refused_total", "Connections refused", kCounter, v.server.refused),
      family("fedstill_shut_out_total", "Peers shut out for being refused too often", kCounter,
             v.server.shut_out),
      family("fedstill_received_bytes_total", "Bytes received", kCounter, v.server.bytes_received),
      family("fedstill_sent_bytes_total", "Bytes sent", kCounter, v.server.bytes_sent),
      family("fedstill_peak_memory_bytes", "Largest resident set so far", kGauge,
             peak_rss_bytes())};
  MetricFamily members{"fedstill_members", "Members of the round by state", kGauge, {}};
  for (const auto& [state, count] : v.members) {
    ClientMetric& one = members.metric.emplace_back(metric(kGauge, static_cast<double>(count)));
    one.label.push_back({"state", state});
  }
  out.push_back(std::move(members));
  return out;
}

std::string problem_of(const Vitals& v) {
  if (!v.trouble.empty()) return v.trouble;
  return v.state == "failed" ? "the round failed" : "";
}

struct Answer {
  int code = 200;
  std::string type, text;
};

Answer metrics(const Vitals& vitals) {
  return {200, "text/plain; version=0.0.4; charset=utf-8",
          prometheus::TextSerializer().Serialize(families_of(vitals))};
}

Answer health(const Vitals& vitals) {
  const std::string problem = problem_of(vitals);
  nlohmann::json out{{"status", problem.empty() ? "ok" : "error"},
                     {"round", vitals.round},
                     {"state", vitals.state}};
  if (!problem.empty()) out["problem"] = problem;
  return {problem.empty() ? 200 : 503, "application/json",
          out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

class Page : public CivetHandler {
 public:
  Page(const std::function<Vitals()>& look, Answer (*make)(const Vitals&))
      : look_(look), make_(make) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    Answer answer{500, "text/plain", "the coordinator does not answer\n"};
    try {
      answer = make_(look_());
    } catch (const std::exception&) {
      // Nothing may be thrown through the C library below.
    }
    mg_printf(connection,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: "
              "close\r\n\r\n",
              answer.code, mg_get_response_code_text(connection, answer.code), answer.type.c_str(),
              answer.text.size());
    mg_write(connection, answer.text.data(), answer.text.size());
    return true;
  }

 private:
  const std::function<Vitals()>& look_;
  Answer (*make_)(const Vitals&);
};

std::vector<std::string> server_options(std::uint16_t port) {
  return {"listening_ports",    "127.0.0.1:" + std::to_string(port),
          "num_threads",        "2",
          "request_timeout_ms", "5000"};
}

}  // namespace

class Monitor::Pages {
 public:
  Pages(std::uint16_t port, std::function<Vitals()> look)
      : look_(std::move(look)),
        metrics_(look_, metrics),
        health_(look_, health),
        server_(server_options(port)) {
    server_.addHandler("/metrics", metrics_);
    server_.addHandler("/health", health_);
  }
  std::uint16_t port() const {
    return static_cast<std::uint16_t>(server_.getListeningPorts().at(0));
  }

 private:
  std::function<Vitals()> look_;
  Page metrics_, health_;
  mutable CivetServer server_;  // last: it calls the others
};

Monitor::Monitor(std::uint16_t port, std::function<Vitals()> look) {
  try {
    pages_ = std::make_unique<Pages>(port, std::move(look));
  } catch (const CivetException& error) {
    throw std::system_error(EADDRINUSE, std::generic_category(),
                            "[monitor] 127.0.0.1:" + std::to_string(port));
  }
}
Monitor::~Monitor() = default;
std::uint16_t Monitor::port() const { return pages_->port(); }

}  // namespace fedstill

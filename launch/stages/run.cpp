#include "launch/stages/run.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "model/random.h"
#include "training/fit.h"

namespace fedstill {

std::uint64_t seed_of(const Job& job, Stream stream, std::uint64_t index) {
  return derive_key(static_cast<std::uint64_t>(job.run.seed), static_cast<std::uint64_t>(stream),
                    index);
}

void timed_stage(const Run& run, const std::string& name, const std::function<void()>& work) {
  if (run.stop.load()) throw Stopped("[run] stopped before " + name);
  run.events.event("stage_started", {{"stage", name}});
  const auto began = std::chrono::steady_clock::now();
  const auto save_seconds = [&] {
    auto seconds = run.folder.recall("seconds").value_or(nlohmann::json::object());
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began;
    seconds[name] = seconds.value(name, 0.0) + spent.count();
    run.folder.remember("seconds", seconds);
  };
  try {
    work();
  } catch (const Stopped&) {
    save_seconds();
    throw;
  }
  save_seconds();
  run.events.event("stage_finished", {{"stage", name}, {"seconds", stage_seconds(run, name)}});
}

double stage_seconds(const Run& run, const std::string& name) {
  return run.folder.recall("seconds").value_or(nlohmann::json::object()).value(name, 0.0);
}

}  // namespace fedstill

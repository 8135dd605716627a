// Many rounds of a tiny job, two real clients over TLS: does the coordinator grow, does a client?
//   fedstill_bench_many_rounds --folder DIR [--rounds 10000]
#include <CLI/CLI.hpp>

#include "bench/real_coordinator.h"
#include "client/participant.h"
#include "model/model_file.h"
#include "tests/support/tiny_update.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr int kSites = 2;

struct Sample {
  double round, megabytes, files;
};

// By least squares over the second half, when everything is warm: of `what` per 1,000 rounds.
double slope(const std::vector<Sample>& all, double Sample::*what) {
  const std::vector<Sample> half(all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2),
                                 all.end());
  double x = 0, y = 0, xx = 0, xy = 0;
  for (const Sample& s : half) {
    x += s.round;
    y += s.*what;
    xx += s.round * s.round;
    xy += s.round * s.*what;
  }
  const auto n = static_cast<double>(half.size());
  return 1000 * (n * xy - x * y) / (n * xx - x * x);
}

void report(const char* who, const std::vector<Sample>& samples) {
  const Sample &middle = samples[samples.size() / 2], &last = samples.back();
  std::printf(
      "%-12s round %.0f: %.1f MB, %.0f files; round %.0f: %.1f MB, %.0f files; per 1,000 rounds of "
      "the second half %+.3f MB, %+.3f files\n",
      who, middle.round, middle.megabytes, middle.files, last.round, last.megabytes, last.files,
      slope(samples, &Sample::megabytes), slope(samples, &Sample::files));
  std::fflush(stdout);
}

Sample look(std::uint32_t round) {
  return {static_cast<double>(round), resident_megabytes(), static_cast<double>(open_files())};
}

void take_part_until_done(std::uint16_t port, const Credentials& who, const std::string& name,
                          const fs::path& folder, std::vector<Sample>* samples) {
  ClientStore store(folder);
  ClientSession session({name, "tiny", 100}, store);
  SiteWork work;
  work.make_update = [&](const RoundPlan& plan, WorkProgress&, const std::atomic<bool>&) {
    write_model(folder / "update", tiny_update(plan.round * kSites + name.back()));
    return folder / "update";
  };
  work.on_bundle = [&](const Delivery& bundle, const fs::path&) {
    if (samples != nullptr && bundle.round % 100 == 0) samples->push_back(look(bundle.round));
  };
  ParticipantOptions options;
  options.poll = std::chrono::milliseconds{1};
  const std::atomic<bool> never = false;
  take_part(
      session,
      [&] {
        return dial({"127.0.0.1", port}, who);
      },
      work, never, options);
}

void run(const fs::path& folder, std::uint32_t rounds) {
  fs::remove_all(folder / "coordinator");
  Keys keys;
  std::vector<Credentials> who;
  for (int i = 0; i < kSites; ++i)
    who.push_back(keys.authority.client("site-" + std::to_string(i)));
  ClientProcess process([&](std::uint16_t port) {
    std::vector<Sample> samples;
    std::vector<std::thread> threads;
    for (int i = 0; i < kSites; ++i) {
      const std::string name = "site-" + std::to_string(i);
      fs::remove_all(folder / name);
      fs::create_directories(folder / name);
      threads.emplace_back([&, i, name] {
        take_part_until_done(port, who[static_cast<std::size_t>(i)], name, folder / name,
                             i == 0 ? &samples : nullptr);
      });
    }
    for (std::thread& thread : threads) thread.join();
    report("clients", samples);
  });
  RealCoordinator real(folder / "coordinator", keys, coordinator_options(kSites, rounds));
  process.start(real.service->port());
  std::vector<Sample> samples;
  const auto begin = Clock::now();
  for (std::uint32_t done = 0; done < rounds;) {
    const bool published =
        real.service->on_brain([&](Coordinator& c, Reception& reception, Instant now) {
          if (c.round().state() != Round::State::kClosed || c.finished()) return false;
          const std::string text = "bundle of round " + std::to_string(c.round().number());
          reception.publish(real.store.blobs().add(std::as_bytes(std::span(text))), {}, now);
          return true;
        });
    if (published && ++done % 100 == 0) samples.push_back(look(done));
    if (!published) std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
  const bool is_good = process.wait();
  const double seconds = seconds_since(begin);
  report("coordinator", samples);
  std::printf(
      "%u rounds in %.0f s, %.1f ms each; state folder %.1f MB%s\n", rounds, seconds,
      1000 * seconds / rounds,
      static_cast<double>(fs::file_size(folder / "coordinator" / "coordinator.sqlite")) / 1e6,
      is_good ? "" : "  CLIENTS FAILED");
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  std::filesystem::path folder;
  std::uint32_t rounds = 10'000;
  CLI::App app("Rounds of a tiny job, two clients over TLS: does the coordinator grow, do they?");
  app.option_defaults()->always_capture_default();
  app.add_option("--folder", folder, "the coordinator's state")->required();
  app.add_option("--rounds", rounds);
  CLI11_PARSE(app, argc, argv);
  fedstill::print_machine("state in " + folder.string());
  fedstill::run(folder, rounds);
}

#include "launch/bench/distill_bench.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>

#include "collective/mpi/mpi.h"
#include "launch/bench/child_process.h"
#include "launch/bench/device_bench.h"
#include "launch/bench/distill_speed.h"
#include "launch/bench/scripts.h"
#include "launch/bench/turns.h"
#include "launch/bench/work_folder.h"
#include "launch/line_plot.h"
#include "launch/machine.h"
#include "launch/text_table.h"
#include "model/atomic_file.h"
#include "training/device.h"
#include "training/fit.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;

class DistillBench {
 public:
  DistillBench(const BenchDistillCommand& command, std::atomic<bool>& stop)
      : command_(command), stop_(stop), work_{command.student, command.images, command.batch} {
    folder_.write("pytorch_ddp.py", std::span<const char>(bench_scripts::pytorch_ddp()));
    folder_.write("reference_pipeline.py",
                  std::span<const char>(bench_scripts::reference_pipeline()));
    ranks_.insert(1);
    for (const std::int64_t ranks : command.ranks) ranks_.insert(static_cast<int>(ranks));
    for (const int ranks : ranks_) plan(ranks);
  }

  BenchResult run() {
    measure_in_turn("distilling", ways_, command_.repeats, command_.output.quiet,
                    [this](Way& way) { take(way); });
    if (!command_.plot.empty()) write_file_atomically(command_.plot, plot());
    return {.data = data(), .text = text(), .json = command_.output.json};
  }

 private:
  void plan(int ranks) {
    ways_.push_back({"threads", "threads", ranks,
                     [this, ranks] { return distill_speed_of_threads(work_, ranks, stop_); }});
    if (ranks > 1) plan_several(ranks);
    const char* python = std::getenv("FEDSTILL_BENCH_PYTHON");
    if (command_.alone) return;
    if (python == nullptr) {
      missing_.insert("PyTorch: FEDSTILL_BENCH_PYTHON names no Python");
      return;
    }
    ways_.push_back({"PyTorch DDP", "PyTorch DDP", ranks, [this, ranks, python] {
                       return from_child(
                           "PyTorch",
                           {python, folder_.file("pytorch_ddp.py").string(), "--ranks",
                            std::to_string(ranks), "--student", work_.student, "--batch",
                            std::to_string(work_.batch), "--images", std::to_string(work_.images)});
                     }});
  }

  void plan_several(int ranks) {
    ways_.push_back({"jobs apart", "threads", ranks,
                     [this, ranks] { return distill_speed_apart(work_, ranks, stop_); }});
    ways_.push_back({"threads, after backward", "threads", ranks, [this, ranks] {
                       DistillWork after = work_;
                       after.overlap = false;
                       return distill_speed_of_threads(after, ranks, stop_);
                     }});
    if (!mpi::is_available()) {
      missing_.insert("mpirun: built without MPI");
      return;
    }
    for (const bool overlap : {true, false}) {
      ways_.push_back({overlap ? "mpirun" : "mpirun, after backward", "threads", ranks,
                       [this, ranks, overlap] { return under_mpirun(ranks, overlap); }});
    }
  }

  double under_mpirun(int ranks, bool overlap) {
    std::vector<std::string> words{"mpirun",
                                   "-np",
                                   std::to_string(ranks),
                                   "--oversubscribe",
                                   "--bind-to",
                                   "none",
                                   std::filesystem::read_symlink("/proc/self/exe").string(),
                                   "bench",
                                   "distill",
                                   "--as-rank",
                                   "--quiet",
                                   "--student",
                                   work_.student,
                                   "--batch",
                                   std::to_string(work_.batch),
                                   "--images",
                                   std::to_string(work_.images)};
    if (!overlap) words.emplace_back("--after");
    return from_child("mpirun", words);
  }

  // A way that does not work here is left out.
  double from_child(const std::string& who, const std::vector<std::string>& words) {
    double speed = 0.0;
    const int status = run_child(
        words,
        [&](const std::string& line) {  // its last word, on a line that begins as agreed
          if (line.starts_with("ddp ") || line.starts_with("images_per_second "))
            speed = std::strtod(line.substr(line.rfind(' ') + 1).c_str(), nullptr);
        },
        stop_);
    if (stop_.load()) throw Stopped("[bench] stopped");
    if (status == 0 && speed > 0.0) return speed;
    missing_.insert(
        who + (status == kCannotStart ? ": not found" : ": ended with " + std::to_string(status)));
    return 0.0;
  }

  void take(Way& way) {
    if (stop_.load()) throw Stopped("[bench] stopped");
    const double speed = way.speed();
    if (speed > 0.0) way.found.push_back(speed);
  }

  double of(const std::string& name, int ranks) const {
    const auto way = std::ranges::find_if(
        ways_, [&](const Way& w) { return w.name == name && w.ranks == ranks; });
    return way == ways_.end() ? 0.0 : way->median();
  }
  double speed_up(const Way& way) const {
    const double one = of(way.beside, 1);
    return one > 0.0 ? way.median() / one : 0.0;
  }

  json data() const {
    json rows = json::array();
    for (const Way& way : ways_) {
      rows.push_back({{"name", way.name},
                      {"ranks", way.ranks},
                      {"images_per_second", way.median()},
                      {"all", way.found},
                      {"speed_up", speed_up(way)}});
    }
    return {{"status", "success"},         {"machine", machine_json()},
            {"student", work_.student},    {"batch", work_.batch},
            {"images", work_.images},      {"repeats", command_.repeats},
            {"measured", std::move(rows)}, {"missing", missing_}};
  }

  std::string text() const {
    std::vector<std::vector<std::string>> rows{
        {"", "ranks", "images/s", "× one rank", "of linear", "× jobs apart"}};
    for (const Way& way : ways_) {
      const double apart = of("jobs apart", way.ranks), times = speed_up(way);
      rows.push_back({way.name, std::to_string(way.ranks), fixed(way.median(), 0),
                      times > 0.0 ? fixed(times, 2) : "",
                      times > 0.0 ? fixed(100.0 * times / way.ranks, 0) + " %" : "",
                      apart > 0.0 ? fixed(way.median() / apart, 2) : ""});
    }
    std::string out = title() + "\n" + text_table(rows);
    for (const std::string& what : missing_) out += "left out: " + what + "\n";
    return out;
  }

  std::string title() const {
    return work_.student + ", batch " + std::to_string(work_.batch) +
           " over all ranks, one thread a rank, medians of " + std::to_string(command_.repeats);
  }

  std::string plot() const {
    std::vector<PlotLine> lines;
    double end = 2.0;
    for (const Way& way : ways_) {
      if (speed_up(way) == 0.0) continue;
      const auto known = std::ranges::find(lines, way.name, &PlotLine::name);
      PlotLine& line = known == lines.end() ? lines.emplace_back() : *known;
      line.name = way.name;
      if (line.points.empty() && way.ranks > 1) line.points.push_back({1, 1.0});
      line.points.push_back({static_cast<double>(way.ranks), speed_up(way)});
      end = std::max({end, std::ceil(speed_up(way)), static_cast<double>(way.ranks)});
    }
    lines.push_back({.name = "ideal", .points = {{0, 0}, {end, end}}, .is_reference = true});
    return draw({.title = title(),
                 .x = "ranks",
                 .y = "times one rank",
                 .x_end = end,
                 .y_end = end,
                 .lines = std::move(lines)});
  }

  const BenchDistillCommand& command_;
  std::atomic<bool>& stop_;
  DistillWork work_;
  WorkFolder folder_;
  std::set<int> ranks_;
  std::vector<Way> ways_;
  std::set<std::string> missing_;
};

// A rank of the group that mpirun started; rank 0 says how fast it was.
BenchResult be_a_rank(const BenchDistillCommand& command, std::atomic<bool>& stop) {
  mpi::Session session;
  const auto group = mpi::make(session);
  const double speed = distill_speed(
      {command.student, command.images, command.batch, !command.after}, group.get(), stop);
  BenchResult result;
  if (session.rank() != 0) return result;
  result.data = {{"images_per_second", speed}};
  result.text = "images_per_second " + fixed(speed, 3) + "\n";
  return result;
}

}  // namespace

BenchResult bench_distill(const BenchDistillCommand& command, std::atomic<bool>& stop) {
  tune_allocator();
  if (parse_device(command.device).cuda) return bench_device(command, stop);
  return command.as_rank ? be_a_rank(command, stop) : DistillBench(command, stop).run();
}

}  // namespace fedstill

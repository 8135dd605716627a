#include "launch/bench/device_bench.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "collective/local/local.h"
#include "collective/nccl/nccl.h"
#include "launch/bench/child_process.h"
#include "launch/bench/distill_speed.h"
#include "launch/bench/scripts.h"
#include "launch/bench/turns.h"
#include "launch/bench/work_folder.h"
#include "launch/machine.h"
#include "launch/text_table.h"
#include "training/device.h"
#include "training/fit.h"

namespace fedstill {
namespace {

using nlohmann::json;

// An epoch of a few thousand small images is over in milliseconds.
constexpr std::int64_t kEpochs = 20;

class DeviceBench {
 public:
  DeviceBench(const BenchDistillCommand& command, at::Device device, std::atomic<bool>& stop)
      : command_(command), stop_(stop) {
    work_.student = command.student;
    work_.images = command.images;
    work_.batch = command.batch;
    work_.bf16 = command.bf16;
    work_.epochs = kEpochs;
    work_.device = device;
    plan_ours();
    plan_pytorch();
  }

  BenchResult run() {
    measure_in_turn("measuring", ways_, command_.repeats, command_.output.quiet,
                    [this](Way& way) { take(way); });
    return {.data = data(), .text = text(), .json = command_.output.json};
  }

 private:
  void plan_ours() {
    ways_.push_back({"training, recorded step", "PyTorch, recorded step", 1,
                     [this] { return distill_speed(work_, nullptr, stop_); }});
    ways_.push_back({"training, step by step", "PyTorch, step by step", 1, [this] {
                       DistillWork plain = work_;
                       plain.record = false;
                       return distill_speed(plain, nullptr, stop_);
                     }});
    ways_.push_back({"training, NCCL of one rank", "PyTorch, step by step", 1,
                     [this] { return through_nccl(); }});
    ways_.push_back(
        {"asking a teacher", "PyTorch, asking", 1, [this] { return predict_speed(work_); }});
  }

  void plan_pytorch() {
    if (command_.alone) return;
    const char* python = std::getenv("FEDSTILL_BENCH_PYTHON");
    if (python == nullptr) {
      missing_.insert("PyTorch: FEDSTILL_BENCH_PYTHON names no Python");
      return;
    }
    folder_.write("pytorch_device.py", std::span<const char>(bench_scripts::pytorch_device()));
    folder_.write("reference_pipeline.py",
                  std::span<const char>(bench_scripts::reference_pipeline()));
    const auto add = [&](const char* name, const char* mode) {
      ways_.push_back({name, "", 1, [this, python, mode] { return in_pytorch(python, mode); }});
    };
    add("PyTorch, recorded step", "graph");
    add("PyTorch, step by step", "eager");
    add("PyTorch, asking", "predict");
  }

  double through_nccl() {
    double speed = 0.0;
    local::run_ranks(1, [&](Collective& alone) {
      nccl::Options options;
      options.device = work_.device.index();
      speed = distill_speed(work_, nccl::make(alone, options).get(), stop_);
    });
    return speed;
  }

  double in_pytorch(const char* python, const std::string& mode) {
    std::vector<std::string> words{python,      folder_.file("pytorch_device.py").string(),
                                   "--mode",    mode,
                                   "--device",  device_text(work_.device),
                                   "--student", work_.student,
                                   "--batch",   std::to_string(work_.batch),
                                   "--images",  std::to_string(work_.images),
                                   "--epochs",  std::to_string(work_.epochs)};
    if (work_.bf16) words.emplace_back("--bf16");
    double speed = 0.0;
    const auto read = [&](const std::string& line) {
      if (line.starts_with(mode + " ")) speed = std::strtod(line.c_str() + mode.size(), nullptr);
    };
    const int status = run_child(words, read, stop_);
    if (status == 0 && speed > 0.0) return speed;
    missing_.insert("PyTorch, " + mode + ": ended with " + std::to_string(status));
    return 0.0;
  }

  // A way that does not work here is left out.
  void take(Way& way) {
    if (stop_.load()) throw Stopped("[bench] stopped");
    try {
      if (const double speed = way.speed(); speed > 0.0) way.found.push_back(speed);
    } catch (const CollectiveError& error) {
      missing_.insert(way.name + ": " + error.what());
    } catch (const DeviceError& error) {
      missing_.insert(way.name + ": " + error.what());
    }
  }

  double of(const std::string& name) const {
    const auto way = std::ranges::find(ways_, name, &Way::name);
    return way == ways_.end() ? 0.0 : way->median();
  }

  json data() const {
    json rows = json::array();
    for (const Way& way : ways_) {
      rows.push_back({{"name", way.name}, {"images_per_second", way.median()}, {"all", way.found}});
    }
    json machine = machine_json();
    machine["device"] = device_text(work_.device);
    return {{"status", "success"},      {"machine", std::move(machine)},
            {"student", work_.student}, {"batch", work_.batch},
            {"bf16", work_.bf16},       {"repeats", command_.repeats},
            {"images", work_.images},   {"measured", std::move(rows)},
            {"missing", missing_}};
  }

  std::string text() const {
    std::vector<std::vector<std::string>> rows{{"", "", "images/s", "× PyTorch"}};
    for (const Way& way : ways_) {
      const double peer = of(way.beside);
      rows.push_back(
          {way.name, "", fixed(way.median(), 0), peer > 0.0 ? fixed(way.median() / peer, 2) : ""});
    }
    std::string out = work_.student + ", batch " + std::to_string(work_.batch) + " on " +
                      device_text(work_.device) + (work_.bf16 ? ", bfloat16" : "") +
                      ", medians of " + std::to_string(command_.repeats) + "\n" + text_table(rows);
    for (const std::string& what : missing_) out += "left out: " + what + "\n";
    return out;
  }

  const BenchDistillCommand& command_;
  std::atomic<bool>& stop_;
  DistillWork work_;
  WorkFolder folder_;
  std::vector<Way> ways_;
  std::set<std::string> missing_;
};

}  // namespace

BenchResult bench_device(const BenchDistillCommand& command, std::atomic<bool>& stop) {
  const at::Device device = open_device(command.device);
  return DeviceBench(command, device, stop).run();
}

}  // namespace fedstill

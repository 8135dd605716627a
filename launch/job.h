#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/job_error.h"

namespace fedstill {

// Everything one run is made of: the sections and keys of a job file (docs/job.md). The meaning and
// the range of every key are in settings.cpp.
struct Job {
  struct Data {
    std::string source = "fashion-mnist";
    std::int64_t private_count = 40'000;  // key "private"
    std::int64_t pool = 15'000;
    std::int64_t validation = 5'000;
  } data;

  struct Clients {
    std::int64_t count = 10;
    std::vector<std::string> models{"lenet5", "cnn3", "resnet8"};
    std::string split = "dirichlet";
    double alpha = 0.1;
    std::int64_t shards = 2, classes = 2, minimum = 50;
    std::int64_t epochs = 10, min_steps = 200, batch = 64;
    double learning_rate = 0.05;
    std::int64_t warm_up_steps = 50;
    double weight_decay = 1e-4, clip_norm = 2.0;
    std::int64_t crop_padding = 0;
    bool flip = false;
    double erase = 0.0;
    std::int64_t liars = 0, threads = 1;
  } clients;

  struct Head {
    std::string form = "pixels";
    std::int64_t steps = 600, batch = 128;
    double learning_rate = 3e-3;
    double weight_decay = 1e-4;
    double dropout = 0.2;
  } head;

  struct Pool {
    std::string source = "split";
  } pool;

  struct Round {
    std::int64_t count = 1, epochs = 5;
    double learning_rate = 0.05, pool_weight = 1.0;
    std::string student = "last";
    std::int64_t minimum = 2;
    std::int64_t deadline_minutes = 1440;
    std::int64_t silent_seconds = 45, stalled_minutes = 10;
    std::int64_t linger_minutes = 60;
  } round;

  struct Aggregation {
    std::string rule = "bounded-odds";
    double temperature = 1.0;
    double softmax_temperature = 1.0;
    double entropy_scale = 0.5;
    double ratio_clip = 5.0;
    double share_cap = 0.5;
  } aggregation;

  struct Distillation {
    std::string student = "resnet8-wide";
    std::string targets = "ensemble";
    std::string loss = "kl";
    double temperature = 1.0;
    std::int64_t epochs = 10;
    std::int64_t batch = 128;
    std::int64_t accumulate = 1;
    std::string optimizer = "adam";
    double learning_rate = 3e-3;
    double weight_decay = 0.0;
    std::string schedule = "cosine";
    std::int64_t warm_up_steps = 100;
    std::int64_t crop_padding = 2;
    bool flip = false;
    double erase = 0.0;
    std::int64_t ranks = 0;  // of a cluster job; 0: all
  } distillation;

  struct Ranks {
    std::int64_t coordinators = 0;  // 0: every rank does everything
    std::string batch_norm = "per-rank";
    bool bf16_gradients = false;
  } ranks;

  struct Compression {
    std::string scheme = "w8a8", calibration = "minimum-error";
    double percentile = 99.99;
    std::int64_t images = 1024;
    double minimum_agreement = 0.97;
  } compression;

  // The other method, for comparing (docs/fedavg.md).
  struct Averaging {
    std::string model = "cnn3";
    std::int64_t rounds = 20, per_round = 0;  // 0: all clients
    std::int64_t epochs = 5, batch = 64;
    double learning_rate = 0.05, server_learning_rate = 1.0;
    std::string weighting = "samples";
  } averaging;

  struct Run {
    std::int64_t seed = 0;
    std::int64_t workers = 0;  // 0: as many as the machine has cores
    std::int64_t threads = 0;  // 0: as many as the machine has cores; the run records the number
    std::int64_t memory_mb = 0;
    bool bf16 = false;
    std::string device = "cpu";
  } run;
};

}  // namespace fedstill

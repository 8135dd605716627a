#include "launch/stages/edge_file.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "compression/edge/bundle.h"
#include "compression/edge/classify.h"
#include "model/atomic_file.h"
#include "model/onnx.h"
#include "model/sha256.h"
#include "training/threads.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxBundleBytes = std::size_t{4} << 30;

CalibrationOptions calibration_options(const Job::Compression& c) {
  CalibrationOptions options;
  options.method = c.calibration;
  options.percentile = c.percentile;
  options.images = c.images;
  return options;
}

double test_accuracy(const Run& run, const Material& material, const QuantizedGraph& model) {
  ClassifyOptions options;
  options.threads = static_cast<int>(run.job.run.threads);
  options.on_block = [&](std::int64_t done) { run.progress.advance(0, done); };
  const auto classes = classify(
      model, material.test.count(), [&](std::int64_t i) { return material.test.image(i); },
      {material.normalisation.mean, material.normalisation.deviation}, options);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    right += classes[i] == material.test_labels.labels[i] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(classes.size());
}

EdgeFile compressed(const Run& run, const Material& material, const Student& student) {
  set_thread_count(static_cast<int>(run.job.run.threads));
  const auto& c = run.job.compression;
  EdgeBundle bundle;
  bundle.class_names = material.data.train.class_names;
  bundle.mean = material.normalisation.mean;
  bundle.deviation = material.normalisation.deviation;
  bundle.model = quantize(student.graph, c.scheme, material.pool.images, material.normalisation,
                          calibration_options(c));
  GateOptions gate;
  gate.minimum_agreement = c.minimum_agreement;
  const GateReport report =
      verify(student.graph, bundle.model, material.pool.images, material.normalisation, gate);
  bundle.agreement = report.agreement;
  bundle.onnx = encode_onnx(bundle.model);
  EdgeFile out{encode_bundle(bundle), {}};
  out.record.scheme = c.scheme;
  out.record.sha256 = sha256_hex(out.bytes);
  out.record.agreement = report.agreement;
  out.record.layers = report.layers;
  out.record.bytes = static_cast<std::int64_t>(out.bytes.size());
  out.record.float_bytes =
      static_cast<std::int64_t>(std::filesystem::file_size(run.folder.file("student.safetensors")));
  char agreement[64];
  std::snprintf(agreement, sizeof(agreement),
                "agrees with the float student on %.2f %% of the pool", 100.0 * report.agreement);
  run.progress.end_stage(agreement);
  // A stage of its own, so that its speed and the time left are those of this work.
  run.progress.begin_stage("measuring the bundle", {{"bundle", c.scheme, material.test.count()}});
  out.record.test_accuracy = test_accuracy(run, material, bundle.model);
  write_file_atomically(run.folder.file("bundle.fsb"), out.bytes);
  run.folder.remember("bundle", to_json(out.record));
  return out;
}

BundleRecord bundle_record(const nlohmann::json& saved) {
  BundleRecord r{saved.at("scheme"),
                 saved.at("sha256"),
                 saved.at("test_accuracy"),
                 saved.at("agreement"),
                 saved.at("bytes"),
                 saved.at("float_bytes"),
                 {}};
  for (const auto& layer : saved.at("layers")) {
    r.layers.push_back({layer.at("node"), layer.at("signal_to_noise_db")});
  }
  return r;
}

}  // namespace

nlohmann::json to_json(const BundleRecord& r) {
  nlohmann::json layers = nlohmann::json::array();
  for (const auto& layer : r.layers) {
    layers.push_back({{"node", layer.node}, {"signal_to_noise_db", layer.signal_to_noise_db}});
  }
  return {{"scheme", r.scheme},       {"sha256", r.sha256}, {"test_accuracy", r.test_accuracy},
          {"agreement", r.agreement}, {"bytes", r.bytes},   {"float_bytes", r.float_bytes},
          {"layers", layers}};
}

EdgeFile make_edge_file(const Run& run, const Material& material, const Student& student) {
  run.progress.begin_stage("compressing", {});
  EdgeFile file;
  const bool saved = run.folder.recall(
      "bundle", [&](const nlohmann::json& state) { file.record = bundle_record(state); });
  if (saved) {
    check_recorded(run.folder.file("bundle.fsb"), file.record.sha256);
    file.bytes = read_file(run.folder.file("bundle.fsb"), kMaxBundleBytes);
  } else {
    file = compressed(run, material, student);
  }
  char result[128];
  std::snprintf(result, sizeof(result), "%s: %.2f %% of the test images right, %lld kB",
                file.record.scheme.c_str(), 100.0 * file.record.test_accuracy,
                static_cast<long long>((file.record.bytes + 500) / 1000));
  run.progress.end_stage(result);
  run.events.event("bundle", {{"sha256", file.record.sha256},
                              {"agreement", file.record.agreement},
                              {"test_accuracy", file.record.test_accuracy}});
  return file;
}

}  // namespace fedstill

#include "launch/inspect.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "aggregation/prediction_cache.h"
#include "compression/edge/bundle.h"
#include "data/lesson.h"
#include "data/predictions_file.h"
#include "data/split.h"
#include "launch/advice.h"
#include "launch/counted.h"
#include "launch/fedavg.h"
#include "launch/file_kind.h"
#include "launch/input.h"
#include "launch/inspect_graph.h"
#include "launch/inspect_onnx.h"
#include "launch/inspect_run.h"
#include "launch/job_file.h"
#include "launch/json_complaint.h"
#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/report.h"
#include "launch/run_folder.h"
#include "launch/sites/audit.h"
#include "launch/text_table.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/named_file.h"
#include "model/sha256.h"
#include "model/strict_json.h"
#include "model/text_file.h"
#include "training/checkpoint.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
constexpr std::size_t kMaxBytes = std::size_t{4} << 30;

Inspection model(const fs::path& path) {
  try {
    return inspect_graph(read_model(path));
  } catch (const DecodeError&) {
    // A quantized graph is a model file too, with other rules; if it is none of both, the first
    // reader's message is the one that helps.
    const auto bytes = read_file(path, kMaxBytes);
    try {
      return inspect_graph(decode_quantized_model(bytes).graph);
    } catch (const DecodeError&) {
    }
    throw;
  }
}

// How sure the labels are and of which classes they speak.
Inspection lesson(const fs::path& path) {
  const Lesson found = decode_any_lesson(read_file(path, kMaxBytes));
  const auto classes = static_cast<std::size_t>(found.soft_labels.shape()[1]);
  const auto values = found.soft_labels.values<float>();
  const std::size_t images = values.size() / classes;
  std::vector<double> shares(classes);
  double entropy = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double p = values[i];
    shares[i % classes] += p / static_cast<double>(images);
    if (p > 0) entropy -= p * std::log2(p) / static_cast<double>(images);
  }
  Inspection out = inspect_graph(found.student);
  out.data["soft_labels"] = {
      {"images", images}, {"classes", classes}, {"class_shares", shares}, {"mean_bits", entropy}};
  char bits[64];
  std::snprintf(bits, sizeof(bits), "%.2f of %.2f bits", entropy,
                std::log2(static_cast<double>(classes)));
  out.text += "soft labels of " + counted(static_cast<std::int64_t>(images), "image") + ", " +
              counted(static_cast<std::int64_t>(classes), "class", "classes") + ", mean entropy " +
              bits + "\n";
  return out;
}

Inspection bundle(const fs::path& path) {
  const EdgeBundle b = read_bundle(path);
  Inspection out = inspect_graph(b.model.graph);
  out.data["scheme"] = b.model.scheme;
  out.data["class_names"] = b.class_names;
  out.data["mean"] = b.mean;
  out.data["deviation"] = b.deviation;
  out.data["agreement"] = b.agreement;
  out.data["onnx_bytes"] = b.onnx.size();
  std::string names;
  for (const auto& name : b.class_names) names += (names.empty() ? "" : ", ") + printable(name);
  char agreement[64];
  std::snprintf(agreement, sizeof(agreement), "%.2f %%", 100.0 * b.agreement);
  out.text += "scheme " + printable(b.model.scheme) + ", agreement with the float student " +
              agreement + "\nclasses: " + names + "\n";
  return out;
}

Inspection split(const fs::path& path) {
  const Split s = read_split(path);
  json sizes = json::array();
  std::vector<std::vector<std::string>> rows{{"part", "", "images"}};
  for (std::size_t i = 0; i < s.clients.size(); ++i) {
    sizes.push_back(s.clients[i].size());
    rows.push_back({client_name(i, s.clients.size()), "",
                    grouped(static_cast<std::int64_t>(s.clients[i].size()))});
  }
  rows.push_back({"pool", "", grouped(static_cast<std::int64_t>(s.pool.size()))});
  rows.push_back({"validation", "", grouped(static_cast<std::int64_t>(s.validation.size()))});
  return {{{"hash", s.hash()},
           {"clients", sizes},
           {"pool", s.pool.size()},
           {"validation", s.validation.size()}},
          text_table(rows) + "hash " + s.hash() + "\n"};
}

Inspection cache(const fs::path& path) {
  const PredictionCache c = PredictionCache::open(path);
  const CacheKey& key = c.key();
  json clients = json::array();
  std::vector<std::vector<std::string>> rows{{"model", "done", "images trained on"}};
  for (std::size_t k = 0; k < key.models.size(); ++k) {
    const bool done = c.done(static_cast<std::int64_t>(k));
    clients.push_back(
        {{"model", key.models[k]}, {"sample_count", key.sample_counts[k]}, {"done", done}});
    rows.push_back(
        {key.models[k].substr(0, 16), done ? "yes" : "no", grouped(key.sample_counts[k])});
  }
  return {{{"images", key.images},
           {"samples", key.samples},
           {"classes", key.classes},
           {"clients", clients}},
          text_table(rows) + counted(key.samples, "image") + ", " +
              counted(key.classes, "class", "classes") + ", images " + printable(key.images) +
              "\n"};
}

Inspection checkpoint(const fs::path& path) {
  const Checkpoint c =
      decode_named(path, [&] { return decode_checkpoint(read_file(path, kMaxBytes)); });
  json identity = json::object();
  std::vector<std::vector<std::string>> rows{{"fact", "value"}};
  for (const auto& fact : c.identity) {
    identity[fact.name] = fact.value;
    rows.push_back({fact.name, fact.value.substr(0, 64)});
  }
  return {{{"identity", identity},
           {"epochs_done", c.place.epoch_losses.size()},
           {"steps_done", c.place.steps_done},
           {"seconds", c.place.seconds},
           {"images", c.place.images},
           {"loss_curve", c.place.epoch_losses},
           {"tensors", c.tensors.size()}},
          text_table(rows) + counted(std::ssize(c.place.epoch_losses), "epoch") + " done, " +
              counted(c.place.steps_done, "step") + ", " +
              counted(std::ssize(c.tensors), "tensor") + "\n"};
}

// A result as the command that made it tells it.
Inspection result(std::string_view text, const std::string& origin,
                  std::string (&summary)(const json&)) {
  json data = parse_strict_json(text, origin);
  try {
    data.erase("samples");
    std::string told = summary(data);
    return {std::move(data), std::move(told)};
  } catch (const json::exception& error) {
    throw DecodeError("[report] " + origin + ": " + complaint_of(error));
  }
}

Inspection job(const fs::path& path) {
  Job found;
  apply_job_file(found, path);
  return {{{"job", job_json(found)}, {"job_hash", job_hash(found)}},
          counted(found.clients.count, "client") + " on " + printable(found.data.source) +
              ", job hash " + job_hash(found) + "\n"};
}

Inspection lines(const fs::path& path, std::int64_t heading, const char* one, const char* what) {
  const auto bytes = read_file(path, kMaxBytes);
  const std::int64_t count = std::count(bytes.begin(), bytes.end(), std::byte{'\n'}) - heading;
  return {{{"lines", count}}, counted(count, one) + what + "\n"};
}

Inspection audit(const fs::path& path) {
  json data = verify_audit(path);
  std::string text = audit_text(data);
  return {std::move(data), std::move(text)};
}

Inspection said(const fs::path& path) {
  const auto bytes = read_file(path, kMaxBytes);
  return decode_named(path, [&]() -> Inspection {
    const PredictionsShape shape = decode_predictions_shape(bytes);
    decode_predictions(bytes, shape);  // what its reader would refuse
    return {{{"pool", shape.pool_hash}, {"samples", shape.samples}, {"classes", shape.classes}},
            counted(shape.samples, "image") + ", " + counted(shape.classes, "class", "classes") +
                ", pool " + printable(shape.pool_hash) + "\n"};
  });
}

// What fedstill reads on --resume and nobody else needs to.
Inspection state(const fs::path& path) {
  json remembered = decode_state(read_text(path, kMaxBytes), path.string());
  return {{{"state", std::move(remembered)}}, "what the run remembers, for --resume\n"};
}

Inspection contents(const fs::path& path, FileKind kind) {
  switch (kind) {
    case FileKind::kModel:
      return model(path);
    case FileKind::kLesson:
      return lesson(path);
    case FileKind::kBundle:
      return bundle(path);
    case FileKind::kCache:
      return cache(path);
    case FileKind::kCheckpoint:
      return checkpoint(path);
    case FileKind::kSplit:
      return split(path);
    case FileKind::kReport:
      return inspect_report(read_text(path, kMaxBytes), path.string());
    case FileKind::kFedAvg:
      return result(read_text(path, kMaxBytes), path.string(), fedavg_text);
    case FileKind::kOnnx:
      return inspect_onnx(
          decode_named(path, [&] { return decode_onnx_summary(read_file(path, kMaxBytes)); }));
    case FileKind::kJob:
      return job(path);
    case FileKind::kEvents:
      return lines(path, 0, "event", ", one JSON object a line");
    case FileKind::kMetrics:
      return lines(path, 1, "row", ", one for each epoch");
    case FileKind::kAudit:
      return audit(path);
    case FileKind::kSaid:
      return said(path);
    case FileKind::kState:
      return state(path);
    case FileKind::kDatabase:
      return {json::object(), "the coordinator's state; sqlite3 reads it (docs/formats.md)\n"};
    case FileKind::kPage:
      return {json::object(),
              "for a browser; the figures of a report are in report.json beside it\n"};
  }
  return {};
}

}  // namespace

Inspection inspect_report(std::string_view text, const std::string& origin) {
  return result(text, origin, summary_text);
}

Inspection inspect(const fs::path& path) {
  std::error_code ignored;
  const auto given = fs::is_directory(path, ignored) ? result_of_run(path) : std::optional(path);
  if (!given) return inspect_unfinished(path);
  const fs::path& file = *given;
  require_file(file);
  const FileKind kind = file_kind(file);
  Inspection out = contents(file, kind);
  const std::string sha256 = sha256_hex_of_file(file);
  const auto bytes = static_cast<std::int64_t>(fs::file_size(file));
  out.data["kind"] = kind_name(kind);
  out.data["file"] = {{"path", file.string()}, {"bytes", bytes}, {"sha256", sha256}};
  out.data["status"] = "success";
  out.text = file.string() + ": " + std::string(kind_name(kind)) + ", " + grouped(bytes) +
             " bytes\nsha256 " + sha256 + "\n\n" + out.text;
  return out;
}

}  // namespace fedstill

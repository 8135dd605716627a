#include "launch/evaluate.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "compression/edge/bundle.h"
#include "compression/edge/classify.h"
#include "data/data_error.h"
#include "data/whole_view.h"
#include "launch/advice.h"
#include "launch/counted.h"
#include "launch/evaluation_data.h"
#include "launch/file_kind.h"
#include "launch/input.h"
#include "launch/job_file.h"
#include "launch/json_complaint.h"
#include "launch/machine.h"
#include "launch/outside_text.h"
#include "launch/run_bundle.h"
#include "launch/text_table.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/text_file.h"
#include "training/device.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
constexpr int kFoldersUp = 5;  // a client's update may lie in RUN/rounds/N/clients/NAME
constexpr std::size_t kMaxAveragedBytes = std::size_t{64} << 20;
constexpr const char* kWhichData =
    "--data SOURCE names the images, as data.source in the job.toml of the run";

// The folder of the run that the file lies in; nothing where it lies in none. Somebody's job file
// above it makes no run.
std::optional<fs::path> run_above(const fs::path& file) {
  fs::path folder = fs::absolute(file).parent_path();
  for (int i = 0; i < kFoldersUp; ++i, folder = folder.parent_path()) {
    if (is_run_folder(folder)) return folder;
  }
  return std::nullopt;
}

// The nearest of this name between the file and the folder of its run.
std::optional<fs::path> in_run_of(const fs::path& file, const char* name) {
  const auto run = run_above(file);
  if (!run) return std::nullopt;
  for (fs::path folder = fs::absolute(file).parent_path();; folder = folder.parent_path()) {
    if (fs::exists(folder / name)) return folder / name;
    if (folder == *run) return std::nullopt;
  }
}

void check_fits(const Graph& graph, std::int64_t classes, const Dataset& test,
                const std::string& source) {
  const auto& s = test.images->shape;
  if (graph.input_shape() != SampleShape{s.channels, s.height, s.width}) {
    throw Advised<DataError>("[evaluate] the images of " + source + " are " +
                                 sizes_text({s.channels, s.height, s.width}) +
                                 ", the model expects " + sizes_text(graph.input_shape()),
                             kWhichData);
  }
  if (classes != test.classes()) {
    throw Advised<DataError>("[evaluate] the model has " + counted(classes, "class", "classes") +
                                 ", " + source + " has " + std::to_string(test.classes()),
                             kWhichData);
  }
}

// A bundle knows its classes by name: other names mean images of something else.
std::string find_other_classes(const EdgeBundle& bundle, const Dataset& test,
                               const std::string& source) {
  for (std::size_t c = 0; c < test.class_names.size(); ++c) {
    if (bundle.class_names[c] == test.class_names[c]) continue;
    return "class " + std::to_string(c) + " is \"" + bundle.class_names[c] +
           "\" in the bundle and \"" + test.class_names[c] + "\" in " + source +
           ": are these the images it was made for?";
  }
  return "";
}

std::vector<std::int64_t> of_bundle(const EdgeBundle& bundle, const fs::path& path,
                                    const Dataset& test, const std::string& source) {
  check_fits(bundle.model.graph, static_cast<std::int64_t>(bundle.class_names.size()), test,
             source);
  const ImageView view = whole(test.images);
  ClassifyOptions options;
  options.threads = usable_cores();
  const auto found = run_bundle(path, [&] {
    return classify(
        bundle.model, view.count(), [&](std::int64_t i) { return view.image(i); },
        {bundle.mean, bundle.deviation}, options);
  });
  return {found.begin(), found.end()};
}

// What fedavg.json says; one that an earlier fedstill wrote says nothing.
std::optional<Normalisation> normalisation_of_averaging(const fs::path& path) {
  const json result = parse_outside_json(read_text(path, kMaxAveragedBytes), path.string());
  if (!result.contains("data")) return std::nullopt;
  try {
    const json& data = result.at("data");
    return Normalisation{data.at("mean"), data.at("deviation")};
  } catch (const json::exception& error) {
    throw DecodeError("[evaluate] " + path.string() + ": " + complaint_of(error));
  }
}

// As the run that the model lies in normalised its images, if it lies in one.
std::optional<Normalisation> normalisation_beside(const fs::path& model, const Dataset& train) {
  std::optional<Normalisation> found;
  if (const auto file = in_run_of(model, "bundle.fsb")) {
    const EdgeBundle bundle = read_bundle(*file);
    found = {bundle.mean, bundle.deviation};
  } else if (const auto result = in_run_of(model, "fedavg.json")) {
    found = normalisation_of_averaging(*result);
  }
  const auto channels = static_cast<std::size_t>(train.images->shape.channels);
  if (!found || found->mean.size() != channels || found->deviation.size() != channels) return {};
  return found;
}

// The source whose images the run was made with that the file lies in.
std::string source_beside(const fs::path& model) {
  const auto run = run_above(model);
  if (!run) return "fashion-mnist";
  Job job;
  apply_job_file(job, *run / "job.toml");
  return job.data.source;
}

// A file may name any node as its output, or none.
std::int64_t classes_of(const Graph& graph, const fs::path& path) {
  const auto logits = graph.outputs.find("logits");
  if (logits == graph.outputs.end()) {
    throw Advised<DecodeError>("[evaluate] " + path.string() + ": has no output \"logits\"", "");
  }
  const SampleShape shape = infer_shapes(graph)[static_cast<std::size_t>(logits->second)];
  if (shape.size() != 1) {
    throw Advised<DecodeError>("[evaluate] " + path.string() + ": \"logits\" has " +
                                   counted(std::ssize(shape), "dimension") + ", expected 1",
                               "");
  }
  return shape.front();
}

std::vector<std::int64_t> of_model(const Graph& graph, const ImageView& images,
                                   const Normalisation& normalisation, at::Device device) {
  const std::vector<std::string> outputs{"logits"};
  set_thread_count(usable_cores());
  const auto scores = predict(graph, outputs, images, normalisation, {.device = device});
  const at::Tensor top = scores.front().argmax(1).contiguous();
  return {top.const_data_ptr<std::int64_t>(), top.const_data_ptr<std::int64_t>() + top.numel()};
}

std::vector<std::string> numbers_to(std::int64_t end) {
  std::vector<std::string> out;
  for (std::int64_t i = 0; i < end; ++i) out.push_back(std::to_string(i));
  return out;
}

json score(const std::vector<std::int64_t>& found, const Dataset& test) {
  if (found.size() != test.labels.size()) {
    throw DataError("[evaluate] " + std::to_string(found.size()) + " answers for " +
                    std::to_string(test.labels.size()) + " images");
  }
  std::vector<double> right(test.class_names.size()), seen(test.class_names.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto label = static_cast<std::size_t>(test.labels[i]);
    seen[label] += 1.0;
    if (found[i] == test.labels[i]) right[label] += 1.0;
  }
  json per_class = json::array();
  for (std::size_t c = 0; c < right.size(); ++c) {
    per_class.push_back({{"name", test.class_names[c]},
                         {"accuracy", seen[c] > 0.0 ? json(right[c] / seen[c]) : json(nullptr)}});
  }
  const double all = std::accumulate(right.begin(), right.end(), 0.0);
  return {{"status", "success"},
          {"images", found.size()},
          {"test_accuracy", all / static_cast<double>(std::max<std::size_t>(1, found.size()))},
          {"per_class", per_class}};
}

json evaluate_bundle(const fs::path& path, EvaluationData data) {
  const EdgeBundle bundle = read_bundle(path);
  name_classes(data, bundle.class_names);
  const Dataset& test = data.sets.test;
  json out = score(of_bundle(bundle, path, test, data.source), test);
  out["normalisation"] = "bundle";
  const std::string warning = find_other_classes(bundle, test, data.source);
  if (!warning.empty()) out["warning"] = warning;
  return out;
}

json evaluate_model(const fs::path& path, EvaluationData data, const std::string& device) {
  const auto& [train, test] = data.sets;
  const auto beside = normalisation_beside(path, train);
  const Normalisation used = beside ? *beside : measure_normalisation(whole(train.images));
  const Graph graph = read_model(path);
  const std::int64_t classes = classes_of(graph, path);
  name_classes(data, numbers_to(classes));
  check_fits(graph, classes, test, data.source);
  json out = score(of_model(graph, whole(test.images), used, open_device(device)), test);
  out["normalisation"] = beside ? "run" : "measured";
  if (!beside) {
    out["warning"] = "found no bundle.fsb or fedavg.json of the run that made " + path.string() +
                     ": its images are normalised as the training images of " + data.source +
                     " are, which need not be as the run did";
  }
  return out;
}

}  // namespace

json evaluate_file(const fs::path& model, const std::string& asked, const std::string& device) {
  require_file(model, {"bundle.fsb", "student.safetensors", "model.safetensors"});
  const FileKind kind = file_kind(model);
  const bool is_bundle = kind == FileKind::kBundle;
  if (!is_bundle && kind != FileKind::kModel) {
    throw Advised<DecodeError>("[evaluate] " + model.string() + ": found a file of the kind " +
                                   std::string(kind_name(kind)) +
                                   ", expected a bundle or a model (safetensors)",
                               "a run keeps bundle.fsb and student.safetensors, one of fedavg "
                               "model.safetensors");
  }
  const std::string source = asked.empty() ? source_beside(model) : asked;
  EvaluationData data = read_evaluation_data(source);
  const bool is_own = data.is_own;
  json out = is_bundle ? evaluate_bundle(model, std::move(data))
                       : evaluate_model(model, std::move(data), device);
  out["part"] = is_own ? "own" : "test";
  out["model"] = model.string();
  out["kind"] = is_bundle ? "bundle" : "model";
  out["data"] = source;
  return out;
}

std::string evaluation_text(const json& evaluation) {
  std::string out;
  char text[160];
  for (const auto& c : evaluation.at("per_class")) {
    if (c.at("accuracy").is_null()) continue;
    std::snprintf(text, sizeof(text), "%6.2f %%  %s\n", 100.0 * c.at("accuracy").get<double>(),
                  printable(c.at("name")).c_str());
    out += text;
  }
  const bool is_own = evaluation.value("part", "test") == "own";
  std::snprintf(
      text, sizeof(text), "%6.2f %%  of %s of ",
      100.0 * evaluation.at("test_accuracy").get<double>(),
      counted(evaluation.at("images").get<std::int64_t>(), is_own ? "own image" : "test image")
          .c_str());
  return out + text + printable(evaluation.at("data")) + "\n";
}

}  // namespace fedstill

#include "launch/evaluate.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "compression/edge/bundle.h"
#include "compression/edge/classify.h"
#include "data/data_error.h"
#include "data/readers.h"
#include "data/whole_view.h"
#include "launch/file_kind.h"
#include "launch/machine.h"
#include "launch/outside_text.h"
#include "launch/run_bundle.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "training/device.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
constexpr int kFoldersUp = 3;  // a client's update lies in RUN/clients/NAME

void check_fits(const Graph& graph, std::int64_t classes, const Dataset& test,
                const std::string& source) {
  const auto& s = test.images->shape;
  if (graph.input_shape() != SampleShape{s.channels, s.height, s.width}) {
    throw DataError("[evaluate] the images of " + source + " do not have the model's size");
  }
  if (classes != test.classes()) {
    throw DataError("[evaluate] the model has " + std::to_string(classes) + " classes, " + source +
                    " has " + std::to_string(test.classes()));
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

// As the run that the model lies in normalised its images, if it lies in one.
std::optional<Normalisation> normalisation_beside(const fs::path& model, const Dataset& train) {
  fs::path folder = fs::absolute(model).parent_path();
  for (int i = 0; i < kFoldersUp; ++i, folder = folder.parent_path()) {
    if (!fs::exists(folder / "bundle.fsb")) continue;
    const EdgeBundle bundle = read_bundle(folder / "bundle.fsb");
    if (bundle.mean.size() != static_cast<std::size_t>(train.images->shape.channels)) break;
    return Normalisation{bundle.mean, bundle.deviation};
  }
  return std::nullopt;
}

// A file may name any node as its output, or none.
std::int64_t classes_of(const Graph& graph, const fs::path& path) {
  const auto logits = graph.outputs.find("logits");
  if (logits == graph.outputs.end()) {
    throw DecodeError("[evaluate] " + path.string() + ": has no output \"logits\"");
  }
  const SampleShape shape = infer_shapes(graph)[static_cast<std::size_t>(logits->second)];
  if (shape.size() != 1) {
    throw DecodeError("[evaluate] " + path.string() + ": \"logits\" has " +
                      std::to_string(shape.size()) + " dimensions, expected 1");
  }
  return shape.front();
}

std::vector<std::int64_t> of_model(const fs::path& path, const TrainTest& data,
                                   const std::string& source, const Normalisation& normalisation,
                                   at::Device device) {
  const Graph graph = read_model(path);
  check_fits(graph, classes_of(graph, path), data.test, source);
  const std::vector<std::string> outputs{"logits"};
  set_thread_count(usable_cores());
  const auto scores =
      predict(graph, outputs, whole(data.test.images), normalisation, {.device = device});
  const at::Tensor top = scores.front().argmax(1).contiguous();
  return {top.const_data_ptr<std::int64_t>(), top.const_data_ptr<std::int64_t>() + top.numel()};
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

json evaluate_bundle(const fs::path& path, const TrainTest& data, const std::string& source) {
  const EdgeBundle bundle = read_bundle(path);
  json out = score(of_bundle(bundle, path, data.test, source), data.test);
  out["normalisation"] = "bundle";
  const std::string warning = find_other_classes(bundle, data.test, source);
  if (!warning.empty()) out["warning"] = warning;
  return out;
}

json evaluate_model(const fs::path& path, const TrainTest& data, const std::string& source,
                    const std::string& device) {
  const auto beside = normalisation_beside(path, data.train);
  const Normalisation used = beside ? *beside : measure_normalisation(whole(data.train.images));
  json out = score(of_model(path, data, source, used, open_device(device)), data.test);
  out["normalisation"] = beside ? "run" : "measured";
  if (!beside) {
    out["warning"] = "found no bundle.fsb of the run that made " + path.string() +
                     ": its images are normalised as the training images of " + source +
                     " are, which need not be as the run did";
  }
  return out;
}

}  // namespace

json evaluate_file(const fs::path& model, const std::string& source, const std::string& device) {
  const FileKind kind = file_kind(model);
  const bool is_bundle = kind == FileKind::kBundle;
  if (!is_bundle && kind != FileKind::kModel) {
    throw DecodeError("[evaluate] " + model.string() + ": found a file of the kind " +
                      std::string(kind_name(kind)) +
                      ", expected a bundle or a model (safetensors)");
  }
  const TrainTest data = read_source(source);
  json out = is_bundle ? evaluate_bundle(model, data, source)
                       : evaluate_model(model, data, source, device);
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
  std::snprintf(text, sizeof(text), "%6.2f %%  of %s test images\n",
                100.0 * evaluation.at("test_accuracy").get<double>(),
                std::to_string(evaluation.at("images").get<std::int64_t>()).c_str());
  return out + text;
}

}  // namespace fedstill

#include "compression/edge/bundle.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "compression/edge/stored_zip.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/named_file.h"
#include "model/sha256.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

using Json = nlohmann::json;
using Bytes = std::vector<std::byte>;
constexpr const char* kManifest = "manifest.json";
constexpr const char* kModel = "model.safetensors";
constexpr const char* kOnnx = "model.onnx";
constexpr const char* kFormat = "fedstill.bundle";
constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMaxManifestBytes = 1 << 20;
constexpr std::size_t kMaxModelBytes = std::size_t{1} << 30;
constexpr std::size_t kMaxBundleBytes = (std::size_t{2} << 30) + (2 << 20);
constexpr std::size_t kMaxClasses = 65536;
constexpr std::size_t kMaxChannels = 4096;

// What has to fit together. Throws std::invalid_argument.
void check(const EdgeBundle& bundle) {
  const Graph& graph = bundle.model.graph;
  const auto logits = static_cast<std::size_t>(graph.output("logits"));
  const auto classes = static_cast<std::size_t>(graph.nodes[logits].attributes.out_features);
  if (bundle.class_names.size() != classes) {
    throw std::invalid_argument("[bundle] " + std::to_string(bundle.class_names.size()) +
                                " class names, the model has " + std::to_string(classes));
  }
  const SampleShape& image = graph.input_shape();
  if (image.size() != 3) {
    throw std::invalid_argument("[bundle] the model takes inputs of rank " +
                                std::to_string(image.size()) + ", expected images C × H × W");
  }
  const auto channels = static_cast<std::size_t>(image[0]);
  if (bundle.mean.size() != channels || bundle.deviation.size() != channels) {
    throw std::invalid_argument("[bundle] mean and deviation need one value for each of " +
                                std::to_string(channels) + " channels");
  }
  const auto is_finite = [](float value) { return std::isfinite(value); };
  if (!std::ranges::all_of(bundle.mean, is_finite) ||
      !std::ranges::all_of(bundle.deviation, [&](float d) { return is_finite(d) && d > 0.0F; })) {
    throw std::invalid_argument("[bundle] a mean is not finite or a deviation not positive");
  }
  if (!(bundle.agreement >= 0.0 && bundle.agreement <= 1.0)) {
    throw std::invalid_argument("[bundle] the agreement is not within [0, 1]");
  }
}

Json json_of_entry(const Bytes& bytes) {
  return {{"sha256", sha256_hex(bytes)}, {"size", bytes.size()}};
}

Json json_of_floats(const std::vector<float>& values) {
  Json json = Json::array();
  for (const float value : values) json.push_back(json_of_float(value));
  return json;
}

std::string manifest_text(const EdgeBundle& bundle, const Bytes& model) {
  const Json manifest = {
      {"format", kFormat},
      {"version", kVersion},
      {"entries", {{kModel, json_of_entry(model)}, {kOnnx, json_of_entry(bundle.onnx)}}},
      {"class_names", bundle.class_names},
      {"mean", json_of_floats(bundle.mean)},
      {"deviation", json_of_floats(bundle.deviation)},
      {"scheme", bundle.model.scheme},
      {"agreement", bundle.agreement}};
  try {
    return manifest.dump(2) + "\n";
  } catch (const Json::exception& error) {
    throw std::invalid_argument(std::string("[bundle] ") + error.what());
  }
}

void check_entry(StrictObject& entries, const char* name, const Bytes& bytes) {
  StrictObject entry(entries.object(name), std::string("bundle, ") + name);
  const std::string& hash = entry.text("sha256");
  const std::int64_t size = entry.integer("size", 0, std::int64_t{1} << 40);
  entry.finish();
  if (static_cast<std::size_t>(size) != bytes.size()) {
    entry.fail("has " + std::to_string(bytes.size()) + " bytes, the manifest says " +
               std::to_string(size));
  }
  const std::string found = sha256_hex(bytes);
  if (hash != found) {
    entry.fail("has SHA-256 " + found + ", the manifest says " + shown(hash));
  }
}

double decode_agreement(StrictObject& manifest) {
  const Json& value = manifest.at("agreement");
  if (!value.is_number()) manifest.fail("'agreement' is not a number");
  return value.get<double>();
}

// Everything but the model; checks the other entries against their hashes on the way.
EdgeBundle decode_manifest(std::map<std::string, Bytes>& entries, std::string& scheme) {
  const Bytes& bytes = entries.at(kManifest);
  const Json json =
      parse_strict_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "bundle");
  StrictObject manifest(json, "bundle");
  if (manifest.text("format") != kFormat) manifest.fail("'format' is not fedstill.bundle");
  manifest.integer("version", kVersion, kVersion);
  StrictObject hashes(manifest.object("entries"), "bundle, entries");
  check_entry(hashes, kModel, entries.at(kModel));
  check_entry(hashes, kOnnx, entries.at(kOnnx));
  hashes.finish();
  EdgeBundle bundle{.class_names = manifest.texts("class_names", kMaxClasses),
                    .mean = manifest.reals("mean", kMaxChannels),
                    .deviation = manifest.reals("deviation", kMaxChannels),
                    .model = {},
                    .onnx = std::move(entries.at(kOnnx)),
                    .agreement = decode_agreement(manifest)};
  scheme = manifest.text("scheme");
  manifest.finish();
  return bundle;
}

}  // namespace

Bytes encode_bundle(const EdgeBundle& bundle) {
  const Bytes model = encode_model(bundle.model);
  check(bundle);
  const std::string manifest = manifest_text(bundle, model);
  if (manifest.size() > kMaxManifestBytes || model.size() > kMaxModelBytes ||
      bundle.onnx.size() > kMaxModelBytes) {
    throw std::invalid_argument("[bundle] too large to be read back");
  }
  const ZipEntry entries[] = {
      {kManifest, std::as_bytes(std::span(manifest))}, {kModel, model}, {kOnnx, bundle.onnx}};
  return write_stored_zip(entries);
}

EdgeBundle decode_bundle(std::span<const std::byte> bytes) {
  std::map<std::string, Bytes> entries = read_stored_zip(
      bytes, {{kManifest, kMaxManifestBytes}, {kModel, kMaxModelBytes}, {kOnnx, kMaxModelBytes}});
  std::string scheme;
  EdgeBundle bundle = decode_manifest(entries, scheme);
  bundle.model = decode_quantized_model(entries.at(kModel));
  if (scheme != bundle.model.scheme) {
    throw DecodeError("[bundle] the manifest says scheme '" + shown(scheme) + "', the model '" +
                      bundle.model.scheme + "'");
  }
  try {
    check(bundle);
  } catch (const std::invalid_argument& error) {
    throw DecodeError(error.what());
  }
  return bundle;
}

void write_bundle(const std::filesystem::path& path, const EdgeBundle& bundle) {
  write_file_atomically(path, encode_bundle(bundle));
}

EdgeBundle read_bundle(const std::filesystem::path& path) {
  return decode_named(path, [&] { return decode_bundle(read_file(path, kMaxBundleBytes)); });
}

}  // namespace fedstill

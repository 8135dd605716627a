#include "launch/predict.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>

#include "compression/edge/bundle.h"
#include "compression/edge/classify.h"
#include "data/data_error.h"
#include "data/readers.h"
#include "launch/file_kind.h"
#include "launch/outside_text.h"
#include "launch/png_image.h"
#include "launch/run_bundle.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxIdxBytes = std::size_t{2} << 30;

bool is_png(const fs::path& path) {
  const auto extension = path.extension().string();
  return extension == ".png" || extension == ".PNG";
}

Images read_images(const fs::path& path, std::int64_t channels) {
  if (is_png(path)) return read_png(path, channels);
  const auto bytes = read_file(path, kMaxIdxBytes);
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  auto plain = inflate_if_gzip({first, first + bytes.size()}, kMaxIdxBytes, path.string());
  return decode_idx_images(plain, path.string());
}

// An image that cannot be read is the user's data, like one that cannot be decoded.
Images images_of(const fs::path& path, std::int64_t channels) {
  try {
    return read_images(path, channels);
  } catch (const std::system_error& error) {
    throw DataError("[predict] cannot read " + path.string() + ": " + error.code().message());
  }
}

void check_kind(const fs::path& path) {
  const FileKind kind = file_kind(path);
  if (kind == FileKind::kBundle) return;
  throw DecodeError("[predict] " + path.string() + ": found a file of the kind " +
                    std::string(kind_name(kind)) + ", expected a bundle (bundle.fsb)");
}

std::string sizes(const SampleShape& shape) {
  std::string out;
  for (const auto size : shape) out += (out.empty() ? "" : " × ") + std::to_string(size);
  return out;
}

void check_shape(const Images& images, const EdgeBundle& bundle, const fs::path& path) {
  const auto& s = images.shape;
  const SampleShape found{s.channels, s.height, s.width};
  const SampleShape& expected = bundle.model.graph.input_shape();
  if (found != expected) {
    throw DataError("[predict] " + path.string() + ": image is " + sizes(found) +
                    ", the bundle expects " + sizes(expected));
  }
}

nlohmann::json one(const std::string& name, std::span<const float> logits,
                   const EdgeBundle& bundle) {
  const auto top = std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float z : logits) sum += std::exp(static_cast<double>(z) - static_cast<double>(*top));
  const auto index = static_cast<std::size_t>(top - logits.begin());
  return {{"image", name},
          {"class", index},
          {"name", bundle.class_names.at(index)},
          {"probability", 1.0 / sum}};
}

}  // namespace

nlohmann::json predict_files(const fs::path& bundle_path, const std::vector<fs::path>& images) {
  check_kind(bundle_path);
  const EdgeBundle bundle = read_bundle(bundle_path);
  nlohmann::json out{{"status", "success"}, {"bundle", bundle_path.string()}};
  auto& list = out["images"] = nlohmann::json::array();
  for (const auto& path : images) {
    const Images found = images_of(path, bundle.model.graph.input_shape().front());
    check_shape(found, bundle, path);
    const auto size = static_cast<std::size_t>(found.pixels_per_image());
    const PixelSource pixels = [&](std::int64_t i) {
      return std::span(found.pixels).subspan(static_cast<std::size_t>(i) * size, size);
    };
    const auto logits = run_bundle(bundle_path, [&] {
      return evaluate(bundle.model, found.count(), pixels, {bundle.mean, bundle.deviation});
    });
    const std::size_t classes = bundle.class_names.size();
    for (std::size_t i = 0; i < static_cast<std::size_t>(found.count()); ++i) {
      std::string name = path.string();
      if (found.count() > 1) name.append("[").append(std::to_string(i)).append("]");
      list.push_back(one(name, std::span(logits).subspan(i * classes, classes), bundle));
    }
  }
  return out;
}

std::string prediction_text(const nlohmann::json& predictions) {
  std::string out;
  for (const auto& p : predictions.at("images")) {
    char share[32];
    std::snprintf(share, sizeof(share), "%5.1f %%", 100.0 * p.at("probability").get<double>());
    out += printable(p.at("image")) + "  " + printable(p.at("name")) + "  " + share + "\n";
  }
  return out;
}

}  // namespace fedstill

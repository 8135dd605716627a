#include "launch/predict.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "compression/edge/bundle.h"
#include "compression/edge/classify.h"
#include "data/data_error.h"
#include "data/readers.h"
#include "launch/advice.h"
#include "launch/file_kind.h"
#include "launch/input.h"
#include "launch/outside_text.h"
#include "launch/png_image.h"
#include "launch/run_bundle.h"
#include "launch/text_table.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxIdxBytes = std::size_t{2} << 30;
constexpr std::string_view kPng = "\x89PNG";

// shape: of the images that a bundle expects.
std::string how_to_convert(const SampleShape& shape) {
  if (shape.size() != 3) return "";
  return "convert it, for example with ImageMagick: convert IN -resize '" +
         std::to_string(shape[2]) + "x" + std::to_string(shape[1]) + "!'" +
         (shape[0] == 1 ? " -colorspace Gray" : "") + " OUT.png";
}

// By its first bytes; "" for a PNG and for what may be an IDX file, plain or gzip.
std::string_view find_other_format(std::string_view bytes) {
  if (bytes.starts_with(kPng) || bytes.starts_with("\x1f\x8b")) return "";
  if (bytes.starts_with(std::string_view("\0\0", 2))) return "";
  if (bytes.starts_with("\xff\xd8\xff")) return "a JPEG image";
  if (bytes.starts_with("GIF8")) return "a GIF image";
  if (bytes.starts_with("BM")) return "a BMP image";
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) return "a WebP image";
  if (bytes.starts_with("II*") || bytes.starts_with("MM")) return "a TIFF image";
  return bytes.empty() ? "an empty file" : "something else";
}

// What is classified, and what was done to it on the way.
struct Taken {
  Images images;
  std::string note;
};

Taken take_images(const fs::path& path, const SampleShape& wanted) {
  require_file(path);
  const auto bytes = read_file(path, kMaxIdxBytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto other = find_other_format(text); !other.empty()) {
    throw Advised<DataError>("[predict] " + path.string() + ": found " + std::string(other) +
                                 ", expected a PNG or IDX image file",
                             how_to_convert(wanted));
  }
  if (text.starts_with(kPng)) {
    const std::int64_t channels = wanted.front(), found = png_channels(bytes, path.string());
    Taken out{decode_png(bytes, channels, path.string()), ""};
    if (found > 1 && channels == 1) {
      out.note = "its colours were mixed to gray, since the bundle has one channel";
    } else if (found == 1 && channels > 1) {
      out.note = "its gray was taken for every colour of the bundle";
    }
    return out;
  }
  return {decode_inflated(decode_idx_images, bytes, kMaxIdxBytes, path.string()), ""};
}

void check_kind(const fs::path& path) {
  require_file(path, {"bundle.fsb"});
  const FileKind kind = file_kind(path);
  if (kind == FileKind::kBundle) return;
  throw Advised<DecodeError>("[predict] " + path.string() + ": found a file of the kind " +
                                 std::string(kind_name(kind)) + ", expected a bundle (bundle.fsb)",
                             "a run keeps it as bundle.fsb in its folder");
}

void check_shape(const Images& images, const EdgeBundle& bundle, const fs::path& path) {
  const auto& s = images.shape;
  const SampleShape found{s.channels, s.height, s.width};
  const SampleShape& expected = bundle.model.graph.input_shape();
  if (found == expected) return;
  throw Advised<DataError>("[predict] " + path.string() + ": image is " + sizes_text(found) +
                               ", the bundle expects " + sizes_text(expected) +
                               " (channels × height × width)",
                           how_to_convert(expected));
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
    const Taken taken = take_images(path, bundle.model.graph.input_shape());
    const Images& found = taken.images;
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
      if (!taken.note.empty()) list.back()["note"] = taken.note;
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

#include "data/readers.h"

#include <algorithm>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "data/data_error.h"
#include "data/synthetic.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;
constexpr std::size_t kMaxInflatedBytes = std::size_t{1} << 31;
constexpr std::string_view kFashionFolder = "/usr/share/datasets/fashion-mnist";

const Names kFashionNames{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                          "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
const Names kCifarNames{"airplane", "automobile", "bird",  "cat",  "deer",
                        "dog",      "frog",       "horse", "ship", "truck"};

[[noreturn]] void refuse_source(const std::string& what) { throw DataError("[data] " + what); }

Names numbered_names(std::int64_t classes) {
  Names names;
  for (std::int64_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
  return names;
}

std::vector<std::byte> read_bytes(const fs::path& path) {
  try {
    return read_file(path, kMaxFileBytes);
  } catch (const std::system_error& error) {
    refuse_source("cannot read " + path.string() + ": " + error.code().message());
  } catch (const DecodeError& error) {
    refuse_source(error.what());
  }
}

template <typename Decode>
auto read_and(const Decode& decode, const fs::path& path) {
  return decode_inflated(decode, read_bytes(path), kMaxInflatedBytes, path.string());
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

fs::path plain_or_gz(const fs::path& folder, const std::string& name) {
  for (const char* end : {"", ".gz"}) {
    if (fs::path path = folder / (name + end); is_there(path)) return path;
  }
  refuse_source("found neither " + (folder / name).string() + " nor " + (folder / name).string() +
                ".gz");
}

Dataset make_dataset(Images images, std::vector<std::int32_t> labels) {
  const std::int64_t classes = 1 + *std::ranges::max_element(labels);
  return {std::make_shared<const Images>(std::move(images)), std::move(labels),
          numbered_names(classes)};
}

std::string to_string(const ImageShape& shape) {
  return std::to_string(shape.channels) + " × " + std::to_string(shape.height) + " × " +
         std::to_string(shape.width);
}

// Both halves get the same names; a label beyond them is an error.
void set_names(TrainTest& sets, const Names& names, const std::string& origin) {
  for (Dataset* set : {&sets.train, &sets.test}) {
    if (set->classes() > static_cast<std::int64_t>(names.size())) {
      refuse_source(origin + ": found label " + std::to_string(set->classes() - 1) +
                    ", expected 0 to " + std::to_string(names.size() - 1));
    }
    set->class_names = names;
  }
}

void check_same_shape(const TrainTest& sets, const fs::path& folder) {
  const ImageShape& train = sets.train.images->shape;
  const ImageShape& test = sets.test.images->shape;
  if (train == test) return;
  refuse_source(folder.string() + ": found test images of " + to_string(test) + ", expected " +
                to_string(train) + " as in training");
}

LabeledImages read_cifar10_batches(const fs::path& folder, const Names& files) {
  LabeledImages all;
  for (const std::string& file : files) {
    const fs::path path = plain_or_gz(folder, file);
    LabeledImages batch = read_and(decode_cifar10, path);
    all.images.shape = batch.images.shape;
    all.images.pixels.insert(all.images.pixels.end(), batch.images.pixels.begin(),
                             batch.images.pixels.end());
    all.labels.insert(all.labels.end(), batch.labels.begin(), batch.labels.end());
  }
  return all;
}

// The halves each with the classes of their own labels.
TrainTest read_idx_halves(const fs::path& folder) {
  const auto read = [&](const std::string& part) {
    const fs::path images = plain_or_gz(folder, part + "-images-idx3-ubyte");
    const fs::path labels = plain_or_gz(folder, part + "-labels-idx1-ubyte");
    return read_idx(images, labels);
  };
  TrainTest sets{read("train"), read("t10k")};
  check_same_shape(sets, folder);
  return sets;
}

TrainTest read_named_idx(const fs::path& folder, const Names& names) {
  TrainTest sets = read_idx_halves(folder);
  set_names(sets, names, folder.string());
  return sets;
}

TrainTest read_fashion_mnist() {
  const fs::path folder = kFashionFolder;
  if (!is_there(folder)) {
    refuse_source(
        "Fashion-MNIST is not installed: found no " + folder.string() +
        "; run `apt install dataset-fashion-mnist`, or give a folder with the four IDX files as "
        "idx:DIR");
  }
  return read_named_idx(folder, kFashionNames);
}

}  // namespace

Dataset read_idx(const fs::path& images, const fs::path& labels) {
  Images decoded = read_and(decode_idx_images, images);
  std::vector<std::int32_t> numbers = read_and(decode_idx_labels, labels);
  if (static_cast<std::int64_t>(numbers.size()) != decoded.count()) {
    throw DataError("[idx] " + labels.string() + ": found " + std::to_string(numbers.size()) +
                    " labels, expected " + std::to_string(decoded.count()) + " as images in " +
                    images.string());
  }
  return make_dataset(std::move(decoded), std::move(numbers));
}

TrainTest read_idx_folder(const fs::path& folder) {
  TrainTest sets = read_idx_halves(folder);
  // The training labels say how many classes there are.
  set_names(sets, Names(sets.train.class_names), folder.string());
  return sets;
}

Dataset read_labelled(std::string_view source) {
  constexpr std::string_view kIdx = "idx:";
  if (!source.starts_with(kIdx) || source.size() == kIdx.size()) return read_source(source).train;
  const fs::path folder = source.substr(kIdx.size());
  const bool planes = is_there(folder / "train-images-idx4-ubyte") ||
                      is_there(folder / "train-images-idx4-ubyte.gz");
  return read_idx(
      plain_or_gz(folder, planes ? "train-images-idx4-ubyte" : "train-images-idx3-ubyte"),
      plain_or_gz(folder, "train-labels-idx1-ubyte"));
}

TrainTest read_cifar10_folder(const fs::path& folder) {
  const fs::path inner = folder / "cifar-10-batches-bin";
  const fs::path from = is_there(inner) ? inner : folder;
  const Names training{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                       "data_batch_4.bin", "data_batch_5.bin"};
  LabeledImages train = read_cifar10_batches(from, training);
  LabeledImages test = read_cifar10_batches(from, {"test_batch.bin"});
  TrainTest sets{make_dataset(std::move(train.images), std::move(train.labels)),
                 make_dataset(std::move(test.images), std::move(test.labels))};
  set_names(sets, kCifarNames, from.string());
  return sets;
}

TrainTest read_source(std::string_view source) {
  const std::size_t colon = source.find(':');
  const std::string_view kind = source.substr(0, colon);
  const bool has_folder = colon != std::string_view::npos && colon + 1 < source.size();
  const fs::path folder = has_folder ? source.substr(colon + 1) : std::string_view();
  if (source == "fashion-mnist") return read_fashion_mnist();
  if (source == "synthetic") return read_synthetic({});
  if (has_folder) {
    if (kind == "mnist") return read_named_idx(folder, numbered_names(10));
    if (kind == "idx") return read_idx_folder(folder);
    if (kind == "cifar10") return read_cifar10_folder(folder);
    if (kind == "synthetic") return read_synthetic(source.substr(colon + 1));
  }
  refuse_source("found source \"" + std::string(source) +
                "\", expected fashion-mnist, mnist:DIR, idx:DIR, cifar10:DIR or "
                "synthetic[:CLASSESxCHANNELSxHEIGHTxWIDTH]");
}

}  // namespace fedstill

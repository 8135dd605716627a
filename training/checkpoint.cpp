#include "training/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <type_traits>

#include "model/byte_reader.h"
#include "model/decode_error.h"
#include "model/sha256.h"

namespace fedstill {

namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");

// Persisted; a change of the layout changes the digit. Layout: magic, SHA-256 (64 hex digits) of
// all that follows, identity, steps, images, losses, loss so far, seconds, tensors; numbers as
// 64-bit little-endian, every list and text after its length.
constexpr std::string_view kName = "fedstill-fit-", kMagic = "fedstill-fit-3\n";
constexpr std::size_t kDigestSize = 64, kBodyAt = kMagic.size() + kDigestSize;
constexpr std::uint64_t kMaxRank = 8;

class Writer {
 public:
  template <typename T>
  void number(T value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) == 8);
    append(std::as_bytes(std::span(&value, 1)));
  }
  void text(std::string_view value) {
    number<std::uint64_t>(value.size());
    append(std::as_bytes(std::span(value)));
  }
  void append(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

std::string read_text(ByteReader& reader) {
  const auto content = reader.take(reader.length(1, "a text"), "a text");
  return {reinterpret_cast<const char*>(content.data()), content.size()};
}

std::vector<std::int64_t> read_shape(ByteReader& reader) {
  std::vector<std::int64_t> shape(reader.length(8, "a shape"));
  if (shape.size() > kMaxRank) {
    throw DecodeError("[checkpoint] tensor of rank " + std::to_string(shape.size()) +
                      ", expected at most " + std::to_string(kMaxRank));
  }
  for (std::int64_t& size : shape) size = reader.number<std::int64_t>("a shape");
  return shape;
}

Tensor read_tensor(ByteReader& reader) {
  std::vector<std::int64_t> shape = read_shape(reader);
  const std::span<const std::byte> content = reader.take(reader.length(1, "a tensor"), "a tensor");
  std::int64_t elements = 0;
  try {
    elements = element_count(shape);
  } catch (const std::invalid_argument& error) {
    throw DecodeError(std::string("[checkpoint] ") + error.what());
  }
  if (content.size() % 4 != 0 || static_cast<std::uint64_t>(elements) != content.size() / 4) {
    throw DecodeError("[checkpoint] tensor of " + std::to_string(elements) + " elements has " +
                      std::to_string(content.size()) + " bytes");
  }
  Tensor tensor(DType::kF32, std::move(shape));
  if (!content.empty()) std::memcpy(tensor.bytes().data(), content.data(), content.size());
  return tensor;
}

FitPlace read_place(ByteReader& reader) {
  FitPlace place;
  place.steps_done = reader.number<std::int64_t>("steps");
  place.images = reader.number<std::int64_t>("images");
  place.epoch_losses.resize(reader.length(8, "losses"));
  for (double& loss : place.epoch_losses) loss = reader.number<double>("losses");
  place.loss_sum = reader.number<double>("the sum of losses");
  place.seconds = reader.number<double>("seconds");
  const auto epochs = static_cast<std::int64_t>(place.epoch_losses.size());
  if (place.steps_done < epochs || place.images < 0) {
    throw DecodeError("[checkpoint] found " + std::to_string(epochs) + " epochs in " +
                      std::to_string(place.steps_done) + " steps with " +
                      std::to_string(place.images) + " images");
  }
  if (!std::isfinite(place.seconds) || place.seconds < 0.0) {
    throw DecodeError("[checkpoint] found " + std::to_string(place.seconds) + " seconds");
  }
  return place;
}

// Only of this version: a fit under way is finished by the program that began it.
void check_magic(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min(bytes.size(), kMagic.size()));
  if (start == kMagic) return;
  if (start.size() == kMagic.size() && start.starts_with(kName) && start.back() == '\n') {
    throw DecodeError(std::string("[checkpoint] found version ") + start[kName.size()] +
                      ", expected 3: finish this fit with the fedstill that began it, or remove "
                      "the file to begin it anew");
  }
  throw DecodeError("[checkpoint] found " + std::to_string(bytes.size()) +
                    " bytes that do not start as a checkpoint does");
}

void check_envelope(std::span<const std::byte> bytes) {
  check_magic(bytes);
  if (bytes.size() < kBodyAt) {
    throw DecodeError("[checkpoint] found " + std::to_string(bytes.size()) +
                      " bytes, expected at least " + std::to_string(kBodyAt));
  }
  const std::string digest = sha256_hex(bytes.subspan(kBodyAt));
  if (std::memcmp(bytes.data() + kMagic.size(), digest.data(), kDigestSize) != 0) {
    throw DecodeError("[checkpoint] the checksum does not match: the file is damaged");
  }
}

}  // namespace

std::vector<std::byte> encode_checkpoint(const Checkpoint& checkpoint) {
  Writer body;
  body.number<std::uint64_t>(checkpoint.identity.size());
  for (const Checkpoint::Fact& fact : checkpoint.identity) {
    body.text(fact.name);
    body.text(fact.value);
  }
  const FitPlace& place = checkpoint.place;
  body.number(place.steps_done);
  body.number(place.images);
  body.number<std::uint64_t>(place.epoch_losses.size());
  for (const double loss : place.epoch_losses) body.number(loss);
  body.number(place.loss_sum);
  body.number(place.seconds);
  body.number<std::uint64_t>(checkpoint.tensors.size());
  for (const Tensor& tensor : checkpoint.tensors) {
    body.number<std::uint64_t>(tensor.shape().size());
    for (const std::int64_t size : tensor.shape()) body.number(size);
    body.number<std::uint64_t>(tensor.bytes().size());
    body.append(tensor.bytes());
  }
  const std::vector<std::byte> content = body.take();
  Writer file;
  file.append(std::as_bytes(std::span(kMagic)));
  const std::string digest = sha256_hex(content);
  file.append(std::as_bytes(std::span(digest)));
  file.append(content);
  return file.take();
}

Checkpoint decode_checkpoint(std::span<const std::byte> bytes) {
  check_envelope(bytes);
  ByteReader reader("[checkpoint]", bytes.subspan(kBodyAt));
  Checkpoint checkpoint;
  checkpoint.identity.resize(reader.length(16, "the identity"));
  for (Checkpoint::Fact& fact : checkpoint.identity) {
    fact.name = read_text(reader);
    fact.value = read_text(reader);
  }
  checkpoint.place = read_place(reader);
  const std::size_t tensors = reader.length(16, "the tensors");
  for (std::size_t i = 0; i < tensors; ++i) checkpoint.tensors.push_back(read_tensor(reader));
  if (reader.remaining() > 0) reader.fail("found bytes after the end");
  return checkpoint;
}

void check_identity(const Checkpoint& found, const std::vector<Checkpoint::Fact>& expected,
                    const std::filesystem::path& path) {
  const std::string start = "[fit] checkpoint " + path.string() + " belongs to another fit: ";
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (i < found.identity.size() && found.identity[i] == expected[i]) continue;
    const Checkpoint::Fact there =
        i < found.identity.size() ? found.identity[i] : Checkpoint::Fact{"nothing", ""};
    throw std::invalid_argument(start + "found " + there.name + " " + there.value + ", expected " +
                                expected[i].name + " " + expected[i].value);
  }
  if (found.identity.size() != expected.size()) {
    throw std::invalid_argument(start + "it lists " + std::to_string(found.identity.size()) +
                                " facts, expected " + std::to_string(expected.size()));
  }
}

}  // namespace fedstill

#include "model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "model/decode_error.h"
#include "model/sha256.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are written as they lie");

using Json = nlohmann::json;
constexpr const char* kOrigin = "safetensors";
constexpr const char* kMetadata = "__metadata__";
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 64;  // of the first tensor: a cache line
constexpr std::size_t kMaxTensorRank = 8;
constexpr std::size_t kPieceBytes = std::size_t{1} << 18;  // that are hashed at once

using Named = std::pair<const std::string, Tensor>;

std::vector<const Named*> in_file_order(const std::map<std::string, Tensor>& tensors) {
  std::vector<const Named*> order;
  order.reserve(tensors.size());
  for (const Named& named : tensors) order.push_back(&named);
  // Wide types first keeps every tensor aligned to its element.
  std::stable_sort(order.begin(), order.end(), [](const Named* a, const Named* b) {
    return byte_size(a->second.dtype()) > byte_size(b->second.dtype());
  });
  return order;
}

void require_encodable(const std::string& name, const Tensor& tensor) {
  const bool empty = std::ranges::any_of(tensor.shape(), [](std::int64_t d) { return d < 1; });
  if (name == kMetadata || empty || tensor.shape().size() > kMaxTensorRank) {
    throw std::invalid_argument("[safetensors] tensor '" + name +
                                "': reserved name, empty dimension or too many dimensions");
  }
}

std::string header_text(const std::map<std::string, std::string>& metadata,
                        const std::vector<const Named*>& order) {
  Json header = Json::object();
  header[kMetadata] = metadata;
  std::size_t offset = 0;
  for (const Named* named : order) {
    const auto& [name, tensor] = *named;
    require_encodable(name, tensor);
    const std::size_t end = offset + tensor.bytes().size();
    header[name] = {{"dtype", std::string(fedstill::name(tensor.dtype()))},
                    {"shape", tensor.shape()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  try {
    return header.dump();
  } catch (const Json::exception& error) {
    throw std::invalid_argument(std::string("[safetensors] ") + error.what());
  }
}

struct Entry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape{};
  std::uint64_t begin = 0, end = 0;
};

DType dtype_from_name(const StrictObject& object, const std::string& text) {
  for (const DType dtype : {DType::kF32, DType::kI32, DType::kI8, DType::kU8, DType::kI64}) {
    if (name(dtype) == text) return dtype;
  }
  object.fail("dtype '" + shown(text) + "' is not one of F32, I32, I8, U8, I64");
}

std::uint64_t checked_byte_count(const StrictObject& object, const Entry& entry,
                                 std::int64_t max_elements) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : entry.shape) {
    if (dimension < 1 || dimension > max_elements / count) {
      object.fail("the shape has an empty dimension or more than " + std::to_string(max_elements) +
                  " elements");
    }
    count *= dimension;
  }
  return static_cast<std::uint64_t>(count) * byte_size(entry.dtype);
}

Entry decode_entry(const std::string& name, const Json& json, const SafetensorsLimits& limits) {
  StrictObject object(json, std::string(kOrigin) + ", tensor '" + shown(name) + "'");
  Entry entry{.name = name};
  entry.dtype = dtype_from_name(object, object.text("dtype"));
  entry.shape = object.integers("shape", kMaxTensorRank);
  const std::vector<std::int64_t> offsets = object.integers("data_offsets", 2);
  object.finish();
  if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0]) {
    object.fail("data_offsets are not [begin, end]");
  }
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  const std::uint64_t expected = checked_byte_count(object, entry, limits.max_elements);
  if (entry.end - entry.begin != expected) {
    object.fail("data_offsets hold " + std::to_string(entry.end - entry.begin) +
                " bytes, the shape needs " + std::to_string(expected));
  }
  return entry;
}

std::vector<Entry> decode_entries(const Json& header, const SafetensorsLimits& limits) {
  if (header.size() > limits.max_tensors + 1) {
    throw DecodeError("[safetensors] header has " + std::to_string(header.size()) +
                      " entries, limit " + std::to_string(limits.max_tensors));
  }
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != kMetadata) entries.push_back(decode_entry(name, json, limits));
  }
  std::ranges::sort(entries, {}, &Entry::begin);
  return entries;
}

std::map<std::string, std::string> decode_metadata(const Json& header) {
  std::map<std::string, std::string> metadata;
  if (!header.contains(kMetadata)) return metadata;
  StrictObject object(header.at(kMetadata), std::string(kOrigin) + ", " + kMetadata);
  for (const auto& [key, value] : header.at(kMetadata).items()) metadata[key] = object.text(key);
  return metadata;
}

// The data section begins at `begin` of the source.
std::map<std::string, Tensor> decode_tensors(const std::vector<Entry>& entries,
                                             const ByteSource& source, std::uint64_t begin) {
  const std::uint64_t size = source.size() - begin;
  std::map<std::string, Tensor> tensors;
  std::uint64_t next = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != next || entry.end > size) {
      throw DecodeError("[safetensors] tensor '" + shown(entry.name) + "' lies at " +
                        std::to_string(entry.begin) + ".." + std::to_string(entry.end) +
                        ", expected begin " + std::to_string(next) + " and end within " +
                        std::to_string(size));
    }
    Tensor tensor(entry.dtype, entry.shape);
    source.read(begin + entry.begin, tensor.bytes());
    tensors.emplace(entry.name, std::move(tensor));
    next = entry.end;
  }
  if (next != size) {
    throw DecodeError("[safetensors] " + std::to_string(size - next) +
                      " bytes after the last tensor");
  }
  return tensors;
}

std::size_t decode_header_length(const ByteSource& source, std::uint64_t max_header_bytes) {
  if (source.size() < kLengthBytes) {
    throw DecodeError("[safetensors] file has " + std::to_string(source.size()) +
                      " bytes, expected at least 8");
  }
  std::uint64_t length = 0;
  source.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > max_header_bytes || length > source.size() - kLengthBytes) {
    throw DecodeError("[safetensors] header length " + std::to_string(length) +
                      " exceeds the limit " + std::to_string(max_header_bytes) + " or the file");
  }
  return static_cast<std::size_t>(length);
}

}  // namespace

std::vector<std::byte> encode_safetensors(const std::map<std::string, std::string>& metadata,
                                          const std::map<std::string, Tensor>& tensors) {
  const std::vector<const Named*> order = in_file_order(tensors);
  std::string header = header_text(metadata, order);
  const std::size_t used = (kLengthBytes + header.size()) % kAlignment;
  header.append((kAlignment - used) % kAlignment, ' ');
  if (header.size() > SafetensorsLimits{}.max_header_bytes) {
    throw std::invalid_argument("[safetensors] header of " + std::to_string(header.size()) +
                                " bytes is too long to be read back");
  }
  const std::uint64_t length = header.size();
  std::vector<std::byte> bytes(kLengthBytes + header.size());
  std::memcpy(bytes.data(), &length, kLengthBytes);
  std::memcpy(bytes.data() + kLengthBytes, header.data(), header.size());
  for (const Named* named : order) {
    const std::span<const std::byte> data = named->second.bytes();
    bytes.insert(bytes.end(), data.begin(), data.end());
  }
  return bytes;
}

Safetensors decode_safetensors(const ByteSource& source, const SafetensorsLimits& limits) {
  std::string text(decode_header_length(source, limits.max_header_bytes), '\0');
  source.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  if (!text.starts_with('{')) throw DecodeError("[safetensors] the header is not a JSON object");
  const Json header = parse_strict_json(text, kOrigin);
  return {.metadata = decode_metadata(header),
          .tensors =
              decode_tensors(decode_entries(header, limits), source, kLengthBytes + text.size())};
}

Safetensors decode_safetensors(std::span<const std::byte> bytes, const SafetensorsLimits& limits) {
  return decode_safetensors(MemorySource(bytes), limits);
}

std::string safetensors_data_hash(const std::map<std::string, Tensor>& tensors) {
  Sha256 hash;
  for (const Named* named : in_file_order(tensors)) hash.update(named->second.bytes());
  return hash.hex();
}

std::uint64_t safetensors_data_offset(const ByteSource& source) {
  return kLengthBytes + decode_header_length(source, source.size());
}

std::string safetensors_data_hash(const ByteSource& source) {
  Sha256 hash;
  std::vector<std::byte> piece(kPieceBytes);
  for (std::uint64_t at = safetensors_data_offset(source); at < source.size();) {
    const std::uint64_t count = std::min<std::uint64_t>(piece.size(), source.size() - at);
    const std::span<std::byte> bytes = std::span(piece).first(static_cast<std::size_t>(count));
    source.read(at, bytes);
    hash.update(bytes);
    at += count;
  }
  return hash.hex();
}

}  // namespace fedstill

#include "launch/file_kind.h"

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include "model/decode_error.h"

namespace fedstill {
namespace {

// Enough to find the first keys of our JSON files, which are written with sorted keys.
constexpr std::size_t kLookBytes = std::size_t{64} * 1024;
constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;  // of safetensors

std::string first_bytes(const std::filesystem::path& path, std::size_t most = kLookBytes) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) {
    throw std::system_error(errno != 0 ? errno : EISDIR, std::generic_category(),
                            "[file] cannot read " + path.string());
  }
  std::string bytes(most, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

bool contains(const std::string& bytes, const char* text) {
  return bytes.find(text) != std::string::npos;
}

}  // namespace

std::string_view kind_name(FileKind kind) {
  switch (kind) {
    case FileKind::kModel:
      return "model";
    case FileKind::kLesson:
      return "lesson";
    case FileKind::kBundle:
      return "bundle";
    case FileKind::kCache:
      return "prediction cache";
    case FileKind::kCheckpoint:
      return "checkpoint";
    case FileKind::kSplit:
      return "split";
    case FileKind::kReport:
      return "report";
    case FileKind::kFedAvg:
      return "fedavg";
    case FileKind::kOnnx:
      return "onnx";
    case FileKind::kJob:
      return "job";
    case FileKind::kEvents:
      return "events";
    case FileKind::kMetrics:
      return "metrics";
  }
  return "";
}

FileKind file_kind(const std::filesystem::path& path) {
  const std::string bytes = first_bytes(path);
  if (bytes.starts_with("PK\x03\x04")) return FileKind::kBundle;
  if (bytes.starts_with("fedstill-fit-")) return FileKind::kCheckpoint;
  if (bytes.starts_with("FSPREDIC")) return FileKind::kCache;
  // safetensors: the length of the header, then the header, a JSON object.
  if (bytes.size() > 8 && bytes[8] == '{' && contains(bytes, "__metadata__")) {
    const bool has_labels =
        contains(first_bytes(path, kMaxHeaderBytes), "\"fedstill.soft_labels\":");
    return has_labels ? FileKind::kLesson : FileKind::kModel;
  }
  if (bytes.starts_with("{\"time\":") && contains(bytes, "\"event\":")) return FileKind::kEvents;
  if (bytes.starts_with("stage,who,epoch,step,")) return FileKind::kMetrics;
  if (contains(bytes, "[data]\n") && contains(bytes, "[clients]\n")) return FileKind::kJob;
  if (bytes.starts_with("{") && contains(bytes, "\"averaged\"")) return FileKind::kFedAvg;
  if (bytes.starts_with("{") && contains(bytes, "\"bundle\"")) return FileKind::kReport;
  if (bytes.starts_with("{") && contains(bytes, "\"clients\"")) return FileKind::kSplit;
  if (bytes.starts_with("\x08\x08") && contains(bytes, "fedstill")) return FileKind::kOnnx;
  throw DecodeError("[file] " + path.string() + " is not a file that fedstill writes");
}

}  // namespace fedstill

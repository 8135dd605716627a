#include "launch/file_kind.h"

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include "launch/advice.h"
#include "model/decode_error.h"

namespace fedstill {
namespace {

// Enough to find the first keys of our JSON files, which are written with sorted keys.
constexpr std::size_t kLookBytes = std::size_t{64} * 1024;
constexpr const char* kWhatIsRead =
    "give a file that fedstill wrote; fedstill inspect --help lists them";
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

// state/NAME.json of a run; a coordinator's whole folder may be called state too.
bool is_state(const std::filesystem::path& path) {
  const auto name = path.filename();
  return path.extension() == ".json" &&
         std::filesystem::absolute(path).parent_path().filename() == "state" &&
         name != "report.json" && name != "split.json" && name != "fedavg.json";
}

bool is_page(const std::string& bytes) {
  return bytes.starts_with("<!DOCTYPE html>") || bytes.starts_with("<!doctype html>") ||
         bytes.starts_with("<svg");
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
    case FileKind::kAudit:
      return "audit log";
    case FileKind::kSaid:
      return "predictions";
    case FileKind::kState:
      return "state of a run";
    case FileKind::kDatabase:
      return "database";
    case FileKind::kPage:
      return "page";
  }
  return "";
}

FileKind file_kind(const std::filesystem::path& path) {
  const std::string bytes = first_bytes(path);
  if (bytes.empty()) {
    throw Advised<DecodeError>("[file] " + path.string() + " is empty", kWhatIsRead);
  }
  if (is_state(path)) return FileKind::kState;
  if (bytes.starts_with("SQLite format 3")) return FileKind::kDatabase;
  if (is_page(bytes)) return FileKind::kPage;
  if (bytes.starts_with("PK\x03\x04")) return FileKind::kBundle;
  if (bytes.starts_with("fedstill-fit-")) return FileKind::kCheckpoint;
  if (bytes.starts_with("FSPREDIC")) return FileKind::kCache;
  if (bytes.starts_with("FSTLPRED")) return FileKind::kSaid;
  if (bytes.starts_with("{\"seq\":") && contains(bytes, "\"previous\":")) return FileKind::kAudit;
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
  throw Advised<DecodeError>("[file] " + path.string() + " is not a file that fedstill writes",
                             kWhatIsRead);
}

}  // namespace fedstill

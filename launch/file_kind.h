#pragma once

#include <filesystem>
#include <string_view>

namespace fedstill {

enum class FileKind {
  kModel,       // safetensors with a graph
  kLesson,      // the same with soft labels
  kBundle,      // zip
  kCache,       // predictions
  kCheckpoint,  // of a fit
  kSplit,       // JSON
  kReport,      // JSON
  kFedAvg,      // JSON: the result of `fedavg`
  kOnnx,        // protobuf
  kJob,         // TOML
  kEvents,      // JSON lines
  kMetrics,     // CSV
  kAudit,       // JSON lines
  kSaid,        // what a client says about the pool
};
std::string_view kind_name(FileKind kind);

// Looks at the first bytes. Throws std::system_error if unreadable, DecodeError if it is none of
// these: what fedstill writes for itself or for a browser is called so, other files foreign.
FileKind file_kind(const std::filesystem::path& path);

}  // namespace fedstill

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
  kState,       // JSON: what a run remembers of a finished part
  kDatabase,    // SQLite: a coordinator's
  kPage,        // HTML or SVG, for a browser
};
std::string_view kind_name(FileKind kind);

// Looks at the name and the first bytes. Throws std::system_error if unreadable, DecodeError if it
// is none of these.
FileKind file_kind(const std::filesystem::path& path);

}  // namespace fedstill

#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "launch/job.h"
#include "model/folder_lock.h"

namespace fedstill {

// The folder of one run (docs/formats.md): everything the run knows, so that a killed one can go
// on. Held by one process at a time. Everything throws std::system_error when the
// disk is full or the folder cannot be written.
class RunFolder {
 public:
  // A new run. Throws JobError if the folder already holds something. If the job file cannot be
  // written, a folder that was created here is removed again.
  static RunFolder create(const std::filesystem::path& folder, const Job& job);
  // The same in the first default_run_folder() that no other run takes.
  static RunFolder create_default(const Job& job);
  // A run to go on with, and its job; what a killed process left half written is removed. Throws
  // InputError where there is no folder, JobError where it holds no run.
  static RunFolder reopen(const std::filesystem::path& folder, Job& job);
  // What a rank of a cluster job keeps for itself, beside or far from the run: goes on with what is
  // there if `resumed`, else anew. Throws JobError if that is of another job.
  static RunFolder of_rank(const std::filesystem::path& folder, const Job& job, bool resumed);

  // A folder within it that holds the same parts, created; this one stays locked.
  RunFolder part(const std::filesystem::path& below) const;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }
  std::filesystem::path client(const std::string& name) const;  // its folder, created

  // What a finished part of the run wants to remember: state/<name>.json, written atomically.
  void remember(const std::string& name, const nlohmann::json& value) const;
  std::optional<nlohmann::json> recall(const std::string& name) const;  // DecodeError if damaged
  // Hands it to take; false if there is none. What take finds missing or of a wrong type in it is a
  // DecodeError naming the file.
  bool recall(const std::string& name,
              const std::function<void(const nlohmann::json&)>& take) const;

 private:
  RunFolder(std::filesystem::path path, FolderLock lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  static RunFolder begin(const std::filesystem::path& folder, bool created, const Job& job);
  std::filesystem::path path_;
  FolderLock lock_;
};

// What the run in a folder remembers, without opening the run. DecodeError if damaged.
std::optional<nlohmann::json> recall_state(const std::filesystem::path& run,
                                           const std::string& name);
nlohmann::json decode_state(std::string_view text, const std::string& origin);

// "runs/<date>-<time>", with a counter behind it where that exists.
std::filesystem::path default_run_folder();

}  // namespace fedstill

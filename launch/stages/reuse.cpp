#include "launch/stages/reuse.h"

#include <string>

#include "launch/input.h"
#include "launch/job_difference.h"
#include "launch/job_file.h"
#include "launch/stages/rounds.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

void copy_if_there(const fs::path& from, const fs::path& to) {
  if (fs::exists(from)) fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

}  // namespace

void check_same_clients(const fs::path& other, const Job& job) {
  require_folder(other);
  if (!fs::exists(other / "job.toml")) {
    throw JobError("[run] --clients-from " + other.string() + ": holds no run");
  }
  Job theirs;
  apply_job_file(theirs, other / "job.toml");
  const std::string difference = difference_text(theirs, job, concerns_clients);
  if (difference.empty()) return;
  throw JobError("[run] --clients-from " + other.string() +
                 ": its clients are of another job: " + difference);
}

void take_clients(const fs::path& run, const RunFolder& folder) {
  Job theirs;
  apply_job_file(theirs, run / "job.toml");
  const fs::path other = run / round_folder(theirs, 1);
  for (const auto& entry : fs::directory_iterator(other / "clients")) {
    const std::string name = entry.path().filename().string();
    const fs::path record = fs::path("state") / (name + ".json");
    if (!fs::exists(other / record)) continue;  // not finished there
    fs::copy_file(entry.path() / "update.safetensors", folder.client(name) / "update.safetensors");
    fs::copy_file(other / record, folder.file(record.string()));
  }
  for (const char* cache : {"cache/pool.predictions", "cache/test.predictions"}) {
    copy_if_there(other / cache, folder.file(cache));
  }
}

}  // namespace fedstill

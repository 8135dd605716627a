#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace fedstill {

// What this process may use: of the machine's cores those of its affinity mask and its control
// group's quota, rounded up; of the memory what its control group may have. root: where proc and
// sys lie.
int usable_cores(const std::filesystem::path& root = "/");
std::int64_t usable_memory_bytes(const std::filesystem::path& root = "/");

nlohmann::json machine_json();   // processor, cores and memory_bytes (usable), system
nlohmann::json versions_json();  // fedstill, compiler, libtorch
std::int64_t peak_rss_bytes();   // of this process so far
double seconds_since_process_start();

}  // namespace fedstill

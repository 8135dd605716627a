#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace fedstill {

nlohmann::json machine_json();   // processor, cores, memory_bytes, system
nlohmann::json versions_json();  // fedstill, compiler, libtorch
std::int64_t peak_rss_bytes();   // of this process so far
double seconds_since_process_start();

}  // namespace fedstill

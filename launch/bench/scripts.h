#pragma once

#include <string_view>

// The programs of bench/ that others' frameworks run, embedded at build time.
namespace fedstill::bench_scripts {

std::string_view bare_fedavg();
std::string_view pytorch_ddp();
std::string_view pytorch_device();
std::string_view reference_pipeline();  // its nets, for the two before

}  // namespace fedstill::bench_scripts

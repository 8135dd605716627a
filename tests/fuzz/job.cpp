// Job files: any text is a job or throws JobError, and a job that was read is written and read back
// equal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "launch/job_check.h"
#include "launch/job_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    fedstill::Job job;
    fedstill::apply_toml(job, {reinterpret_cast<const char*>(data), size}, "fuzz");
    const std::string text = fedstill::write_job(job);
    fedstill::Job again;
    fedstill::apply_toml(again, text, "again");
    if (fedstill::write_job(again) != text) std::abort();
    fedstill::check_job(job);
  } catch (const fedstill::JobError&) {
  }
  return 0;
}

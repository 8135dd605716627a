#pragma once

namespace fedstill {

// What the process tells its caller. Documented in --help; never renumber.
enum class ExitCode : int {
  kOk = 0,
  kUsage = 2,         // unknown flag or subcommand, missing argument
  kJob = 3,           // the job file or a setting is wrong or contradicts another
  kData = 4,          // an input cannot be read, or the data set or an image is wrong
  kDamagedFile = 5,   // a file of ours is damaged, or of another kind than is wanted
  kIo = 6,            // disk full, no permission, the run folder or a port is in use
  kGateRefused = 7,   // the quantized student disagrees with the float one: no bundle
  kDiverged = 8,      // a loss became NaN or infinite
  kInterrupted = 9,   // Ctrl-C or SIGTERM; simulate --resume goes on
  kRefused = 10,      // a certificate does not fit, or the other side refused us
  kUnreachable = 11,  // the other side cannot be reached, or is gone
  kRoundFailed = 12,  // too few clients got on before the deadline
  kDevice = 13,       // the GPU, or LibTorch's part for it, cannot be used or failed
  kInternal = 70,     // a bug in fedstill
};

}  // namespace fedstill

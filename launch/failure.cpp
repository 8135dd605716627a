#include "launch/failure.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "collective/collective.h"
#include "compression/verify.h"
#include "data/data_error.h"
#include "launch/advice.h"
#include "launch/certificates/x509.h"
#include "launch/command_line.h"
#include "launch/input.h"
#include "launch/job.h"
#include "launch/sites/membership.h"
#include "launch/sites/serve.h"
#include "launch/sites/way_advice.h"
#include "model/decode_error.h"
#include "training/device.h"
#include "training/fit.h"
#include "transport/channel.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

constexpr const char* kBug = "this is a bug in fedstill; please report it";

std::string io_hint(const std::error_code& code) {
  if (code == std::errc::no_space_on_device) {
    return "free some space, then go on with simulate --resume, or the same --state";
  }
  if (code == std::errc::permission_denied || code == std::errc::read_only_file_system) {
    return "choose a folder that you may write to";
  }
  if (code == std::errc::no_such_file_or_directory) return "check the path";
  if (code == std::errc::address_in_use) {
    return "does another program listen there, or is the port below 1024? choose another port "
           "(--listen, --monitor)";
  }
  if (code == std::errc::not_a_directory || code == std::errc::file_exists) {
    return "a part of this path is a file; choose another path";
  }
  if (code == std::errc::resource_unavailable_try_again) return "wait for it, or stop it first";
  return "";
}

// Where the message begins with another origin than the job's, keys do not help.
std::string job_hint(const std::string& what) {
  if (what.starts_with("[run]")) return "";
  if (what.starts_with("[upstream]")) {
    return "with the same --state and without --upstream it hands out its own bundle";
  }
  return "fedstill simulate --print-job shows every key and its values";
}

std::string data_hint(const std::string& what) {
  const bool is_image = what.starts_with("[png]") || what.starts_with("[predict]");
  return is_image ? "is it a PNG or IDX image file, of the size that the bundle was made for?"
                  : "check data.source, or the file";
}

std::string damage_hint(const std::string& what) {
  if (what.find(": schema version ") != std::string::npos) return "a newer fedstill wrote it";
  if (what.starts_with("[store]") || what.starts_with("[blobs]")) {
    return "of a run of simulate: remove its store/, and --resume fills it again; of a "
           "coordinator: bring the file back from a backup";
  }
  return "damaged, or not the file that was meant";
}

const Failure kOutOfMemory{ExitCode::kIo, "out of memory",
                           "fewer --workers or a smaller batch need less"};

Failure describe_device(const DeviceError& error) {
  return {ExitCode::kDevice, error.what(),
          "./fedstill --cuda installs LibTorch's CUDA parts, nvidia-smi lists the GPUs, and "
          "--device cpu needs neither"};
}

// LibTorch's message without the lines of its stack.
std::string first_line_of(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  return what.substr(0, what.find('\n'));
}

// LibTorch's allocator has no type of error of its own.
Failure describe_torch(const c10::Error& error) {
  const std::string what = first_line_of(error);
  if (what.find("DefaultCPUAllocator") != std::string::npos) return kOutOfMemory;
  return {ExitCode::kInternal, what, kBug};
}

// What goes wrong between sites.
std::optional<Failure> describe_between_sites(const std::exception_ptr& error) {
  constexpr const char* kShow = "fedstill cert show FILE tells what a certificate says";
  try {
    std::rethrow_exception(error);
  } catch (const RefusedError& e) {
    return Failure{ExitCode::kRefused, e.what(), ""};
  } catch (const RoundFailed& e) {
    return Failure{ExitCode::kRoundFailed, e.what(),
                   "start it again with the same --state: it waits anew, with what it has"};
  } catch (const CredentialError& e) {
    return Failure{ExitCode::kRefused, e.what(), kShow};
  } catch (const x509::CertificateError& e) {
    return Failure{ExitCode::kRefused, e.what(), kShow};
  } catch (const DialError& e) {
    const bool refused = e.step() == DialError::Step::kTls;
    return Failure{refused ? ExitCode::kRefused : ExitCode::kUnreachable, e.what(),
                   advice_on(e.step())};
  } catch (const PeerRefused& e) {
    return Failure{ExitCode::kRefused, e.what(), advice_on(e)};
  } catch (const NotAccepted& e) {
    return Failure{ExitCode::kRefused, e.what(), advice_on(DialError::Step::kTls)};
  } catch (const CollectiveError& e) {
    return Failure{ExitCode::kUnreachable, e.what(), ""};
  } catch (const ChannelClosed& e) {
    return Failure{ExitCode::kUnreachable, e.what(), "is the coordinator running?"};
  } catch (...) {
    return std::nullopt;
  }
}

std::optional<std::string> hint_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Advice& advice) {
    return advice.hint();
  } catch (...) {
    return std::nullopt;
  }
}

// With the hint that goes with the type of error.
Failure describe_type(const std::exception_ptr& error) {
  if (auto failure = describe_between_sites(error)) return *failure;
  try {
    std::rethrow_exception(error);
  } catch (const UsageError& e) {
    return {ExitCode::kUsage, e.what(), "see " + e.command + " --help"};
  } catch (const InputError& e) {
    return {ExitCode::kData, e.what(), ""};
  } catch (const JobError& e) {
    return {ExitCode::kJob, e.what(), job_hint(e.what())};
  } catch (const DataError& e) {
    return {ExitCode::kData, e.what(), data_hint(e.what())};
  } catch (const DecodeError& e) {
    return {ExitCode::kDamagedFile, e.what(), damage_hint(e.what())};
  } catch (const GateError& e) {
    return {ExitCode::kGateRefused, e.what(),
            "student.safetensors is kept; simulate --clients-from this run with another "
            "compression.calibration trains no client again"};
  } catch (const DivergedError& e) {
    return {
        ExitCode::kDiverged, e.what(),
        "in a new run try a smaller learning_rate: of clients (round, in later rounds), head or "
        "distillation; of averaging for fedavg"};
  } catch (const Stopped& e) {
    return {ExitCode::kInterrupted, e.what(), ""};
  } catch (const std::system_error& e) {
    return {ExitCode::kIo, e.what(), io_hint(e.code())};
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  } catch (const DeviceError& e) {
    return describe_device(e);
  } catch (const c10::OutOfMemoryError&) {
    return {ExitCode::kIo, "out of memory on the device", kOutOfMemory.hint};
  } catch (const c10::AcceleratorError& e) {
    return {
        ExitCode::kDevice, first_line_of(e),
        "the run goes on where it was, on the GPU or without: simulate --resume RUN --device cpu; "
        "of mpi, the same command with --run RUN --device cpu"};
  } catch (const c10::Error& e) {
    return describe_torch(e);
  } catch (const std::exception& e) {
    return {ExitCode::kInternal, e.what(), kBug};
  } catch (...) {
    return {ExitCode::kInternal, "unknown error", kBug};
  }
}

}  // namespace

Failure describe(const std::exception_ptr& error) {
  Failure failure = describe_type(error);
  if (const auto hint = hint_of(error)) failure.hint = *hint;
  return failure;
}

}  // namespace fedstill

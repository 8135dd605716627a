#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/command_line.h"
#include "launch/progress.h"

namespace fedstill {

// Federated averaging on the data, split and seed of a job: what one would do instead of distilling
// if all clients had one architecture. The pool stays unused. Returns what fedavg.json holds
// (docs/fedavg.md); beside it the run folder gets model.safetensors and accuracy.svg. The model is
// the same for any number of workers and ranks and after any kill and resume. Started by mpirun,
// ranks share each round's clients; rank 0 keeps the run, the others return null. Throws JobError,
// Stopped with the folder ready for --resume, DivergedError, CollectiveError.
nlohmann::json fedavg(const FedAvgCommand& command, Progress& progress, std::atomic<bool>& stop);

// For people.
std::string fedavg_text(const nlohmann::json& result);

}  // namespace fedstill

#include "launch/command_examples.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace fedstill {
namespace {

constexpr const char* kOfAll = R"(Examples:
  fedstill simulate                                   the default job on Fashion-MNIST
  fedstill simulate --set clients.alpha=1 --seed 1    the same, less uneven
  fedstill inspect runs/NAME/student.safetensors
  fedstill predict runs/NAME/bundle.fsb shirt.png

Exit codes: 0 done, 2 usage, 3 job or setting, 4 input missing or wrong, 5 damaged file,
            6 disk or permission, 7 the gate refused the bundle, 8 training diverged, 9 interrupted (resumable),
            10 a certificate or the other side refused, 11 the other side cannot be reached,
            12 too few clients uploaded in time, 13 the GPU cannot be used,
            69 ./fedstill could not set up or build, 70 bug)";

struct Examples {
  std::string_view command, text;
};

constexpr Examples kOfRuns[] = {
    {"simulate", R"(Examples:
  fedstill simulate --print-job > job.toml     a commented job file to edit
  fedstill simulate job.toml --run runs/first
  fedstill simulate --resume runs/first        after Ctrl-C or a kill: ends with the same student
  fedstill simulate --set clients.models=cnn3,resnet8 --set clients.split=shards --seed 2)"},
    {"fedavg", R"(Examples:
  fedstill fedavg                              the default job's data and clients
  fedstill fedavg job.toml --set averaging.model=resnet8 --set averaging.rounds=50
  fedstill fedavg --set clients.count=1000 --set clients.minimum=5 --set averaging.per_round=20
  mpirun -np 4 fedstill fedavg job.toml        on ranks: the same model
  fedstill fedavg --resume runs/first          after Ctrl-C or a kill: ends with the same model)"},
    {"mpi", R"(Examples:
  mpirun -np 8 fedstill mpi job.toml --run /shared/runs/first
  mpirun -np 4 fedstill mpi --seed 1 --set distillation.ranks=1    the student of one process, bit by bit)"},
    {"inspect",
     R"(What is read: models and lessons (.safetensors), bundles, ONNX files, splits, prediction
caches, predictions files, checkpoints, reports, results of fedavg, jobs, events, metrics, audit logs.

Examples:
  fedstill inspect runs/first/bundle.fsb
  fedstill inspect runs/first                  its report, or how far it is)"},
    {"predict", R"(Example:
  fedstill predict runs/first/bundle.fsb shirt.png boot.png)"},
    {"evaluate", R"(Examples:
  fedstill evaluate runs/first/bundle.fsb
  fedstill evaluate student.safetensors --data fashion-mnist
  fedstill evaluate state/bundle.fsb --data idx:images    at a site, on images of its own

A model file is normalised as the run that it lies in was; away from its run, as the training
images of --data are, with a warning.)"},
    {"completion", R"(Example:
  source <(fedstill completion bash)

The script completes the word fedstill: the program has to be on PATH.)"},
    {"version", R"(Examples:
  fedstill version
  fedstill version --json)"},
    {"shards", R"(Example:
  fedstill shards job.toml --out sites)"}};

constexpr Examples kOfSites[] = {{"coordinator", R"(Example:
  fedstill coordinator job.toml --state state --identity hub --listen 0.0.0.0:7443

Stopped or killed, it goes on with the same --state.)"},
                                 {"client", R"(Example:
  fedstill client --coordinator hub.example:7443 --identity hospital-a --data idx:images --model resnet8 --state state)"},
                                 {"preflight", R"(Example:
  fedstill preflight --coordinator hub.example:7443 --identity hospital-a --data idx:images --state state)"},
                                 {"status", R"(Examples:
  fedstill status --coordinator hub.example:7443 --identity admin
  fedstill status --coordinator hub.example:7443 --identity admin --watch)"},
                                 {"rounds", R"(Example:
  fedstill rounds --coordinator hub.example:7443 --identity admin)"},
                                 {"clients", R"(Example:
  fedstill clients --coordinator hub.example:7443 --identity admin)"},
                                 {"exclude", R"(Example:
  fedstill exclude hospital-a --coordinator hub.example:7443 --identity admin)"},
                                 {"readmit", R"(Example:
  fedstill readmit hospital-a --coordinator hub.example:7443 --identity admin)"},
                                 {"reopen", R"(Example:
  fedstill reopen --coordinator hub.example:7443 --identity admin)"},
                                 {"log-level", R"(Example:
  fedstill log-level debug --coordinator hub.example:7443 --identity admin)"},
                                 {"stop", R"(Example:
  fedstill stop --coordinator hub.example:7443 --identity admin)"},
                                 {"audit", R"(Example:
  fedstill audit verify state/audit.jsonl)"},
                                 {"audit verify", R"(Example:
  fedstill audit verify state/audit.jsonl)"}};

constexpr Examples kOfCertificates[] = {
    {"cert", R"(Example, with the authority and one site on one machine:
  fedstill cert init authority
  fedstill cert request hospital-a --name hospital-a
  fedstill cert sign authority hospital-a/site.csr --out hospital-a.crt
  fedstill cert install hospital-a hospital-a.crt authority/ca.crt)"},
    {"cert init", R"(Example:
  fedstill cert init authority --name "Imaging federation")"},
    {"cert request", R"(Examples:
  fedstill cert request hospital-a --name hospital-a
  fedstill cert request hub --name hub --role coordinator)"},
    {"cert sign", R"(Examples:
  fedstill cert sign authority hospital-a/site.csr --out hospital-a.crt
  fedstill cert sign authority hub/site.csr --role coordinator --host hub.example --out hub.crt)"},
    {"cert install", R"(Example:
  fedstill cert install hospital-a hospital-a.crt ca.crt)"},
    {"cert revoke", R"(Examples:
  fedstill cert revoke authority hospital-a
  fedstill cert revoke authority hospital-a.crt)"},
    {"cert show", R"(Examples:
  fedstill cert show hospital-a.crt
  fedstill cert show hospital-a                the folder of an identity)"}};

std::string examples_of(std::string_view command) {
  for (const auto& list : {std::span<const Examples>(kOfRuns), std::span<const Examples>(kOfSites),
                           std::span<const Examples>(kOfCertificates)}) {
    const auto found = std::ranges::find(list, command, &Examples::command);
    if (found != list.end()) return std::string(found->text);
  }
  return "";
}

void add_below(CLI::App& app, const std::string& words) {
  for (CLI::App* const sub : app.get_subcommands([](CLI::App*) { return true; })) {
    const std::string command = words + sub->get_name();
    if (sub->get_footer().empty()) sub->footer(examples_of(command));
    add_below(*sub, command + " ");
  }
}

}  // namespace

void add_examples(CLI::App& root) {
  add_below(root, "");
  root.footer(kOfAll);
}

}  // namespace fedstill

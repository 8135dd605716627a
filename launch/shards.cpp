#include "launch/shards.h"

#include <nlohmann/json.hpp>

#include "data/idx_writer.h"
#include "launch/counted.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/outside_text.h"
#include "launch/stages/clients.h"
#include "launch/stages/material.h"

namespace fedstill {

nlohmann::json write_shards(const ShardsCommand& command) {
  const Job job = assemble_job(command.preset, command.job, command.assignments);
  check_job(job);
  const Material material = load_material(job);
  nlohmann::json sites = nlohmann::json::array();
  for (std::size_t i = 0; i < material.shards.size(); ++i) {
    const std::string name = client_name(i, material.shards.size());
    write_idx_shard(command.out / name, material.shards[i]);
    sites.push_back({{"client", name},
                     {"data", "idx:" + (command.out / name).string()},
                     {"model", job.clients.models[i % job.clients.models.size()]},
                     {"samples", material.shards[i].images.count()}});
  }
  return {{"split", material.split.hash()}, {"sites", std::move(sites)}};
}

std::string shards_text(const nlohmann::json& written) {
  std::string out;
  for (const auto& site : written.at("sites")) {
    out += site.at("client").get<std::string>() + "  " +
           counted(site.at("samples").get<std::int64_t>(), "image") + "  --data " +
           printable(site.at("data")) + " --model " + printable(site.at("model")) + "\n";
  }
  return out;
}

}  // namespace fedstill

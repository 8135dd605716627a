#include "launch/sites/upstream.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>

#include "aggregation/joint_confidence.h"
#include "client/confidence_head.h"
#include "compression/edge/bundle.h"
#include "coordinator/coordinator.h"
#include "data/data_error.h"
#include "data/idx_writer.h"
#include "launch/certificates/site.h"
#include "launch/job_file.h"
#include "launch/sites/identity_folder.h"
#include "launch/stages/client_plan.h"
#include "model/atomic_file.h"
#include "model/model_file.h"
#include "training/threads.h"

namespace fedstill {
namespace {

std::int64_t all_samples(const std::vector<ClientRecord>& clients) {
  std::int64_t sum = 0;
  for (const ClientRecord& client : clients) sum += client.samples;
  return std::min(sum, CoordinatorOptions{}.max_sample_count);  // what one may say above
}

std::vector<std::byte> read_checked_bundle(const std::filesystem::path& file) {
  std::vector<std::byte> bytes = read_file(file, kMaxSiteBlobBytes);
  decode_bundle(bytes);
  return bytes;
}

// The student with a head that answers for all clients of the round.
Graph make_region_update(const Run& run, const Material& material, const Graph& student,
                         const FitOptions& fit) {
  const RuleOptions rule{.ratio_clip = run.job.aggregation.ratio_clip,
                         .share_cap = run.job.aggregation.share_cap};
  HeadOptions head = joint_head_options(run.job);
  head.device = run.device;
  const PredictionCache cache =
      PredictionCache::open(run.folder.file("cache") / "pool.predictions");
  return distill_confidence_head(student, material.pool.images,
                                 joint_confidence(cache, measure_clients(cache), rule),
                                 material.normalisation, head, fit)
      .graph;
}

// A later round would ask for models that went on from its student, and this coordinator's clients
// have made theirs. Its clients measured their densities against this pool.
void check_plan(const RoundPlan& plan, const BlobInfo& pool, const std::string& coordinator) {
  if (plan.rounds > 1) {
    throw JobError("[upstream] the job of " + coordinator + " has " + std::to_string(plan.rounds) +
                   " rounds; expected round.count = 1 above, as the rounds of this coordinator are "
                   "over when it goes up");
  }
  if (plan.pool_hash == pool.sha256) return;
  throw DataError("[upstream] the pool of " + coordinator + " is " + plan.pool_hash +
                  ", expected this coordinator's, " + pool.sha256);
}

}  // namespace

std::vector<std::byte> go_upstream(const Membership& membership, const Run& run,
                                   const Material& material, const RoundOutcome& outcome) {
  const auto kept = membership.state / "bundle.fsb";
  if (std::filesystem::exists(kept)) return read_checked_bundle(kept);  // the other may be gone
  const std::string name = check_role(membership.identity, "client").name;
  std::filesystem::create_directories(membership.state);
  ClientStore store(membership.state, kSiteLimits);
  const std::vector<std::uint8_t> images = encode_idx_images(material.pool.images);
  const BlobInfo pool = store.blobs().add(std::as_bytes(std::span(images)));
  ClientSession session({name, outcome.student.record.architecture, all_samples(outcome.clients)},
                        store);
  SiteWork work;
  work.make_update = [&](const RoundPlan& plan, WorkProgress& progress,
                         const std::atomic<bool>& stop) {
    check_plan(plan, pool, membership.coordinator);
    set_thread_count(static_cast<int>(run.job.run.threads));
    FitOptions fit;
    fit.checkpoint = membership.state / "head.checkpoint";
    fit.stop = &stop;
    fit.on_event = [&](const FitEvent& e) {
      progress.report(
          {"head", static_cast<std::uint64_t>(e.step), static_cast<std::uint64_t>(e.steps)});
    };
    auto file = membership.state / "update";
    write_model(file, make_region_update(run, material, outcome.student.graph, fit));
    return file;
  };
  // Before the bundle is acknowledged: the other may be gone after.
  work.on_state = [&](ClientSession::State state) {
    if (state != ClientSession::State::kDone) return;
    const BlobInfo& bundle = store.bundles().back().bundle;
    write_file_atomically(kept, read_checked_bundle(store.blobs().path(bundle.sha256)));
  };
  const auto tell = [&](const std::string& what, bool) { run.progress.message(what); };
  run.progress.begin_stage("taking part at " + membership.coordinator, {});
  const Delivery last = take_part_as(membership, session, std::move(work), tell, run.stop);
  std::vector<std::byte> bundle = read_checked_bundle(kept);
  run.events.event("upstream", {{"client", name}, {"bundle", last.bundle.sha256}});
  run.progress.end_stage("the bundle came down");
  return bundle;
}

}  // namespace fedstill

#include "client/client.h"

#include <string>
#include <utility>

#include "training/fit.h"

namespace fedstill {
namespace {

// Says whose fit it is that diverged.
template <typename Fit>
auto as_part(const char* part, const Fit& fit) {
  try {
    return fit();
  } catch (const DivergedError& error) {
    throw DivergedError(std::string("[client] ") + part + ": " + error.what());
  }
}

}  // namespace

ClientResult run_client(const ClientTask& task, const FitOptions& run_body,
                        const FitOptions& run_head) {
  LocalResult local = as_part("its model", [&] {
    return task.lesson
               ? train_further(*task.lesson, task.shard, task.pool, task.normalisation, task.local,
                               task.second, run_body)
               : train_locally(task.shard, task.classes, task.normalisation, task.local, run_body);
  });
  HeadResult head = as_part("its confidence head", [&] {
    return train_confidence_head(local.model, task.shard.images, task.pool, task.normalisation,
                                 task.head, run_head);
  });
  return {{std::move(head.graph), task.shard.images.count()},
          std::move(local.report),
          std::move(head.report)};
}

}  // namespace fedstill

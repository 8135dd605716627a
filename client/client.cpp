#include "client/client.h"

#include <utility>

#include "training/whose_fit.h"

namespace fedstill {

ClientResult run_client(const ClientTask& task, const FitOptions& run_body,
                        const FitOptions& run_head) {
  LocalResult local = whose_fit("[client] its model", [&] {
    return task.lesson
               ? train_further(*task.lesson, task.shard, task.pool, task.normalisation, task.local,
                               task.second, run_body)
               : train_locally(task.shard, task.classes, task.normalisation, task.local, run_body);
  });
  HeadResult head = whose_fit("[client] its confidence head", [&] {
    return train_confidence_head(local.model, task.shard.images, task.pool, task.normalisation,
                                 task.head, run_head);
  });
  return {{std::move(head.graph), task.shard.images.count()},
          std::move(local.report),
          std::move(head.report)};
}

}  // namespace fedstill

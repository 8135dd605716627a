#pragma once

#include "client/client_session.h"
#include "client/confidence_head.h"
#include "client/local_training.h"

namespace fedstill {

struct ClientTask {
  Shard shard;
  ImageView pool;  // the public unlabeled images
  std::int64_t classes = 0;
  Normalisation normalisation;
  LocalOptions local;
  HeadOptions head;
};

// The work of one round: train the body, then the head. Throws what train_locally() and
// train_confidence_head() throw.
struct ClientResult {
  ClientUpdate update;
  FitReport training, head;
};
ClientResult run_client(const ClientTask& task, const FitOptions& run_body = {},
                        const FitOptions& run_head = {});

}  // namespace fedstill

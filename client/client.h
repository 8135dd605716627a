#pragma once

#include <memory>

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
  std::shared_ptr<const Lesson> lesson = {};  // of the last round; nothing in the first
  PoolLoss second{};                          // in the rounds after it
};

// The work of one round: train the body, then the head. The head is trained in every round, with
// the same seed: what a round makes depends on its plan, the shard and the seed only, whether the
// client was there before or not, and a head on pixels is the same in all of them. Throws what
// train_locally() or train_further() and train_confidence_head() throw.
struct ClientResult {
  ClientUpdate update;
  FitReport training, head;
  // Why steps were not recorded where they should have been, or nothing.
  const std::string& refusal() const {
    return training.refusal.empty() ? head.refusal : training.refusal;
  }
};
ClientResult run_client(const ClientTask& task, const FitOptions& run_body = {},
                        const FitOptions& run_head = {});

}  // namespace fedstill

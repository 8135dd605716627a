#include "launch/job_difference.h"

#include <gtest/gtest.h>

#include "launch/job_file.h"

namespace fedstill {
namespace {

TEST(JobDifference, NamesKeysWithBothValues) {
  const Job holds = make_preset("quick");
  EXPECT_EQ(difference_text(holds, holds), "");
  Job asked = holds;
  asked.clients.count += 1;
  asked.data.source = "mnist:x";
  EXPECT_EQ(difference_text(holds, asked),
            "data.source = \"fashion-mnist\", asked for \"mnist:x\"; clients.count = " +
                std::to_string(holds.clients.count) + ", asked for " +
                std::to_string(asked.clients.count));
}

TEST(JobDifference, OfManyTheFirstFew) {
  const Job holds = make_preset("quick");
  Job asked = holds;
  ++asked.data.pool;
  ++asked.clients.count;
  ++asked.clients.epochs;
  ++asked.clients.batch;
  ++asked.head.steps;
  ++asked.round.count;
  EXPECT_TRUE(difference_text(holds, asked).ends_with("; and 2 more"));
}

TEST(JobDifference, OfClientsOnlyWhatConcernsThem) {
  const Job holds = make_preset("quick");
  Job asked = holds;
  asked.aggregation.rule = "entropy";
  asked.round.count = 2;
  asked.ranks.batch_norm = "shared";
  asked.run.workers += 1;
  asked.run.threads += 1;
  EXPECT_EQ(difference_text(holds, asked, concerns_clients), "");
  asked.clients.threads = 2;
  EXPECT_EQ(difference_text(holds, asked, concerns_clients), "clients.threads = 1, asked for 2");
  asked.clients.threads = 1;
  asked.run.seed += 1;
  EXPECT_TRUE(difference_text(holds, asked, concerns_clients).starts_with("run.seed = "));
}

}  // namespace
}  // namespace fedstill

// The contract suite on ranks that are processes: run it under mpiexec. Groups of every size up to
// that of the job are made of the first ranks; the others sit it out.
#include "collective/mpi/mpi.h"
#include "tests/collective/contract.h"

namespace fedstill {
namespace {

mpi::Session& session() {
  static mpi::Session instance;
  return instance;
}

void run_processes(int size, int groups, const Body& body) {
  mpi::Options options;
  options.deadline = std::chrono::seconds(60);
  options.group = session().rank() < size ? 0 : 1;
  std::vector<std::unique_ptr<Collective>> owned;
  for (int i = 0; i < groups; ++i) owned.push_back(mpi::make(session(), options));
  if (options.group == 1) return;
  std::vector<Collective*> all;
  for (const auto& group : owned) all.push_back(group.get());
  ASSERT_EQ(all[0]->size(), size);
  ASSERT_EQ(all[0]->rank(), session().rank());
  body(all);
}

INSTANTIATE_TEST_SUITE_P(Mpi, CollectiveContract,
                         testing::ValuesIn(groups_of(run_processes, std::min(session().size(), 5))),
                         group_name);

TEST(Mpi, AProcessHasOneSessionOnly) { EXPECT_THROW(mpi::Session(), CollectiveError); }

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  if (fedstill::session().rank() != 0) testing::GTEST_FLAG(brief) = true;  // but for failures
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

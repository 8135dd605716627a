#include <gtest/gtest.h>

#include <cstdlib>

// mpirun and mpiexec want to be told that root may start them, whichever test runs first or alone.
namespace fedstill::tests {
namespace {

class MpirunAsRoot : public ::testing::Environment {
 public:
  void SetUp() override {
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
};

[[maybe_unused]] const auto* const kMpirunAsRoot =
    ::testing::AddGlobalTestEnvironment(new MpirunAsRoot);

}  // namespace
}  // namespace fedstill::tests

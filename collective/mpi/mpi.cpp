#include "collective/mpi/mpi.h"

#include "collective/mpi/engine.h"

namespace fedstill::mpi {
namespace {

class MpiWork : public Work {
 public:
  MpiWork(std::shared_ptr<Engine> engine, std::uint64_t number)
      : engine_(std::move(engine)), number_(number) {}
  ~MpiWork() override { engine_->give_up(number_); }
  void wait() override { engine_->wait(number_); }
  bool is_done() override { return engine_->poll(number_); }

 private:
  std::shared_ptr<Engine> engine_;
  std::uint64_t number_;
};

class MpiCollective : public Collective {
 public:
  explicit MpiCollective(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
  int rank() const override { return engine_->rank(); }
  int size() const override { return engine_->size(); }

 private:
  Pending start(const Operation& operation) override {
    return Pending(std::make_unique<MpiWork>(engine_, engine_->begin(operation)));
  }

  std::shared_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Collective> make(Session& session, const Options& options) {
  return std::make_unique<MpiCollective>(
      std::make_shared<Engine>(session, *session.engines_, options));
}

}  // namespace fedstill::mpi

#pragma once

#include <gmock/gmock.h>

#include <map>

#include "launch/certificates/authority.h"
#include "launch/certificates/site.h"
#include "tests/pipeline/small_job.h"

namespace fedstill::tests {

inline const std::vector<std::string> kModels{"mlp", "lenet5", "cnn3"};

inline std::string client_of(std::size_t i) { return "client-0" + std::to_string(i); }

// A coordinator and three clients as processes of their own, over TLS on this machine.
class Sites : public Pipeline {
 public:
  static void SetUpTestSuite() {
    Pipeline::SetUpTestSuite();
    certificates_ = std::make_unique<TempFolder>();
    create_authority(authority(), "Test", 10);
    admit("hub", "coordinator", {"coordinator", {"127.0.0.1"}, 5});
    admit("ops", "admin", {"admin", {}, 5});
    for (std::size_t i = 0; i < kModels.size(); ++i) admit(client_of(i), "client", {});
    std::vector<std::string> words{"shards", "--out", (*certificates_ / "sites").string()};
    append_settings(words);
    ASSERT_EQ(run_program(words).code, 0);
  }
  static void TearDownTestSuite() {
    certificates_.reset();
    Pipeline::TearDownTestSuite();
  }

 protected:
  static std::filesystem::path authority() { return *certificates_ / "authority"; }
  static std::filesystem::path identity(const std::string& name) { return *certificates_ / name; }
  static void admit(const std::string& name, const std::string& role, const SignOptions& options) {
    request_certificate(identity(name), name, role);
    const auto certificate = *certificates_ / (name + ".crt");
    sign_request(authority(), identity(name) / "site.csr", certificate, options);
    install_certificate(identity(name), certificate, authority() / "ca.crt");
  }
  // The settings of the job, without the command they belong to.
  static void append_settings(std::vector<std::string>& words) {
    const auto all = small_job("unused", settings_);
    words.insert(words.end(), all.begin() + 3, all.end());
  }

  std::filesystem::path state() const { return work_ / "state"; }
  std::filesystem::path state_of(std::size_t client) const { return work_ / client_of(client); }
  std::filesystem::path events() const { return state() / "events.jsonl"; }
  std::string revoked() const { return (work_ / "revoked.txt").string(); }

  // The first start takes any port; later ones take the same again.
  void start_coordinator(const std::vector<std::string>& more = {}) {
    const std::string listen = "127.0.0.1:" + (port_.empty() ? "0" : port_);
    std::vector<std::string> words{
        "coordinator", "--state", state().string(), "--identity", identity("hub").string(),
        "--listen",    listen};
    if (port_.empty()) {
      append_settings(words);
      // A coordinator that is killed before it reads a client's last word waits for that client.
      words.insert(words.end(), {"--set", "round.linger_minutes=1"});
    }
    words.insert(words.end(), more.begin(), more.end());
    coordinator_ = std::make_unique<Process>(words);
    if (!port_.empty()) return;
    ASSERT_TRUE(coordinator_->wait_for_text(events(), "\"port\":")) << coordinator_->err();
    const std::string log = text_of(events());
    const std::string found = log.substr(log.find("\"port\":") + 7);
    port_ = found.substr(0, found.find_first_not_of("0123456789"));
  }
  std::vector<std::string> whom(const std::string& command, const std::string& name) const {
    const std::string& port = command == "client" && !line_.empty() ? line_ : port_;
    return {command, "--coordinator", "127.0.0.1:" + port, "--identity", identity(name).string()};
  }
  Finished ask(const std::string& what, const std::string& argument = "") const {
    std::vector<std::string> words = whom(what, "ops");
    words.push_back("--json");
    if (!argument.empty()) words.push_back(argument);
    return run_program(words);
  }
  void start_client(std::size_t i, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = whom("client", client_of(i));
    for (const std::string& word :
         {std::string("--data"), "idx:" + (*certificates_ / "sites" / client_of(i)).string(),
          std::string("--model"), own_model_.empty() ? kModels[i] : own_model_,
          std::string("--state"), state_of(i).string(), std::string("--threads"),
          std::string("1")}) {
      words.push_back(word);
    }
    words.insert(words.end(), more.begin(), more.end());
    clients_[i] = std::make_unique<Process>(words);
  }
  void start_clients() {
    for (std::size_t i = 0; i < kModels.size(); ++i) start_client(i);
  }
  // Everybody ends well, with the student of one process.
  void expect_the_same_student() {
    for (auto& [i, client] : clients_) EXPECT_EQ(client->wait(), 0) << i << client->err();
    EXPECT_EQ(coordinator_->wait(), 0) << coordinator_->err();
    EXPECT_EQ(student_of(state()), student_of(reference()));
    for (std::size_t i = 0; i < kModels.size(); ++i) {
      EXPECT_EQ(text_of(work_ / client_of(i) / "bundle.fsb"), text_of(state() / "bundle.fsb"));
    }
  }
  void kill_coordinator() {
    coordinator_->signal(SIGKILL);
    EXPECT_EQ(coordinator_->wait(), -SIGKILL);
  }

  static inline std::unique_ptr<TempFolder> certificates_;
  TempFolder work_;
  std::string own_model_;    // a file, instead of the architectures
  std::string port_, line_;  // the coordinator's; where clients dial instead, if anywhere
  std::unique_ptr<Process> coordinator_;
  std::map<std::size_t, std::unique_ptr<Process>> clients_;
};

}  // namespace fedstill::tests

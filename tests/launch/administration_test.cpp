#include "launch/sites/administration.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "coordinator/database.h"
#include "model/sha256.h"
#include "tests/launch/process.h"
#include "tests/support/file_size_limit.h"

namespace fedstill::tests {
namespace {

class AdministrationTest : public ::testing::Test {
 protected:
  static CoordinatorOptions some_options() {
    CoordinatorOptions options;
    options.round.deadline = std::chrono::seconds{1};
    options.round.stalled_after = std::chrono::seconds{1};
    options.plan = {std::string(64, 'a'), 1, std::string(64, 'b'), 3};
    options.plan.pool_bytes = 1'000;
    options.image = {1, 4, 4};
    options.classes = 3;
    return options;
  }
  nlohmann::json ask(const std::string& what, const std::string& argument = "") {
    Administration administration{coordinator_, store_, reception_, log_, "job", 10};
    return administration.answer({what, argument}, "ops", now_);
  }

  TempFolder temp_;
  Instant now_{0};
  Store store_{temp_ / "store"};
  Coordinator coordinator_{some_options(), store_, now_};
  Reception reception_{coordinator_};
  ServiceLog log_{{.file = temp_ / "log"}};
};

TEST_F(AdministrationTest, AFailedRoundIsReopenedWhileTheCoordinatorRuns) {
  EXPECT_THROW(ask("reopen"), std::invalid_argument);
  coordinator_.tick(now_ = std::chrono::seconds{1});
  EXPECT_EQ(ask("status").at("state"), "failed");
  EXPECT_EQ(answer_text("reopen", ask("reopen")), "reopened round 1\n");
  EXPECT_EQ(ask("status").at("state"), "collecting");
  EXPECT_EQ(ask("status").at("deadline_seconds"), 1.0);
}

TEST_F(AdministrationTest, TheLogLevelChangesWhileTheCoordinatorRuns) {
  log_.write(LogLevel::kDebug, "hidden");
  EXPECT_EQ(answer_text("log-level", ask("log-level", "debug")), "log level debug\n");
  log_.write(LogLevel::kDebug, "seen");
  EXPECT_NE(text_of(temp_ / "log").find("debug seen"), std::string::npos);
  EXPECT_EQ(text_of(temp_ / "log").find("hidden"), std::string::npos);
  EXPECT_THROW(ask("log-level", "loud"), std::invalid_argument);
}

TEST_F(AdministrationTest, StatusShowsWhoIsHowFarAndHowFast) {
  using std::chrono::milliseconds;
  const std::vector<std::byte> update(4'000, std::byte{1});
  const std::string sha256 = sha256_hex(update);
  const auto tell = [&](const char* who, const Message& message, std::vector<std::byte> body = {}) {
    settled(coordinator_.receive(who, {message, std::move(body)}, now_), now_);
  };
  tell("a", Join{"a", "lenet5", 100});
  EXPECT_NE(answer_text("status", ask("status")).find("1 client joined"), std::string::npos);
  tell("b", Join{"b", "cnn3", 200});
  tell("a", Heartbeat{1, "body", 10, 100});
  tell("b", BlobOffer{sha256, update.size(), "update"});
  tell("b", BlobChunk{sha256, 0}, {update.begin(), update.begin() + 1'000});
  now_ += milliseconds{500};
  tell("a", Heartbeat{1, "body", 60, 100});
  tell("b", BlobChunk{sha256, 1'000}, {update.begin() + 1'000, update.begin() + 2'000});

  const auto status = ask("status");
  EXPECT_EQ(status.at("members").at(0).at("per_second"), 100.0);
  EXPECT_EQ(status.at("members").at(1).at("per_second"), 2000.0);
  const std::string text = answer_text("status", status);
  for (const char* part : {"0 of 10 updates", "2 clients joined", "to the deadline", "training",
                           "body 60 %, 100/s", "uploading", "2 kB, 2 kB/s", "lenet5", "200"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  auto done = status;
  done["members"][1]["state"] = "uploaded";
  EXPECT_EQ(answer_text("status", done).find("away"), std::string::npos);
  done["members"][1]["connected"] = false;  // or revoked meanwhile
  EXPECT_NE(answer_text("status", done).find("uploaded, away"), std::string::npos);
  tell("a", Heartbeat{1, "head", 0, 50});  // another phase, another speed
  EXPECT_EQ(ask("status").at("members").at(0).at("per_second"), 0.0);
  tell("c", Join{"c", "mlp", 50});
  tell("c", BlobProgress{std::string(64, 'b'), 250});  // of the pool
  EXPECT_NE(answer_text("status", ask("status")).find("fetching 25 %"), std::string::npos);
  coordinator_.tick(now_ = milliseconds{1'200});
  EXPECT_NE(answer_text("status", ask("status"))
                .find("past the deadline: closes with 2 updates, fails when nobody gets on for 1"),
            std::string::npos);
}

// So many that they are put into the database at once: each join is flushed by itself.
TEST_F(AdministrationTest, WhatDoesNotFitIsCounted) {
  constexpr int kAll = 6'000;
  const auto folder = temp_ / "many";
  { const Store empty(folder); }
  {
    Database database(folder / "coordinator.sqlite");
    database.transact([&] {
      for (int i = 0; i < kAll; ++i) {
        database.run("INSERT INTO joins VALUES (1, ?, ?, 100, 1)", "client-" + std::to_string(i),
                     std::string(64, 'm'));
      }
    });
  }
  Store store(folder);
  Coordinator coordinator(some_options(), store, now_);
  Reception reception(coordinator);
  Administration administration{coordinator, store, reception, log_, "job", 10};
  for (const auto& [what, rows] :
       {std::pair("status", "members"), std::pair("clients", "clients")}) {
    const auto answer = administration.answer({what, ""}, "ops", now_);
    EXPECT_LT(answer.dump().size(), kMaxStatusBytes) << what;
    EXPECT_GT(answer.at("left_out"), 0) << what;
    EXPECT_EQ(answer.at(rows).size() + answer.at("left_out").get<std::size_t>(), kAll) << what;
  }
}

TEST_F(AdministrationTest, ADiskThatTakesNothingIsShown) {
  EXPECT_EQ(ask("status").at("trouble"), "");
  EXPECT_EQ(answer_text("status", ask("status")).find("recorded"), std::string::npos);
  const FileSizeLimit limit(40);
  reception_.tick(now_ += std::chrono::seconds{15});
  EXPECT_NE(answer_text("status", ask("status")).find("nothing can be recorded"),
            std::string::npos);
}

TEST_F(AdministrationTest, WhatNobodyKnowsIsRefused) {
  EXPECT_THROW(ask("dance"), std::invalid_argument);
  EXPECT_THROW(ask("exclude", "nobody"), std::invalid_argument);
  EXPECT_THROW(ask("readmit", "nobody"), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill::tests

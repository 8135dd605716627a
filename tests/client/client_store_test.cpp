#include "client/client_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <system_error>

#include "model/decode_error.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

BlobInfo some_blob(char digit, std::uint64_t bytes = 10) { return {std::string(64, digit), bytes}; }

ClientStore::State some_state() {
  return {MadeUpdate{std::string(64, 'a'), 4, some_blob('b', 123)},
          {{3, some_blob('c')}, {4, some_blob('d', 1)}}};
}

TEST(ClientStore, RemembersOverARestart) {
  const TemporaryFolder folder;
  for (const bool reopened : {false, true}) {
    ClientStore store(folder.path() / "state");
    if (!reopened) {
      EXPECT_FALSE(store.update());
      store.record_update(*some_state().update);
      for (const Delivery& bundle : some_state().bundles) store.record_bundle(bundle);
      store.record_bundle(some_state().bundles.back());
    }
    EXPECT_EQ(store.update(), some_state().update);
    EXPECT_EQ(store.bundles(), some_state().bundles);
  }
}

TEST(ClientStore, KeepsTheLastTwoBundlesAndWhatIsNamed) {
  const TemporaryFolder folder;
  ClientStore store(folder.path());
  std::vector<BlobInfo> blobs;
  for (const char digit : {'1', '2', '3', '4', '5'}) {
    blobs.push_back(store.blobs().add(std::as_bytes(std::span(&digit, 1))));
  }
  for (std::uint32_t i = 0; i < 3; ++i) store.record_bundle({i, blobs[i]});
  store.record_update({std::string(64, 'a'), 1, blobs[3]});
  EXPECT_EQ(store.bundles(), (std::vector<Delivery>{{1, blobs[1]}, {2, blobs[2]}}));
  store.keep_only({blobs[4].sha256});
  EXPECT_EQ(store.blobs().list().size(), 4U);
  EXPECT_FALSE(store.blobs().has(blobs[0].sha256));
}

TEST(ClientStore, ASecondClientOnTheFolderIsRefused) {
  const TemporaryFolder folder;
  const ClientStore store(folder.path());
  const auto problem = tests::error_of<std::system_error>([&] { ClientStore{folder.path()}; });
  EXPECT_NE(problem.find("another client is using this folder"), std::string::npos) << problem;
}

TEST(ClientStore, ALockThatCannotBeOpenedIsNotCalledTaken) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "lock");
  const auto problem = tests::error_of<std::system_error>([&] { ClientStore{folder.path()}; });
  EXPECT_NE(problem.find("lock: cannot be opened"), std::string::npos) << problem;
}

TEST(ClientStore, GoldenState) {
  const std::string text = "fedstill-client-1\nupdate " + std::string(64, 'a') + " 4 " +
                           std::string(64, 'b') + " 123\nbundle 3 " + std::string(64, 'c') +
                           " 10\nbundle 4 " + std::string(64, 'd') + " 1\n";
  EXPECT_EQ(encode_client_state(some_state()), text);
  EXPECT_EQ(decode_client_state(text), some_state());
  EXPECT_EQ(decode_client_state("fedstill-client-1\n"), ClientStore::State{});
}

TEST(ClientStore, EveryTruncationAndWrongByteIsRefusedOrCanonical) {
  const std::string text = encode_client_state(some_state());
  const auto expect_strict = [](const std::string& damaged) {
    try {
      EXPECT_EQ(encode_client_state(decode_client_state(damaged)), damaged);
    } catch (const DecodeError&) {
    }
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    expect_strict(text.substr(0, i));
    for (const char other : {' ', '\n', '0', 'z', '\0', '-'}) {
      std::string damaged = text;
      damaged[i] = other;
      expect_strict(damaged);
    }
  }
  EXPECT_THROW(decode_client_state(""), DecodeError);
  EXPECT_THROW(decode_client_state(text + text), DecodeError);
  EXPECT_THROW(decode_client_state("fedstill-client-2\n"), DecodeError);
}

TEST(ClientStore, ADamagedStateIsNamed) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "state") << "nonsense";
  try {
    const ClientStore store(folder.path());
    ADD_FAILURE();
  } catch (const DecodeError& error) {
    EXPECT_NE(std::string(error.what()).find("state"), std::string::npos);
  }
}

}  // namespace
}  // namespace fedstill

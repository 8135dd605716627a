#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>

#include "data/split.h"
#include "model/decode_error.h"
#include "tests/data/bytes.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using tests::message_of;
using tests::TemporaryFolder;

const Split kSplit{{{3, 1}, {0}}, {5, 4}, {2}};

std::string text_of(const Split& split) {
  const TemporaryFolder folder;
  write_split(folder.path() / "split.json", split);
  std::ifstream file(folder.path() / "split.json");
  return {std::istreambuf_iterator<char>(file), {}};
}

// A file with the right hash over the given lists, however wrong they are.
std::string text_with(const std::string& clients, const std::string& pool, const Split& hashed) {
  return R"({"format":"fedstill.split","version":1,"sha256":")" + hashed.hash() +
         R"(","clients":)" + clients + R"(,"pool":)" + pool + R"(,"validation":[]})";
}

std::string refusal(const std::string& text) {
  return message_of<DecodeError>([&] { decode_split(text); });
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

// The encoding that names a split is part of every report: it must never change.
TEST(SplitHash, IsTheSameForever) {
  EXPECT_EQ(kSplit.hash(), "c6b24e792d237854322d92750fe53b2eac2ca29b39b636187c5becdb162b7dc5");
  std::vector<std::int32_t> labels;
  for (std::int32_t i = 0; i < 1000; ++i) labels.push_back(i % 10);
  SplitOptions options;
  options.clients = 4;
  options.private_count = 600;
  options.pool_count = 300;
  options.validation_count = 100;
  options.seed = 42;
  EXPECT_EQ(make_split(labels, 10, options).hash(),
            "c1540c13476250eefbe397004f67982083337ab733832e123dde29c3eb906d97");
}

TEST(SplitHash, TellsWhereAnImageIsAndInWhichOrder) {
  const Split variants[] = {
      {{{3, 1}, {0}}, {5, 4}, {2}},   {{{1, 3}, {0}}, {5, 4}, {2}}, {{{3}, {1, 0}}, {5, 4}, {2}},
      {{{3, 1, 0}}, {5, 4}, {2}},     {{{3, 1}, {0}}, {5}, {4, 2}}, {{{3, 1}}, {0, 5, 4}, {2}},
      {{{3, 1}, {0}}, {5, 4, 2}, {}},
  };
  for (std::size_t i = 1; i < std::size(variants); ++i) {
    EXPECT_NE(variants[i].hash(), variants[0].hash()) << i;
  }
}

TEST(SplitFile, ReturnsWhatWasWritten) {
  const TemporaryFolder folder;
  for (const Split& split : {kSplit, Split{{{0}}, {}, {}}}) {
    write_split(folder.path() / "split.json", split);
    EXPECT_EQ(read_split(folder.path() / "split.json"), split);
  }
}

TEST(SplitFile, MissingFilesAreSystemErrors) {
  EXPECT_THROW(read_split("/nonexistent/split.json"), std::system_error);
  EXPECT_THROW(write_split("/nonexistent/split.json", kSplit), std::system_error);
}

TEST(SplitFile, EveryTruncationIsRefused) {
  const std::string text = text_of(kSplit);
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {  // the last byte is a line break
    EXPECT_THROW(decode_split(text.substr(0, size)), DecodeError) << text.substr(0, size);
  }
}

// A change of spacing is harmless; any other is seen by the hash or before.
TEST(SplitFile, EveryFlippedByteIsRefusedOrHarmless) {
  const std::string text = text_of(kSplit);
  int refused = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = text;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      try {
        EXPECT_EQ(decode_split(bad), kSplit) << bad;
      } catch (const DecodeError&) {
        ++refused;
      }
    }
  }
  EXPECT_GE(refused, static_cast<int>(text.size()) * 8 - 16);
}

TEST(SplitFile, StrangersAreNamed) {
  const std::string text = text_of(kSplit);
  EXPECT_THAT(refusal(replaced(text, "pool", "pond")), HasSubstr("unknown key \"pond\""));
  EXPECT_THAT(refusal(replaced(text, "validation", "pool")), HasSubstr("key \"pool\" twice"));
  EXPECT_THAT(refusal(replaced(text, ",\"pool\":[5,4]", "")), HasSubstr("no key \"pool\""));
  EXPECT_THAT(refusal(replaced(text, "fedstill.split", "fedstill.spilt")),
              HasSubstr("\"fedstill.spilt\""));
  EXPECT_THAT(refusal(replaced(text, "\"version\":1", "\"version\":2")), HasSubstr("number 2"));
  EXPECT_THAT(refusal(replaced(text, "[5,4]", "[5,3]")), HasSubstr("found hash "));
  EXPECT_THAT(refusal(text + "{}"), HasSubstr("damaged JSON"));
}

TEST(SplitFile, WrongTypesAreRefused) {
  const std::string text = text_of(kSplit);
  for (const char* pool :
       {"7", "\"5\"", "null", "{}", "[[5]]", "[5.0]", "[-5]", "[1e3]", "[true]", "[null]",
        "[\"5\"]", "[{}]", "[99999999999999999999]", "[1099511627776]", "[5"}) {
    EXPECT_THROW(decode_split(replaced(text, "[5,4]", pool)), DecodeError) << pool;
  }
  for (const char* clients : {"[]", "[[]]", "[3]", "[[[3]]]", "[[3],4]", "{}"}) {
    EXPECT_THROW(decode_split(text_with(clients, "[]", {})), DecodeError) << clients;
  }
  for (const char* whole : {"", "[]", "7", "null", "{}", "[[1]]", "\"x\"", "{\"pool\":{}}"}) {
    EXPECT_THROW(decode_split(whole), DecodeError) << whole;
  }
}

TEST(SplitFile, DeepNestingIsRefusedAtOnce) {
  EXPECT_THROW(decode_split("{\"pool\":" + std::string(1'000'000, '[')), DecodeError);
}

TEST(SplitFile, ImagesOwnedTwiceAreRefused) {
  EXPECT_THAT(refusal(text_with("[[1,2]]", "[2]", {{{1, 2}}, {2}, {}})),
              HasSubstr("found image 2 in client 0 and in pool"));
  EXPECT_THAT(refusal(text_with("[[1,1]]", "[]", {{{1, 1}}, {}, {}})),
              HasSubstr("found image 1 in client 0 and in client 0"));
}

TEST(CheckDisjoint, NamesTheFirstOffender) {
  EXPECT_NO_THROW(check_disjoint(kSplit, 6));
  const auto complaint = [](const Split& split, std::int64_t images) {
    return message_of<std::logic_error>([&] { check_disjoint(split, images); });
  };
  EXPECT_EQ(complaint(kSplit, 5), "[split] found image 5 in pool, expected 0 to 4");
  EXPECT_EQ(complaint({{{1}, {-1}}, {}, {}}, 5),
            "[split] found image -1 in client 1, expected 0 to 4");
  EXPECT_EQ(complaint({{{0}, {1, 2}}, {3}, {3, 2}}, 5),
            "[split] found image 2 in client 1 and in validation, expected it once");
}

}  // namespace
}  // namespace fedstill

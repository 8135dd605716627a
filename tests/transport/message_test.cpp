#include "transport/message.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/transport/frames.h"

namespace fedstill {
namespace {

TEST(Message, KindsAreTheWireNumbers) {
  std::uint16_t expected = 1;
  for (const Message& message : every_message()) {
    EXPECT_EQ(static_cast<std::uint16_t>(kind_of(message)), expected++);
    EXPECT_FALSE(name(kind_of(message)).empty());
  }
  EXPECT_EQ(kind_of(Bundle{}), MessageKind::kBundle);
  EXPECT_EQ(kind_of(Leave{}), MessageKind::kLeave);
  EXPECT_EQ(kind_of(Upload{}), MessageKind::kUpload);
}

TEST(Message, OnlyChunksAndStatusCarryABody) {
  for (const Message& message : every_message()) {
    const BodyRange range = body_range(kind_of(message), kMaxStatusBytes * 2);
    const bool is_chunk = std::holds_alternative<BlobChunk>(message);
    const bool is_status = std::holds_alternative<StatusReply>(message);
    EXPECT_EQ(range.least, is_chunk ? 1U : 0U);
    EXPECT_EQ(range.most, is_chunk ? 2 * kMaxStatusBytes : is_status ? kMaxStatusBytes : 0U);
  }
}

TEST(Message, GoodFieldsHaveNoProblem) {
  for (const Message& message : every_message()) EXPECT_EQ(find_problem(message), "");
  EXPECT_EQ(find_problem(Join{"A-z_0.9", "", 0}), "");
  EXPECT_EQ(find_problem(Join{std::string(64, 'x'), "Grüße", 1}), "");
  EXPECT_EQ(find_problem(Acknowledgement{0, "", true, ""}), "");
}

TEST(Message, ClientNamesAreBounded) {
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a b", "a\nb", "ä", "a\\b"}) {
    EXPECT_NE(find_problem(Join{bad, "cnn3", 1}), "") << bad;
    EXPECT_NE(find_problem(Upload{1, bad, some_hash('a'), 1}), "") << bad;
  }
  EXPECT_NE(find_problem(Join{std::string(65, 'x'), "cnn3", 1}), "");
  EXPECT_NE(find_problem(Join{std::string("a\0b", 3), "cnn3", 1}), "");
}

TEST(Message, HashesAre64LowerCaseHexDigits) {
  for (const std::string& bad : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                                 std::string(64, 'g'), std::string()}) {
    EXPECT_FALSE(is_sha256(bad));
    EXPECT_NE(find_problem(Upload{1, "x", bad, 1}), "");
    EXPECT_NE(find_problem(Bundle{1, bad, 1}), "");
    EXPECT_NE(find_problem(RoundPlan{bad, 1, some_hash('a'), 10}), "");
    EXPECT_NE(find_problem(RoundPlan{some_hash('a'), 1, bad, 10}), "");
    EXPECT_EQ(find_problem(Acknowledgement{1, bad, true, ""}).empty(), bad.empty());
  }
}

TEST(Message, CountsAreNotNegativeAndClassesPositive) {
  EXPECT_NE(find_problem(Join{"x", "", -1}), "");
  EXPECT_NE(find_problem(Upload{1, "x", some_hash('a'), -1}), "");
  for (const std::int64_t classes : {std::int64_t{0}, std::int64_t{-5}, std::int64_t{1} << 40}) {
    EXPECT_NE(find_problem(RoundPlan{some_hash('a'), 1, some_hash('b'), classes}), "");
  }
}

TEST(Message, FreeTextIsPrintableUtf8OfBoundedLength) {
  EXPECT_EQ(find_problem(Acknowledgement{1, "", false, "größer, €, 😀"}), "");
  EXPECT_EQ(find_problem(Acknowledgement{1, "", false, std::string(1024, 'x')}), "");
  EXPECT_NE(find_problem(Acknowledgement{1, "", false, std::string(1025, 'x')}), "");
  EXPECT_NE(find_problem(Join{"x", std::string(65, 'x'), 1}), "");
  // a control, a terminal escape, DEL, a C1 control, a lone continuation, a truncated character, an
  // overlong form, a surrogate, a code point past the end
  for (const char* bad : {"a\n", "\x1b[31m", "\x7f", "\xc2\x85", "\x80", "\xe2\x82", "\xc0\xaf",
                          "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
    EXPECT_NE(find_problem(Acknowledgement{1, "", false, bad}), "") << bad;
    EXPECT_NE(find_problem(Join{"x", bad, 1}), "") << bad;
  }
}

template <typename T, typename Change>
std::string problem_after(const Change& change) {
  for (Message message : every_message()) {
    if (auto* fields = std::get_if<T>(&message)) {
      change(*fields);
      return find_problem(message);
    }
  }
  return "no such message";
}

TEST(Message, ModesAndRefusalsAreThoseKnown) {
  for (const int mode : {0, 3, 255}) {
    EXPECT_NE(problem_after<Join>([&](Join& m) { m.mode = static_cast<Participation>(mode); }), "");
  }
  EXPECT_EQ(problem_after<Join>([](Join& m) { m.mode = Participation::kModel; }), "");
  const auto with = [](bool accepted, int refusal) {
    return find_problem(Acknowledgement{1, "", accepted, "", static_cast<Refusal>(refusal)});
  };
  for (const int refusal : {0, 1, 2}) EXPECT_EQ(with(false, refusal), "");
  EXPECT_NE(with(false, 3), "");
  EXPECT_EQ(with(true, 0), "");
  EXPECT_NE(with(true, 1), "");
}

TEST(Message, APlanNamesAStudentWithItsSizeAndSettingsAreLinesOfText) {
  const auto after = problem_after<RoundPlan, std::function<void(RoundPlan&)>>;
  EXPECT_NE(after([](RoundPlan& m) { m.student.clear(); }), "");
  EXPECT_NE(after([](RoundPlan& m) { m.student_bytes = 0; }), "");
  EXPECT_EQ(after([](RoundPlan& m) { m.student.clear(), m.student_bytes = 0; }), "");
  EXPECT_NE(after([](RoundPlan& m) { m.pool_bytes = kMaxBlobBytes + 1; }), "");
  EXPECT_EQ(after([](RoundPlan& m) { m.settings = std::string(32 << 10, 'x'); }), "");
  EXPECT_NE(after([](RoundPlan& m) { m.settings = std::string((32 << 10) + 1, 'x'); }), "");
  EXPECT_NE(after([](RoundPlan& m) { m.settings = "a\n\x1b[31m"; }), "");
  EXPECT_NE(after([](RoundPlan& m) { m.settings = "a\r\n"; }), "");
}

TEST(Message, VersionsAreARangeAndCapabilitiesAFewNames) {
  const auto versions = [](std::uint16_t oldest, std::uint16_t newest) {
    return find_problem(Hello{oldest, newest, "", {}});
  };
  EXPECT_EQ(versions(1, 1), "");
  EXPECT_EQ(versions(2, 65535), "");
  EXPECT_NE(versions(0, 1), "");
  EXPECT_NE(versions(2, 1), "");
  const auto with = [](std::vector<std::string> names) {
    return find_problem(Hello{1, 1, "", std::move(names)});
  };
  EXPECT_EQ(with({"a", "b"}), "");
  EXPECT_NE(with({"a", "a"}), "");
  EXPECT_NE(with({"a b"}), "");
  std::vector<std::string> many;
  for (int i = 0; i < 17; ++i) many.push_back("c" + std::to_string(i));
  EXPECT_NE(with(many), "");
  many.pop_back();
  EXPECT_EQ(with(many), "");
}

TEST(Message, TheWelcomesNumbersAreSane) {
  const auto after = problem_after<Welcome, std::function<void(Welcome&)>>;
  EXPECT_NE(after([](Welcome& m) { m.version = 0; }), "");
  EXPECT_NE(after([](Welcome& m) { m.heartbeat_seconds = 0; }), "");
  EXPECT_NE(after([](Welcome& m) { m.heartbeat_seconds = 86'401; }), "");
  EXPECT_NE(after([](Welcome& m) { m.unix_time = -1; }), "");
}

TEST(Message, ABlobHasABoundedSizeAndAHash) {
  EXPECT_NE(find_problem(BlobOffer{some_hash('a'), 0, "update"}), "");
  EXPECT_NE(find_problem(BlobOffer{some_hash('a'), kMaxBlobBytes + 1, "update"}), "");
  EXPECT_EQ(find_problem(BlobOffer{some_hash('a'), kMaxBlobBytes, "update"}), "");
  EXPECT_NE(find_problem(BlobOffer{some_hash('a'), 1, ""}), "");
  EXPECT_NE(find_problem(Bundle{1, some_hash('a'), 0}), "");
  EXPECT_NE(find_problem(BlobRequest{"", 0}), "");
  EXPECT_NE(find_problem(BlobChunk{some_hash('a'), kMaxBlobBytes + 1}), "");
  EXPECT_NE(find_problem(BlobProgress{some_hash('a'), ~std::uint64_t{0}}), "");
}

TEST(Message, NamesInStatusAndHeartbeat) {
  EXPECT_EQ(find_problem(Heartbeat{}), "");
  EXPECT_NE(find_problem(Heartbeat{1, "two words", 0, 0}), "");
  EXPECT_NE(find_problem(StatusRequest{"", ""}), "");
  EXPECT_NE(find_problem(StatusRequest{"clients", "a\nb"}), "");
  EXPECT_NE(find_problem(Leave{"a\nb"}), "");
}

TEST(Message, AnyBytesBecomeFreeText) {
  EXPECT_EQ(to_free_text("line\nbreak"), "line?break");
  EXPECT_EQ(to_free_text("\xff€"), "?€");
  EXPECT_EQ(to_free_text("€€", 5), "€");  // cut between characters
  for (unsigned seed = 0; seed < 200; ++seed) {
    const auto bytes = some_bytes(seed * 7, seed);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    EXPECT_EQ(find_problem(Acknowledgement{1, "", false, to_free_text(text)}), "") << seed;
  }
}

}  // namespace
}  // namespace fedstill

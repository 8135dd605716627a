#include "transport/message.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(kind_of(Upload{}), MessageKind::kUpload);
}

TEST(Message, OnlyUploadAndBundleCarryABody) {
  int with_body = 0;
  for (const Message& message : every_message()) with_body += carries_body(kind_of(message));
  EXPECT_EQ(with_body, 2);
  EXPECT_TRUE(carries_body(MessageKind::kUpload));
  EXPECT_TRUE(carries_body(MessageKind::kBundle));
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
    EXPECT_NE(find_problem(Bundle{1, bad}), "");
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

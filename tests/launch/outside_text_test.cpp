#include "launch/outside_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/text_table.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/strict_json.h"
#include "model/zoo.h"
#include "tests/launch/process.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using tests::run_program;
using tests::TempFolder;
using tests::text_of;

TEST(OutsideText, ControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2J\n\tü\x7f"), "a?[2J??ü?");
  EXPECT_EQ(text_table({{"a"}, {"\x1b"}}), "a\n-\n?\n");
  EXPECT_EQ(printable_lines("a\x1b\nb"), "a?\nb");
}

TEST(OutsideText, NeitherDoHiddenOnesNorWhatIsNotUtf8) {
  EXPECT_EQ(printable("\u009b2J\u202ecod\u2066\u200f"), "?2J?cod??");
  EXPECT_EQ(printable("×…😀\u00a0"), "×…😀\u00a0");
  EXPECT_EQ(printable("\x9b\xff\xc3"), "???");
  EXPECT_EQ(printable("\xc1\x9b|\xe0\x82\x9b|\xed\xa0\x80|\xf4\x90\x80\x80"),
            "??|???|???|????");  // overlong, surrogate, beyond the last
}

TEST(OutsideText, TellsUtf8) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("aü×😀\x1b"));
  for (const char* bad : {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(OutsideText, JsonIsAscii) {
  EXPECT_EQ(json_text(nlohmann::json("ü\u009b\x1b\xff")), R"("\u00fc\u009b\u001b\ufffd")");
}

// A node's name from a damaged file stands in the message.
TEST(OutsideText, AHostileFileDoesNotDriveTheTerminal) {
  TempFolder temp;
  Graph graph = make_model("mlp", {1, 16, 16}, 3, 0);
  for (auto& node : graph.nodes) node.name += "evil\x1b[2J\u009b\r";
  const auto good = temp / "good.safetensors", bad = temp / "bad.safetensors";
  write_model(good, graph);
  std::string bytes = text_of(good);
  const auto at = bytes.find(R"(\"Flatten\")");  // JSON in JSON
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 11, R"(\"Sigmoid\")");
  std::ofstream(bad, std::ios::binary) << bytes;
  for (const auto& arguments : {std::vector<std::string>{"inspect", good.string()},
                                {"inspect", bad.string()},
                                {"inspect", good.string(), "--json"},
                                {"inspect", bad.string(), "--json"}}) {
    const auto done = run_program(arguments);
    EXPECT_THAT(done.out + done.err, HasSubstr("evil"));
    for (const char* control : {"\x1b", "\u009b", "\r"}) {
      EXPECT_THAT(done.out + done.err, Not(HasSubstr(control)));
    }
  }
}

TEST(OutsideJson, NumbersBeyond64BitsAreRefused) {
  EXPECT_EQ(parse_outside_json(R"({"samples": 9223372036854775807})", "a").at("samples"),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_outside_json("[1.5e3, [-0.25]]", "a").at(1).at(0), -0.25);
  for (const char* text : {R"({"samples": 14444444444444444444444})", "[[-9.3e18]]", "1e300"}) {
    EXPECT_THROW(parse_outside_json(text, "a"), DecodeError) << text;
  }
  try {
    parse_outside_json(R"({"samples")", "a.json");
    FAIL() << "taken";
  } catch (const DecodeError& error) {
    EXPECT_STREQ(error.what(), "[a.json] found damaged JSON at byte 11");
  }
}

TEST(OutsideText, ShownTextIsCutBetweenCharacters) {
  std::string text(119, 'a');
  EXPECT_EQ(shown(text + "üb"), text + "…");
  EXPECT_EQ(shown(text + "bü"), text + "b…");
}

}  // namespace
}  // namespace fedstill

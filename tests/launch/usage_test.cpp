#include "launch/usage.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>

namespace fedstill {
namespace {

// A program of one command with one nested in it, and what it says of these words.
UsageError refusal_of(const std::string& words) {
  CLI::App root("", "fedstill");
  CLI::App& cert = *root.add_subcommand("cert");
  cert.require_subcommand(1);
  CLI::App& sign = *cert.add_subcommand("sign");
  std::string request, mode;
  int days = 0, count = 0;
  sign.add_option("request", request, "what came from the site")->required();
  sign.add_option("--days", days)->check(CLI::Range(1, 9));
  sign.add_option("--count", count);
  sign.add_option("--mode", mode)->check(CLI::IsMember({"a", "b"}));
  try {
    root.parse(words);
  } catch (const CLI::ParseError& error) {
    return in_plain_words(error, root);
  }
  return UsageError("no error");
}

TEST(Usage, SaysWhatWasFoundAndWhatExpected) {
  const std::pair<const char*, const char*> cases[] = {
      {"cert sign", "cert sign: request is missing (what came from the site)"},
      {"cert", "after cert a command is missing; commands: sign"},
      {"cert sing", "cert has no command sing (did you mean sign?); commands: sign"},
      {"cert sign x y", "found y, which cert sign does not take"},
      {"cert sign x --dys 3", "cert sign has no option --dys (did you mean --days?)"},
      {"cert sign x --days", "--days is followed by a whole number"},
      {"cert sign x --count z", "--count: found z, expected a whole number"},
      {"cert sign x --days 10", "--days: found 10, expected 1 to 9"},
      {"cert sign x --mode c", "--mode: found c, expected a or b"},
      {"cert sign x", "no error"}};
  for (const auto& [words, message] : cases) EXPECT_STREQ(refusal_of(words).what(), message);
}

TEST(Usage, NamesTheCommandWhoseHelpHelps) {
  EXPECT_EQ(refusal_of("cert sign x --dys").command, "fedstill cert sign");
  EXPECT_EQ(refusal_of("cert").command, "fedstill cert");
}

}  // namespace
}  // namespace fedstill

#include "model/text_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>
#include <system_error>

#include "model/decode_error.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

TEST(TextFile, IsReadWhole) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "text";
  const std::string text("a\r\n\0ü\n", 7);
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(read_text(path, 7), text);
  std::ofstream(path, std::ios::binary | std::ios::trunc).flush();
  EXPECT_EQ(read_text(path, 0), "");
}

TEST(TextFile, MoreThanTheLimitIsNotRead) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "text") << "1234";
  EXPECT_THROW(read_text(folder.path() / "text", 3), DecodeError);
  EXPECT_THROW(read_text(folder.path() / "none", 3), std::system_error);
}

}  // namespace
}  // namespace fedstill

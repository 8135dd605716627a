#include "model/sha256.h"

#include <gtest/gtest.h>

#include <system_error>

#include "model/atomic_file.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// FIPS 180-2, appendix B.
TEST(Sha256, AgreesWithThePublishedVectors) {
  EXPECT_EQ(sha256_hex(bytes_of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnThePieces) {
  Sha256 whole;
  whole.update(bytes_of("to be or not"));
  Sha256 pieces;
  pieces.update(bytes_of("to be "));
  pieces.update({});
  pieces.update(bytes_of("or not"));
  EXPECT_EQ(whole.hex(), pieces.hex());
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "bytes";
  const std::string text(3'000'001, 'x');
  write_file_atomically(path, text);
  EXPECT_EQ(sha256_hex_of_file(path), sha256_hex(bytes_of(text)));
  std::filesystem::remove(path);
  EXPECT_THROW(sha256_hex_of_file(path), std::system_error);
}

}  // namespace
}  // namespace fedstill

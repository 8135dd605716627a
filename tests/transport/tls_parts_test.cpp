#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "model/decode_error.h"
#include "tests/support/test_certificates.h"
#include "tests/transport/frames.h"
#include "transport/tls/access_lists.h"
#include "transport/tls/credentials.h"
#include "transport/tls/endpoint.h"
#include "transport/tls/frame_reader.h"
#include "transport/tls/pacing.h"

namespace fedstill {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Feeds the bytes in pieces of at most `piece`.
std::vector<Frame> read_all(FrameReader& reader, std::span<const std::byte> bytes,
                            std::size_t piece) {
  std::vector<Frame> frames;
  while (!bytes.empty()) {
    const auto wanted = reader.wanted();
    const std::size_t count = std::min({wanted.size(), bytes.size(), piece});
    std::copy_n(bytes.begin(), count, wanted.begin());
    bytes = bytes.subspan(count);
    if (auto frame = reader.took(count)) frames.push_back(std::move(*frame));
  }
  return frames;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(FrameReader, PutsFramesTogetherFromPiecesOfAnySize) {
  std::vector<std::byte> bytes;
  std::vector<Message> messages = every_message();
  for (const Message& message : messages) {
    const auto frame = encode_frame({message, body_for(message, 100)});
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  for (const std::size_t piece : {1UL, 2UL, 27UL, 28UL, 29UL, 1000UL, bytes.size()}) {
    FrameReader reader({});
    const auto frames = read_all(reader, bytes, piece);
    ASSERT_EQ(frames.size(), messages.size()) << piece;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      EXPECT_EQ(frames[i].message, messages[i]);
      EXPECT_EQ(frames[i].body, body_for(messages[i], 100));
    }
    EXPECT_FALSE(reader.is_inside_frame());
  }
}

TEST(FrameReader, KeepsBodiesOfSeveralSteps) {
  const auto body = some_bytes(3'000'000);
  FrameReader reader({});
  const auto frames = read_all(reader, encode_frame(chunk_frame(1, body)), 100'000);
  ASSERT_EQ(frames.size(), 1);
  EXPECT_TRUE(frames[0].body == body);
}

TEST(FrameReader, ABodyInUsedMemoryIsTheSame) {
  FrameReader reader({});
  for (const std::size_t count : {300'000, 300'000, 700'000, 10, 0, 500'000}) {
    const auto body = some_bytes(std::max<std::size_t>(1, count), static_cast<unsigned>(count));
    auto frames = read_all(reader, encode_frame(chunk_frame(count, body)), 100'000);
    ASSERT_EQ(frames.size(), 1);
    EXPECT_TRUE(frames[0].body == body) << count;
    reader.recycle(std::move(frames[0].body));
    EXPECT_EQ(read_all(reader, encode_frame({Leave{"x"}, {}}), 100)[0].body.size(), 0);
  }
}

TEST(FrameReader, MemoryGrowsWithWhatArrivesNotWithWhatIsClaimed) {
  constexpr std::uint64_t kClaimed = std::uint64_t{1} << 30;
  FrameLimits limits;
  limits.max_body_bytes = kClaimed;
  FrameReader reader(limits);
  auto head = encode_frame_head(chunk_frame(1, some_bytes(1)));
  FrameHeader header = decode_header(std::span(head).first<kFrameHeaderBytes>());
  header.body_bytes = kClaimed;
  std::ranges::copy(encode_header(header), head.begin());
  const std::size_t before = resident_bytes();
  read_all(reader, head, head.size());
  EXPECT_LE(reader.wanted().size(), 256 * 1024);
  EXPECT_LT(resident_bytes(), before + kClaimed / 10);
}

TEST(FrameReader, RefusesWhatIsDamagedAsSoonAsItCan) {
  const auto bytes = encode_frame(chunk_frame(1, some_bytes(100)));
  const std::size_t checked = bytes.size() - 100;
  for (std::size_t at = 0; at < kFrameHeaderBytes; ++at) {
    auto damaged = bytes;
    damaged[at] ^= std::byte{1};
    FrameReader reader({});
    EXPECT_THROW(read_all(reader, std::span(damaged).first(checked), 7), DecodeError) << at;
  }
  FrameLimits limits;
  limits.max_body_bytes = 99;
  FrameReader reader(limits);
  EXPECT_THROW(read_all(reader, std::span(bytes).first(kFrameHeaderBytes), 7), DecodeError);
}

TEST(TokenBucket, PassesItsRateInTheLongRun) {
  SteadyTime now{};
  TokenBucket bucket(1000, now);
  std::uint64_t passed = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t amount = std::min<std::uint64_t>(70, bucket.allowance(now));
    bucket.take(amount);
    passed += amount;
    now += milliseconds{1};
  }
  EXPECT_GE(passed, 10'900);  // ten seconds, and the burst before
  EXPECT_LE(passed, 11'000);
}

TEST(TokenBucket, WaitsForWhatIsOwed) {
  SteadyTime now{};
  TokenBucket bucket(1000, now);
  EXPECT_EQ(bucket.wait(now), milliseconds{0});
  bucket.take(1500);
  EXPECT_EQ(bucket.allowance(now), 0);
  EXPECT_EQ(bucket.wait(now), milliseconds{510});
  now += milliseconds{510};
  EXPECT_EQ(bucket.wait(now), milliseconds{0});
  TokenBucket unlimited(0, now);
  unlimited.take(1 << 30);
  EXPECT_GT(unlimited.allowance(now), std::uint64_t{1} << 62);
}

TEST(ProgressWatch, TellsATrickleFromASlowLink) {
  SteadyTime now{};
  ProgressWatch watch(milliseconds{1000}, 100);
  EXPECT_FALSE(watch.is_too_slow(now + std::chrono::hours{1}));  // nothing is on its way
  watch.start(now);
  for (int second = 0; second < 10; ++second) {
    watch.add(100);
    now += milliseconds{1000};
    EXPECT_FALSE(watch.is_too_slow(now)) << second;
  }
  watch.add(99);
  EXPECT_FALSE(watch.is_too_slow(now + milliseconds{999}));
  EXPECT_TRUE(watch.is_too_slow(now + milliseconds{1000}));
}

TEST(Endpoint, IsReadFromText) {
  EXPECT_EQ(parse_endpoint("a.example:80"), (Endpoint{"a.example", 80}));
  EXPECT_EQ(parse_endpoint("[::1]:65535"), (Endpoint{"::1", 65535}));
  EXPECT_EQ(to_string(parse_endpoint("[::1]:7")), "[::1]:7");
  EXPECT_EQ(to_string(parse_endpoint("1.2.3.4:7")), "1.2.3.4:7");
  for (const char* bad : {"", "a", "a:", ":1", "a:65536", "a:1x", "::1:7", "[]:1", "a b:1", "a:-1",
                          "a\r\nHost: b:1"}) {
    EXPECT_THROW(parse_endpoint(bad), std::invalid_argument) << bad;
  }
}

class CredentialFiles : public testing::Test {
 protected:
  std::string problem_with(const Credentials& files) {
    try {
      check_credentials(files);
    } catch (const CredentialError& error) {
      return error.what();
    }
    return "no problem";
  }
  TestAuthority authority_;
  Credentials good_ = authority_.client();
};

TEST_F(CredentialFiles, SaySomethingAboutTheirOwner) {
  const CertificateSummary summary = check_credentials(good_);
  EXPECT_EQ(summary.name, "site-1");
  EXPECT_EQ(summary.role, "client");
  EXPECT_TRUE(is_sha256(summary.fingerprint));
  EXPECT_LT(summary.valid_from, std::chrono::system_clock::now());
  EXPECT_GT(summary.valid_until, std::chrono::system_clock::now());
}

TEST_F(CredentialFiles, ThatDoNotBelongTogetherAreRefused) {
  Credentials mixed = good_;
  mixed.key = authority_.client("site-2").key;
  EXPECT_THAT(problem_with(mixed), HasSubstr("does not belong to the certificate"));
  const TestAuthority other;
  mixed = good_;
  mixed.authority = other.authority();
  EXPECT_THAT(problem_with(mixed), HasSubstr("not accepted by the authority"));
}

TEST_F(CredentialFiles, ThatCannotBeReadAreNamed) {
  Credentials bad = good_;
  bad.certificate = authority_.folder() / "nothing.crt";
  EXPECT_THAT(problem_with(bad), HasSubstr("nothing.crt: cannot be read: No such file"));
  bad = good_;
  bad.key = authority_.folder() / "nothing.key";
  EXPECT_THAT(problem_with(bad), HasSubstr("nothing.key: cannot be read: No such file"));
  bad = good_;
  bad.certificate = good_.key;
  EXPECT_THAT(problem_with(bad), HasSubstr("is no PEM certificate"));
  bad = good_;
  bad.authority = authority_.write("empty", "");
  EXPECT_THAT(problem_with(bad), HasSubstr("is empty"));
  bad = good_;
  bad.key = authority_.write("some.key", "rubbish");
  std::filesystem::permissions(bad.key, std::filesystem::perms::owner_read);
  EXPECT_THAT(problem_with(bad), HasSubstr("is no PEM private key"));
}

TEST_F(CredentialFiles, WithAKeyThatOthersCanReadAreRefused) {
  using std::filesystem::perms;
  std::filesystem::permissions(good_.key, perms::owner_read | perms::group_read);
  EXPECT_EQ(problem_with(good_), "no problem");
  std::filesystem::permissions(good_.key, perms::owner_read | perms::others_read);
  EXPECT_THAT(problem_with(good_), HasSubstr("run: chmod 600"));
}

TEST_F(CredentialFiles, ThatAreNotValidNowAreRefused) {
  EXPECT_THAT(problem_with(authority_.issue({.valid_until = std::chrono::seconds{-1}})),
              HasSubstr("expired at "));
  EXPECT_THAT(problem_with(authority_.issue({.valid_from = std::chrono::seconds{600}})),
              HasSubstr("is the clock right?"));
}

TEST_F(CredentialFiles, WithAPassphraseAreRefusedWithoutAsking) {
  good_.key = authority_.write_encrypted_key("locked.key");
  EXPECT_THAT(problem_with(good_), HasSubstr("passphrase"));
}

TEST(AccessLists, AreReadWithCommentsAndRefuseOtherText) {
  const TestAuthority folder;
  AccessFiles files;
  files.allowed = folder.write("allowed", "# sites\n site-1 # the first\r\n\nsite-2\n");
  const AccessLists lists(files);
  EXPECT_EQ(
      lists.objection_to({.name = "site-2", .role = {}, .fingerprint = {}, .address = {}}).why, "");
  EXPECT_THAT(
      lists.objection_to({.name = "site", .role = {}, .fingerprint = {}, .address = {}}).why,
      HasSubstr("allow-list"));
  files.revoked = folder.write("revoked", some_hash('a') + "\nABC\n");
  EXPECT_THROW(AccessLists{files}, CredentialError);
  files.revoked = folder.folder() / "nothing";
  EXPECT_THROW(AccessLists{files}, CredentialError);
}

}  // namespace
}  // namespace fedstill

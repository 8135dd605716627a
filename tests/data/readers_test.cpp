#include "data/readers.h"

#include <gmock/gmock.h>

#include "data/data_error.h"
#include "tests/data/bytes.h"

namespace fedstill {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using tests::Bytes;
using tests::cifar_records;
using tests::gzip;
using tests::idx_images;
using tests::idx_labels;
using tests::message_of;
using tests::TemporaryFolder;

constexpr std::size_t kPlenty = 1 << 20;

std::string image_error(const Bytes& bytes) {
  return message_of<DataError>([&] { decode_idx_images(bytes, "file x"); });
}
std::string source_error(const std::string& source) {
  return message_of<DataError>([&] { read_source(source); });
}

TEST(Idx, ImagesKeepTheirShapeAndPixels) {
  const Images images = decode_idx_images(idx_images(3, 4, 5, 7), "x");
  EXPECT_EQ(images.shape, (ImageShape{1, 4, 5}));
  EXPECT_EQ(images.count(), 3);
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(images.pixels[i], 7 + i);
}

TEST(Idx, LabelsKeepTheirOrder) {
  EXPECT_THAT(decode_idx_labels(idx_labels({3, 0, 255}), "x"), ElementsAre(3, 0, 255));
}

TEST(Idx, EveryTruncationIsRefused) {
  const Bytes images = idx_images(2, 3, 3);
  for (std::size_t size = 0; size < images.size(); ++size) {
    const Bytes cut(images.begin(), images.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(decode_idx_images(cut, "x"), DataError) << size;
  }
  const Bytes labels = idx_labels({1, 2});
  for (std::size_t size = 0; size < labels.size(); ++size) {
    const Bytes cut(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(decode_idx_labels(cut, "x"), DataError) << size;
  }
}

// All sixteen header bytes are checked: magic, count, height and width each change what the file's
// size must be. Bytes after them are pixels and free.
TEST(Idx, EveryFlippedHeaderByteIsRefused) {
  const Bytes good = idx_images(2, 3, 5);
  for (std::size_t at = 0; at < 16; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[at] = static_cast<std::uint8_t>(bad[at] ^ (1U << bit));
      EXPECT_THROW(decode_idx_images(bad, "x"), DataError) << at << " bit " << bit;
    }
  }
}

TEST(Idx, TrailingBytesAreRefused) {
  Bytes bytes = idx_images(2, 3, 3);
  bytes.push_back(0);
  EXPECT_EQ(image_error(bytes), "[idx] file x: found 35 bytes, expected 34 bytes from its header");
}

TEST(Idx, WrongMagicIsNamed) {
  EXPECT_EQ(image_error(idx_labels(Bytes(20))),
            "[idx] file x: found magic 0x00000801, expected magic 0x00000803");
}

// The header promises 2^56 pixels; nothing of the kind may be allocated.
TEST(Idx, HugeCountsAreRefusedBeforeAllocation) {
  Bytes bytes;
  for (const std::uint32_t word : {0x803U, 0xFFFFFFFFU, 4096U, 4096U}) {
    tests::put_word(bytes, word);
  }
  EXPECT_THAT(image_error(bytes), HasSubstr("found 16 bytes, expected 72057594021150736 bytes"));
  bytes[8] = 0xFF;
  EXPECT_THAT(image_error(bytes), HasSubstr("sides of 1 to 4096"));
}

TEST(Idx, NoImagesAndEmptyImagesAreRefused) {
  EXPECT_THAT(image_error(idx_images(0, 3, 3)), HasSubstr("found 0 items"));
  EXPECT_THAT(image_error(idx_images(2, 0, 3)), HasSubstr("found images of 0 × 3"));
}

TEST(Idx, CountsThatDifferNameBothFiles) {
  const TemporaryFolder folder;
  const auto images = folder.write("i", idx_images(3, 2, 2));
  const auto labels = folder.write("l", idx_labels({0, 1}));
  const std::string message = message_of<DataError>([&] { read_idx(images, labels); });
  EXPECT_THAT(message, AllOf(HasSubstr(images.string()), HasSubstr(labels.string()),
                             HasSubstr("found 2 labels, expected 3")));
}

TEST(Gzip, PlainBytesPassThrough) {
  EXPECT_THAT(inflate_if_gzip(Bytes{1, 2, 3}, kPlenty, "x"), ElementsAre(1, 2, 3));
  EXPECT_THAT(inflate_if_gzip({}, kPlenty, "x"), ElementsAre());
}

TEST(Gzip, InflatesWhatWasDeflated) {
  for (const std::size_t size : {0U, 1U, 65535U, 65536U, 65537U, 300000U}) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * i >> 3);
    EXPECT_EQ(inflate_if_gzip(gzip(bytes), kPlenty, "x"), bytes) << size;
    EXPECT_EQ(inflate_if_gzip(gzip(bytes), size, "x"), bytes) << size << " is the limit itself";
  }
}

TEST(Gzip, SeveralMembersAreOneStream) {
  Bytes two = gzip({1, 2});
  const Bytes second = gzip({3});
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_THAT(inflate_if_gzip(two, kPlenty, "x"), ElementsAre(1, 2, 3));
}

TEST(Gzip, EveryTruncationIsRefused) {
  const Bytes whole = gzip(idx_images(2, 9, 9));
  for (std::size_t size = 2; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(inflate_if_gzip(cut, kPlenty, "x"), DataError) << size;
  }
}

// A flip may hit a field without meaning (time, operating system); then the bytes must be unharmed.
TEST(Gzip, EveryFlippedByteIsRefusedOrHarmless) {
  const Bytes plain = idx_images(2, 9, 9);
  const Bytes whole = gzip(plain);
  int refused = 0;
  for (std::size_t at = 2; at < whole.size(); ++at) {
    Bytes bad = whole;
    bad[at] = static_cast<std::uint8_t>(bad[at] ^ 0x55U);
    try {
      EXPECT_EQ(inflate_if_gzip(bad, kPlenty, "x"), plain) << at;
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GE(refused, static_cast<int>(whole.size()) - 10);
}

TEST(Gzip, StopsAtTheLimit) {
  const Bytes bomb = gzip(Bytes(50'000'000));
  EXPECT_LT(bomb.size(), 100'000U);
  EXPECT_EQ(message_of<DataError>([&] { inflate_if_gzip(bomb, 1000, "file x"); }),
            "[gzip] file x: more than 1000 bytes");
  EXPECT_THROW(inflate_if_gzip(gzip(Bytes(1001)), 1000, "x"), DataError);
  EXPECT_THROW(inflate_if_gzip(Bytes(1001), 1000, "x"), DataError);
}

TEST(Cifar10, KeepsPlanesAndLabels) {
  const LabeledImages decoded = decode_cifar10(cifar_records({9, 0, 4}), "x");
  EXPECT_EQ(decoded.images.shape, (ImageShape{3, 32, 32}));
  EXPECT_THAT(decoded.labels, ElementsAre(9, 0, 4));
  EXPECT_EQ(decoded.images.count(), 3);
  EXPECT_EQ(decoded.images.pixels[0], 9);
  EXPECT_EQ(decoded.images.pixels[3072 + 1024], 0);
  EXPECT_EQ(decoded.images.pixels[2 * 3072 + 5], 9);
}

TEST(Cifar10, BrokenRecordsAreRefused) {
  Bytes bytes = cifar_records({1, 2});
  bytes.pop_back();
  EXPECT_EQ(message_of<DataError>([&] { decode_cifar10(bytes, "file x"); }),
            "[cifar10] file x: found 6145 bytes, expected records of 3073 bytes");
  EXPECT_THROW(decode_cifar10({}, "x"), DataError);
  EXPECT_EQ(message_of<DataError>([&] {
              decode_cifar10(cifar_records({1, 10}), "file x");
            }),
            "[cifar10] file x: found label 10 in record 1, expected 0 to 9");
}

class IdxFolder : public ::testing::Test {
 protected:
  void write(const std::string& part, const Bytes& images, const Bytes& labels, bool packed) {
    const std::string end = packed ? ".gz" : "";
    folder_.write(part + "-images-idx3-ubyte" + end, packed ? gzip(images) : images);
    folder_.write(part + "-labels-idx1-ubyte" + end, packed ? gzip(labels) : labels);
  }
  std::string path() const { return folder_.path().string(); }

  TemporaryFolder folder_;
};

TEST_F(IdxFolder, ReadsPlainAndGzipAlike) {
  write("train", idx_images(4, 2, 3), idx_labels({0, 2, 1, 2}), true);
  write("t10k", idx_images(2, 2, 3, 50), idx_labels({1, 0}), false);
  const TrainTest sets = read_source("idx:" + path());
  EXPECT_EQ(sets.train.images->count(), 4);
  EXPECT_THAT(sets.train.labels, ElementsAre(0, 2, 1, 2));
  EXPECT_THAT(sets.test.labels, ElementsAre(1, 0));
  EXPECT_EQ(sets.test.images->pixels[0], 50);
  EXPECT_THAT(sets.train.class_names, ElementsAre("0", "1", "2"));
  EXPECT_EQ(sets.test.class_names, sets.train.class_names);
}

TEST_F(IdxFolder, MnistAlwaysHasTenClasses) {
  write("train", idx_images(2, 2, 2), idx_labels({0, 1}), false);
  write("t10k", idx_images(1, 2, 2), idx_labels({9}), false);
  EXPECT_EQ(read_source("mnist:" + path()).test.classes(), 10);
  write("t10k", idx_images(1, 2, 2), idx_labels({10}), false);
  EXPECT_THAT(source_error("mnist:" + path()), HasSubstr("found label 10, expected 0 to 9"));
}

TEST_F(IdxFolder, TestLabelsBeyondTrainingAreRefused) {
  write("train", idx_images(2, 2, 2), idx_labels({0, 1}), false);
  write("t10k", idx_images(1, 2, 2), idx_labels({2}), false);
  EXPECT_THAT(source_error("idx:" + path()), HasSubstr("found label 2, expected 0 to 1"));
}

TEST_F(IdxFolder, ShapesThatDifferAreRefused) {
  write("train", idx_images(2, 2, 2), idx_labels({0, 1}), false);
  write("t10k", idx_images(1, 2, 3), idx_labels({0}), false);
  EXPECT_THAT(source_error("idx:" + path()),
              HasSubstr("found test images of 1 × 2 × 3, expected 1 × 2 × 2"));
}

TEST_F(IdxFolder, DamagedGzipIsNamedWithItsPath) {
  write("train", idx_images(2, 2, 2), idx_labels({0, 1}), true);
  Bytes broken = gzip(idx_images(2, 2, 2));
  broken.resize(broken.size() - 5);
  const auto file = folder_.write("train-images-idx3-ubyte.gz", broken);
  EXPECT_EQ(source_error("idx:" + path()), "[gzip] " + file.string() + ": truncated or corrupt");
}

TEST_F(IdxFolder, MissingFilesAreNamed) {
  EXPECT_THAT(source_error("idx:" + path()), HasSubstr(path() + "/train-images-idx3-ubyte.gz"));
  write("train", idx_images(2, 2, 2), idx_labels({0, 1}), true);
  EXPECT_THAT(source_error("idx:" + path()), HasSubstr(path() + "/t10k-images-idx3-ubyte.gz"));
  folder_.write("train-images-idx3-ubyte/file", {1});  // a folder where a file should be
  EXPECT_THAT(source_error("idx:" + path()), HasSubstr("cannot read " + path()));
}

TEST(Cifar10Folder, JoinsBatchesFromTheInnerFolder) {
  const TemporaryFolder folder;
  for (std::uint8_t batch = 1; batch <= 5; ++batch) {
    const std::string name = "cifar-10-batches-bin/data_batch_" + std::to_string(batch) + ".bin";
    if (batch % 2 == 0) {
      folder.write(name, cifar_records({batch, 0}));
    } else {
      folder.write(name + ".gz", gzip(cifar_records({batch, 0})));
    }
  }
  const std::string source = "cifar10:" + folder.path().string();
  EXPECT_THAT(source_error(source), HasSubstr("test_batch.bin"));
  folder.write("cifar-10-batches-bin/test_batch.bin", cifar_records({7}));
  const TrainTest sets = read_source(source);
  EXPECT_THAT(sets.train.labels, ElementsAre(1, 0, 2, 0, 3, 0, 4, 0, 5, 0));
  EXPECT_EQ(sets.train.images->count(), 10);
  EXPECT_EQ(sets.test.class_names[7], "horse");
}

TEST(Source, UnknownOnesListTheKnown) {
  for (const char* source : {"", "mnits:/x", "mnist", "mnist:", "idx", "fashion-mnist:/x"}) {
    EXPECT_THAT(source_error(source), AllOf(HasSubstr("\"" + std::string(source) + "\""),
                                            HasSubstr("mnist:DIR"), HasSubstr("synthetic")));
  }
}

TEST(Source, MissingFashionMnistNamesItsPackage) {
  if (std::filesystem::exists("/usr/share/datasets/fashion-mnist")) GTEST_SKIP() << "installed";
  EXPECT_THAT(source_error("fashion-mnist"),
              AllOf(HasSubstr("apt install dataset-fashion-mnist"), HasSubstr("idx:DIR")));
}

}  // namespace
}  // namespace fedstill

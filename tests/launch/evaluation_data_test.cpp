#include "launch/evaluation_data.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "data/data_error.h"
#include "data/idx_writer.h"
#include "data/whole_view.h"
#include "tests/launch/temp_folder.h"

namespace fedstill {
namespace {

using tests::TempFolder;

// Three images of the classes 0, 1 and 1, as a site has them.
void write_site(const std::filesystem::path& folder) {
  Images images{{1, 4, 4}, std::vector<std::uint8_t>(3 * 16, 7)};
  write_idx_shard(folder, {whole(std::make_shared<const Images>(std::move(images))), {0, 1, 1}});
}

TEST(EvaluationData, ASitesOwnImagesAreMeasuredOn) {
  const TempFolder temp;
  write_site(temp.path());
  EvaluationData data = read_evaluation_data("idx:" + temp.path().string());
  EXPECT_TRUE(data.is_own);
  EXPECT_EQ(data.sets.test.labels, (std::vector<std::int32_t>{0, 1, 1}));
  name_classes(data, {"cat", "dog", "eel"});  // of the last the site has none
  EXPECT_EQ(data.sets.test.class_names.back(), "eel");
  name_classes(data, {"cat"});
  EXPECT_EQ(data.sets.test.classes(), 3);
}

TEST(EvaluationData, FourFilesHaveTestImages) {
  const TempFolder temp;
  write_site(temp.path());
  for (const char* part : {"images-idx3-ubyte", "labels-idx1-ubyte"}) {
    std::filesystem::copy_file(temp / (std::string("train-") + part),
                               temp / (std::string("t10k-") + part));
  }
  EvaluationData data = read_evaluation_data("idx:" + temp.path().string());
  EXPECT_FALSE(data.is_own);
  name_classes(data, {"cat", "dog", "eel"});
  EXPECT_EQ(data.sets.test.classes(), 2);  // other images than the model's, it seems
  name_classes(data, {"cat", "dog"});
  EXPECT_EQ(data.sets.test.class_names.front(), "cat");
  std::filesystem::remove(temp / "t10k-images-idx3-ubyte");
  EXPECT_THROW(read_evaluation_data("idx:" + temp.path().string()), DataError);
}

TEST(EvaluationData, KnownSetsKeepTheirNames) {
  EvaluationData data = read_evaluation_data("synthetic:2x1x16x16");
  EXPECT_FALSE(data.is_own);
  name_classes(data, {"cat", "dog"});
  EXPECT_EQ(data.sets.test.class_names.front(), "0");
}

}  // namespace
}  // namespace fedstill

#include "client/predictions.h"

#include <gtest/gtest.h>

#include "data/predictions_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_update.h"
#include "training/predict.h"

namespace fedstill {
namespace {

TEST(WritePredictions, SaysWhatTheModelSays) {
  const TemporaryFolder folder;
  Images images{.shape = {1, 4, 4}, .pixels = {}};
  for (int i = 0; i < 7 * 16; ++i) images.pixels.push_back(static_cast<std::uint8_t>(i * 37));
  ImageView pool{.images = std::make_shared<const Images>(std::move(images)),
                 .indices = {6, 0, 1, 2, 3, 4, 5}};
  const Normalisation normalisation{{0.5F}, {0.25F}};
  const Graph graph = tiny_update(3);
  const std::string hash(64, 'a');
  write_predictions(graph, pool, normalisation, hash, folder.path() / "file");
  const auto said = read_predictions_file(folder.path() / "file", {hash, 7, 3});
  const std::vector<std::string> outputs{"logits", "confidence"};
  const auto expected = predict(graph, outputs, pool, normalisation);
  for (std::size_t i = 0; i < 21; ++i) {
    EXPECT_EQ(said.logits[i], expected[0].const_data_ptr<float>()[i]);
  }
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(said.confidences[i], expected[1].const_data_ptr<float>()[i]);
  }
}

}  // namespace
}  // namespace fedstill

// Client, teacher pass and student on a device that stands in for a GPU, beside the cpu: a process
// of its own, since the device must be there before anything else of LibTorch is used.
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "aggregation/teacher_pass.h"
#include "client/client.h"
#include "data/readers.h"
#include "distillation/distiller.h"
#include "model/model_file.h"
#include "model/sha256.h"
#include "model/zoo.h"
#include "tests/launch/temp_folder.h"
#include "tests/training/far/far_device.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

std::vector<std::int64_t> rows(std::int64_t begin, std::int64_t count) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(count));
  std::iota(out.begin(), out.end(), begin);
  return out;
}

class FarWay : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    device_ = tests::register_far_device();
    set_thread_count(1);
  }

  FarWay() : data_(read_source("synthetic:3x1x16x16").train) {
    shard_ = make_shard(data_, rows(0, 96));
    pool_ = make_shard(data_, rows(96, 120)).images;
    normalisation_ = measure_normalisation(pool_);
  }

  ClientTask task(at::Device device, const std::string& form) const {
    ClientTask task{shard_, pool_, 3, normalisation_, {}, {}};
    task.local.epochs = 2;
    task.local.minimum_steps = 0;
    task.local.batch = task.head.batch = 32;
    task.local.augmentation = {1, true, 0.3F};
    task.head.form = form;
    task.head.steps = 12;
    task.head.dropout = 0.0;  // its draws are the device's
    task.local.device = task.head.device = device;
    return task;
  }

  static void expect_near(const Graph& a, const Graph& b) {
    for (const auto& [name, tensor] : a.tensors) {
      const auto left = tensor.values<float>(), right = b.tensors.at(name).values<float>();
      for (std::size_t i = 0; i < left.size(); ++i) ASSERT_NEAR(left[i], right[i], 2e-3) << name;
    }
  }

  static inline at::Device device_ = at::kCPU;
  Dataset data_;
  Shard shard_;
  ImageView pool_;
  Normalisation normalisation_;
};

TEST_F(FarWay, AClientTrainsAsItDoesHere) {
  for (const char* form : {"pixels", "features"}) {
    const ClientResult far = run_client(task(device_, form)),
                       here = run_client(task(at::kCPU, form));
    expect_near(far.update.graph, here.update.graph);
    EXPECT_NEAR(far.training.epoch_losses.back(), here.training.epoch_losses.back(), 1e-3);
    EXPECT_FALSE(far.refusal().empty());  // steps cannot be recorded there
    EXPECT_TRUE(here.refusal().empty());  // and were not to be here
  }
}

TEST_F(FarWay, ALaterRoundTrainsAsItDoesHere) {
  Tensor labels(DType::kF32, {pool_.count(), 3});
  for (float& value : labels.values<float>()) value = 1.0F / 3.0F;
  const auto lesson = std::make_shared<const Lesson>(
      Lesson{make_model("cnn3", pool_.images->shape, 3, 4), std::move(labels)});
  ClientTask far = task(device_, "pixels"), here = task(at::kCPU, "pixels");
  far.lesson = here.lesson = lesson;
  far.second = here.second = {1.0, 24};
  expect_near(run_client(far).update.graph, run_client(here).update.graph);
}

TEST_F(FarWay, TeachersAnswerAndAStudentLearnsAsHere) {
  const tests::TempFolder folder;
  const std::filesystem::path model = folder.path() / "teacher.safetensors";
  write_model(model, run_client(task(at::kCPU, "pixels")).update.graph);
  const std::vector<Teacher> teachers(3, {model, sha256_hex_of_file(model), 96});
  std::vector<Graph> students;
  for (const at::Device device : {device_, at::Device(at::kCPU)}) {
    TeacherPassOptions options;
    options.workers = 2;
    options.block = 50;
    options.device = device;
    const PredictionCache cache =
        teacher_pass(teachers, pool_, "pool", 3, normalisation_,
                     folder.path() / (device.is_cpu() ? "here" : "far"), options);
    const auto logits = cache.logits(1);
    at::Tensor labels = at::empty({pool_.count(), 3}, at::kFloat);
    std::ranges::copy(logits, labels.mutable_data_ptr<float>());
    DistillOptions distilling;
    distilling.student = "resnet8";
    distilling.batch = 40;
    distilling.device = device;
    distilling.fit.epochs = 2;
    distilling.fit.clip_norm = 1.0;
    students.push_back(distill({pool_}, labels.softmax(1), normalisation_, distilling).student);
  }
  expect_near(students[0], students[1]);
}

}  // namespace
}  // namespace fedstill

// The whole path in one process: three sites with different architectures and different images
// teach one student, which leaves as an integer bundle.
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "aggregation/soft_labels.h"
#include "aggregation/teacher_pass.h"
#include "client/client.h"
#include "compression/edge/bundle.h"
#include "compression/verify.h"
#include "data/split.h"
#include "data/synthetic.h"
#include "distillation/distiller.h"
#include "model/model_file.h"
#include "model/onnx.h"
#include "training/predict.h"

using namespace std::string_literals;
using fedstill::ImageView;

int main(int argc, char** argv) {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "example_01";
  std::filesystem::create_directories(folder);

  // What there is to learn, dealt out so that every site knows few classes and the coordinator sees
  // images without labels.
  const auto data = fedstill::make_synthetic({1, 16, 16}, 6, 3000, 600, /*seed=*/0);
  const auto split = fedstill::make_split(data.train.labels, 6,
                                          {.scheme = "classes",
                                           .clients = 3,
                                           .private_count = 2000,
                                           .pool_count = 900,
                                           .validation_count = 100});
  const fedstill::UnlabeledPool pool{{data.train.images, split.pool}};
  const auto normalisation = fedstill::measure_normalisation(pool.images);

  // Every site trains its own architecture and a head that tells its own images from the pool's;
  // the model file is all that leaves it.
  std::vector<fedstill::Teacher> teachers;
  for (std::size_t k = 0; k < 3; ++k) {
    fedstill::ClientTask task{
        fedstill::make_shard(data.train, split.clients[k]), pool.images, 6, normalisation, {}, {}};
    task.local.architecture = std::array{"mlp", "lenet5", "cnn3"}[k];
    task.head.steps = 200;
    const auto update = fedstill::run_client(task).update;
    teachers.push_back({folder / (task.local.architecture + ".safetensors"),
                        fedstill::model_hash(update.graph), update.sample_count});
    fedstill::write_model(teachers.back().model, update.graph);
  }

  // Their opinions on the pool, weighed sample by sample, become soft labels; the student learns
  // those.
  const auto cache = fedstill::teacher_pass(teachers, pool.images, pool.hash(), 6, normalisation,
                                            folder / "pool.predictions");
  const auto soft = fedstill::combine(*fedstill::make_rule("bounded-odds"), cache,
                                      fedstill::measure_clients(cache));
  const auto student = fedstill::distill(pool, soft.labels, normalisation, {}).student;

  // The student in integers, verified against the float one, as one file for a device.
  const auto integers = fedstill::quantize(student, "w8a8", pool.images, normalisation);
  const auto gate = fedstill::verify(student, integers, pool.images, normalisation);
  fedstill::write_bundle(folder / "student.fsb",
                         {data.train.class_names, normalisation.mean, normalisation.deviation,
                          integers, fedstill::encode_onnx(integers), gate.agreement});

  ImageView test{data.test.images, {}};
  for (std::int64_t i = 0; i < test.images->count(); ++i) test.indices.push_back(i);
  const auto logits = fedstill::predict(student, std::array{"logits"s}, test, normalisation);
  std::printf("student %.1f %%, agreement in integers %.1f %%\n",
              100 * fedstill::accuracy(logits[0], data.test.labels), 100 * gate.agreement);
}

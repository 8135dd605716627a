// The whole path in one process: three sites with different architectures and different images
// teach one student, which leaves as an integer bundle. It ends with one line, "… % of
// the pool keep their class in integers", and leaves three models and student.fsb in the folder.
#include <array>
#include <cstdio>

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
#include "training/threads.h"

namespace fd = fedstill;

int main(int argc, char** argv) {
  fd::set_thread_count(1);
  const std::filesystem::path folder = argc > 1 ? argv[1] : "example_01";
  std::filesystem::create_directories(folder);
  // Every site knows few classes; the coordinator sees images without labels.
  const auto data = fd::make_synthetic({1, 16, 16}, 6, 3000, 600, /*seed=*/0);
  fd::SplitOptions deal{.scheme = "classes", .clients = 3, .private_count = 2000};
  deal.pool_count = 900, deal.validation_count = 100;
  const auto split = fd::make_split(data.train.labels, 6, deal);
  const fd::UnlabeledPool pool{{data.train.images, split.pool}};
  const auto norm = fd::measure_normalisation(pool.images);

  // A site trains its architecture and a head that tells its images from the pool's. Only the
  // model file leaves it.
  std::vector<fd::Teacher> teachers;
  for (std::size_t k = 0; k < 3; ++k) {
    const auto shard = fd::make_shard(data.train, split.clients[k]);
    fd::ClientTask task{shard, pool.images, 6, norm, {}, {}};
    task.local.architecture = std::array{"mlp", "lenet5", "cnn3"}[k];
    const auto update = fd::run_client(task).update;
    const auto file = folder / (task.local.architecture + ".safetensors");
    fd::write_model(file, update.graph);
    teachers.push_back({file, fd::model_hash(update.graph), update.sample_count});
  }

  // Their opinions, weighed sample by sample, become the soft labels that the student learns.
  const auto cache = fd::teacher_pass(teachers, pool.images, pool.hash(), 6, norm, folder / "pool");
  const auto soft = fd::combine(*fd::make_rule("bounded-odds"), cache, fd::measure_clients(cache));
  const auto student = fd::distill(pool, soft.labels, norm, {}).student;

  // The student in integers, verified against the float one, as one file for a device.
  const auto integers = fd::quantize(student, "w8a8", pool.images, norm);
  const auto gate = fd::verify(student, integers, pool.images, norm);
  fd::write_bundle(folder / "student.fsb", {data.train.class_names, norm.mean, norm.deviation,
                                            integers, fd::encode_onnx(integers), gate.agreement});
  std::printf("%.1f %% of the pool keep their class in integers\n", 100 * gate.agreement);
}

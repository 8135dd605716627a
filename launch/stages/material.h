#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/batches.h"
#include "data/images.h"
#include "data/readers.h"
#include "data/split.h"
#include "launch/job.h"
#include "launch/run_folder.h"

namespace fedstill {

// The data of a run, dealt out. What the clients and the coordinator may see is apart from the
// labels that exist only to measure.
struct Material {
  TrainTest data;
  Split split;
  std::vector<Shard> shards;  // one per client
  UnlabeledPool pool;
  HiddenLabels pool_labels;
  ImageView test;
  HiddenLabels test_labels;
  Normalisation normalisation;  // measured on the pool

  std::int64_t classes() const { return data.train.classes(); }
};

// Reads the source and deals it out: as saved_split says if that file exists (a resumed run), else
// as the job says. Throws DataError, JobError or DecodeError.
Material load_material(const Job& job, const std::filesystem::path& saved_split = {});

// Throws DataError unless the run in the folder read the same images and labels when it began.
void check_same_data(const std::filesystem::path& run, const Material& material);
void remember_data(const RunFolder& folder, const Material& material);

// The material of a run that may have begun before: split and data as the folder remembers them,
// which it does from now on.
Material material_of_run(const Job& job, const RunFolder& folder);

}  // namespace fedstill

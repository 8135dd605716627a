#pragma once

#include <string>
#include <vector>

#include "data/readers.h"

namespace fedstill {

// Labelled images to measure a model on: those of sets.test.
struct EvaluationData {
  std::string source;
  TrainTest sets;
  bool is_own = false;  // a site's folder without test images: all that it has are measured on
};

// A source as in a job, or "idx:DIR" of a site (data/readers.h, read_labelled). Throws DataError.
EvaluationData read_evaluation_data(const std::string& source);

// IDX files name no classes: there they are called as the model's are, of which a site's own images
// may lack the last.
void name_classes(EvaluationData& data, const std::vector<std::string>& names);

}  // namespace fedstill

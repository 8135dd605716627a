#pragma once

#include <CLI/App.hpp>

namespace fedstill {

// Gives every command below the root that has no closing words yet its own examples, and the root
// its own with the exit codes.
void add_examples(CLI::App& root);

}  // namespace fedstill

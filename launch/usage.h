#pragma once

#include <CLI/App.hpp>
#include <CLI/Error.hpp>

#include "launch/command_line.h"

namespace fedstill {

// What the parser refused, in plain words: which word, what was expected, what may have been meant.
UsageError in_plain_words(const CLI::ParseError& error, const CLI::App& root);

}  // namespace fedstill

#pragma once

#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

#include "launch/advice.h"

namespace fedstill {

// A file or folder that the command line names is missing, may not be read, or is a folder where a
// file is meant or the other way round. The same for all commands, and before they do anything.
class InputError : public std::runtime_error, public Advice {
 public:
  InputError(const std::string& what, std::string hint)
      : std::runtime_error(what), Advice(std::move(hint)) {}
};

// Throws InputError unless path is something to read other than a folder. Of a run's folder it says
// which of the files in it may have been meant.
void require_file(const std::filesystem::path& path,
                  std::initializer_list<std::string_view> meant = {});
// The same for a file that an option names; empty, where it was not given, is fine.
void require_file_if_given(const std::filesystem::path& path);
void require_folder(const std::filesystem::path& path);

// Whether a folder holds a run, finished or not.
bool is_run_folder(const std::filesystem::path& folder);

}  // namespace fedstill

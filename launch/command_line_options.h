#pragma once

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace fedstill {

// Refuses what parse does not take, with the words of its std::invalid_argument.
template <typename Parse>
CLI::Validator checked_by(Parse parse, const std::string& name) {
  return {[parse](const std::string& text) -> std::string {
            try {
              parse(text);
              return "";
            } catch (const std::invalid_argument& error) {
              return error.what();
            }
          },
          name};
}

// Options that several commands have, with the same words everywhere.
void add_json(CLI::App& app, bool& json);
void add_quiet(CLI::App& app, bool& quiet);
void add_preset(CLI::App& app, std::string& preset);
// "--flag VALUE", as often as wanted, one value each.
void add_repeated(CLI::App& app, const std::string& flag, std::vector<std::string>& values,
                  const std::string& what);
void add_assignments(CLI::App& app, std::vector<std::string>& assignments);  // --set
void add_device(CLI::App& app, std::string& device);  // refuses names that are none
void add_identity(CLI::App& app, std::filesystem::path& identity);
void add_log(CLI::App& app, std::filesystem::path& file, std::string& level);

}  // namespace fedstill

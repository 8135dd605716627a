#include "launch/usage.h"

#include <CLI/Option.hpp>
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "launch/suggestion.h"

namespace fedstill {
namespace {

// The command that was given, as far as it was understood, and its words.
struct Given {
  const CLI::App* app;
  std::string words;  // "fedstill cert sign"
  // As a message names it, which begins with fedstill.
  std::string name() const {
    const auto space = words.find(' ');
    return space == std::string::npos ? words : words.substr(space + 1);
  }
};

Given given(const CLI::App& root) {
  Given out{&root, root.get_name()};
  for (auto subs = root.get_subcommands(); !subs.empty(); subs = subs.front()->get_subcommands()) {
    out.app = subs.front();
    out.words += " " + subs.front()->get_name();
  }
  return out;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string suggestion(const std::string& word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> known(names.begin(), names.end());
  return did_you_mean(word, known);
}

std::string of_unexpected(const Given& command) {
  const std::string word = command.app->remaining().front();
  if (word.size() > 1 && word.front() == '-') {
    const std::string name = word.substr(0, word.find('='));
    return command.name() + " has no option " + name + suggestion(name, flag_names(*command.app));
  }
  const auto names = command_names(*command.app);
  if (names.empty()) return "found " + word + ", which " + command.name() + " does not take";
  const std::vector<std::string_view> known(names.begin(), names.end());
  return command.name() + " has no command " + word + suggestion(word, names) +
         "; commands: " + joined(known);
}

std::string of_required(const CLI::ParseError& error, const Given& command) {
  constexpr std::string_view kEnd = " is required";
  std::string name = error.what();
  if (!name.ends_with(kEnd)) return name;
  name.resize(name.size() - kEnd.size());
  if (name == "A subcommand") {
    if (!command.app->remaining().empty()) return of_unexpected(command);
    const auto names = command_names(*command.app);
    const std::vector<std::string_view> known(names.begin(), names.end());
    return "after " + command.name() + " a command is missing; commands: " + joined(known);
  }
  const CLI::Option* const option = command.app->get_option_no_throw(name);
  const bool positional = option != nullptr && option->get_positional();
  return command.name() + ": " + name + " is missing" +
         (positional ? " (" + option->get_description() + ")" : "");
}

std::string kind_of_value(const CLI::App& app, const std::string& name) {
  const CLI::Option* const option = app.get_option_no_throw(name);
  const std::string type = option == nullptr ? "" : option->get_type_name();
  if (type.find("INT") != std::string::npos) return "a whole number";
  return type.find("FLOAT") != std::string::npos ? "a number" : "another value";
}

// "--workers: 1 required INT missing"
std::string of_missing_value(const std::string& told, const Given& command) {
  const std::string name = told.substr(0, told.find(": "));
  if (!told.ends_with(" missing") || name == told) return told;
  const std::string kind = kind_of_value(*command.app, name);
  return name + " is followed by " + (kind == "another value" ? "a value" : kind);
}

// "Could not convert: --workers = x"
std::string of_conversion(const std::string& told, const Given& command) {
  constexpr std::string_view kStart = "Could not convert: ";
  const auto equals = told.find(" = ");
  if (!told.starts_with(kStart) || equals == std::string::npos) return told;
  const std::string name = told.substr(kStart.size(), equals - kStart.size());
  return name + ": found " + told.substr(equals + 3) + ", expected " +
         kind_of_value(*command.app, name);
}

// "1 to 9", which newer versions of CLI11 write as "[1 - 9]".
std::string range_of(std::string told) {
  if (!told.starts_with('[') || !told.ends_with(']')) return told;
  told = told.substr(1, told.size() - 2);
  const auto dash = told.find(" - ");
  return dash == std::string::npos ? told : told.replace(dash, 3, " to ");
}

// "--clients: Value 0 not in range 1 to 9", "--mode: x not in {model,predictions}"
std::string of_validation(std::string told) {
  const auto colon = told.find(": ");
  if (colon == std::string::npos) return told;
  const auto range = told.find(" not in range ", colon), set = told.find(" not in {", colon);
  const auto found = [&](std::size_t begin, std::size_t end, std::string expected) {
    return told.substr(0, colon) + ": found " + told.substr(begin, end - begin) + ", expected " +
           std::move(expected);
  };
  constexpr std::string_view kValue = ": Value ";
  if (range != std::string::npos && std::string_view(told).substr(colon).starts_with(kValue)) {
    return found(colon + kValue.size(), range, range_of(told.substr(range + 14)));
  }
  if (set == std::string::npos || !told.ends_with('}')) return told;
  std::string choices = told.substr(set + 9, told.size() - set - 10);
  for (auto at = choices.find(','); at != std::string::npos; at = choices.find(',', at + 4)) {
    choices.replace(at, 1, " or ");
  }
  return found(colon + 2, set, choices);
}

std::string words_of(const CLI::ParseError& error, const Given& command) {
  const std::string kind = error.get_name();
  const bool has_more = !command.app->remaining().empty();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && has_more)
    return of_unexpected(command);
  if (kind == "RequiredError") return of_required(error, command);
  if (kind == "ArgumentMismatch") return of_missing_value(error.what(), command);
  if (kind == "ConversionError") return of_conversion(error.what(), command);
  if (kind == "ValidationError") return of_validation(error.what());
  return error.what();
}

}  // namespace

UsageError in_plain_words(const CLI::ParseError& error, const CLI::App& root) {
  const Given command = given(root);
  return UsageError(words_of(error, command), command.words);
}

}  // namespace fedstill

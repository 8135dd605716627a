#include "launch/job_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "launch/input.h"
#include "launch/job_text.h"
#include "launch/settings.h"
#include "launch/suggestion.h"
#include "model/sha256.h"
#include "model/text_file.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxJobBytes = 1 << 20;

std::string type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

// Stores a TOML node in a field; returns what was expected instead, or nothing if it fits.
struct Assign {
  const toml::node& node;

  const char* operator()(std::int64_t* field) const {
    if (!node.is_integer()) return "an integer";
    *field = node.as_integer()->get();
    return nullptr;
  }
  const char* operator()(double* field) const {
    if (!node.is_number()) return "a number";
    *field = *node.value<double>();
    return nullptr;
  }
  const char* operator()(bool* field) const {
    if (!node.is_boolean()) return "true or false";
    *field = node.as_boolean()->get();
    return nullptr;
  }
  const char* operator()(std::string* field) const {
    if (!node.is_string()) return "a string";
    *field = node.as_string()->get();
    return nullptr;
  }
  const char* operator()(std::vector<std::string>* field) const {
    const toml::array* list = node.as_array();
    if (list == nullptr) return "a list of strings";
    std::vector<std::string> items;
    for (const auto& item : *list) {
      if (!item.is_string()) return "a list of strings";
      items.push_back(item.as_string()->get());
    }
    *field = std::move(items);
    return nullptr;
  }
};

std::string place(const std::string& origin, const toml::node& node) {
  return "[job] " + origin + ":" + std::to_string(node.source().begin.line);
}

void assign(const Setting& setting, const toml::node& node, const std::string& where) {
  if (const char* expected = std::visit(Assign{node}, setting.value)) {
    throw JobError(where + ": " + setting.name() + " is " + type_name(node) + ", expected " +
                   expected);
  }
  check_setting(setting, where);
}

[[noreturn]] void refuse_unknown(const std::vector<Setting>& settings, const std::string& name,
                                 const std::string& where) {
  std::vector<std::string> names;
  names.reserve(settings.size());
  for (const auto& setting : settings) names.push_back(setting.name());
  const std::vector<std::string_view> known(names.begin(), names.end());
  throw JobError(where + ": unknown key " + name + did_you_mean(name, known));
}

const Setting& find_setting(const std::vector<Setting>& settings, const std::string& name,
                            const std::string& where) {
  for (const auto& setting : settings) {
    if (setting.name() == name) return setting;
  }
  refuse_unknown(settings, name, where);
}

void apply_section(const std::vector<Setting>& settings, std::string_view section,
                   const toml::table& table, const std::string& origin) {
  for (const auto& [key, node] : table) {
    const std::string where = place(origin, node);
    const std::string name = std::string(section) + "." + std::string(key.str());
    assign(find_setting(settings, name, where), node, where);
  }
}

void require_section(const std::vector<Setting>& settings, std::string_view section,
                     const toml::node& node, const std::string& where) {
  std::vector<std::string_view> known;
  for (const auto& setting : settings) {
    if (known.empty() || known.back() != setting.section) known.push_back(setting.section);
  }
  if (std::find(known.begin(), known.end(), section) == known.end()) {
    throw JobError(where + ": unknown " + (node.is_table() ? "section [" : "key ") +
                   std::string(section) + (node.is_table() ? "]" : "") +
                   did_you_mean(section, known) + "; sections: " + joined(known));
  }
  if (!node.is_table()) {
    throw JobError(where + ": " + std::string(section) + " is " + type_name(node) +
                   ", expected a section [" + std::string(section) + "]");
  }
}

toml::table parse(std::string_view text, const std::string& origin) {
  const std::string ascii = ascii_job_text(text, origin);
  try {
    return toml::parse(ascii);
  } catch (const toml::parse_error& error) {
    throw JobError("[job] " + origin + ":" + std::to_string(error.source().begin.line) + ": " +
                   std::string(error.description()));
  }
}

toml::table parse_value(const std::string& value, const std::string& where) {
  try {
    return parse("value = " + value, "--set");
  } catch (const JobError&) {
    throw JobError(where + ": " + value + " is not a TOML value");
  }
}

// The right side of --set as a TOML node; bare words become strings where the setting wants them.
toml::table parse_assigned(const Setting& setting, const std::string& value,
                           const std::string& where) {
  const bool wants_text = std::holds_alternative<std::string*>(setting.value);
  const bool wants_list = std::holds_alternative<std::vector<std::string>*>(setting.value);
  const bool bare =
      value.empty() || (value.front() != '"' && value.front() != '\'' && value.front() != '[');
  toml::table table;
  if (bare && wants_text) {
    table.insert("value", value);
  } else if (bare && wants_list) {
    toml::array items;
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      items.push_back(value.substr(begin, end - begin));
      begin = end + 1;
    }
    table.insert("value", std::move(items));
  } else {
    table = parse_value(value, where);
  }
  return table;
}

std::string hash_of(const Job& job, const std::function<bool(const Setting&)>& counts) {
  Job copy = job;
  std::string text;
  for (const auto& setting : settings_of(copy)) {
    // A job that leaves this at one keeps the hash that it had before there was such a key.
    if (setting.name() == "clients.threads" && job.clients.threads == 1) continue;
    if (counts(setting)) text += setting.name() + " = " + toml_value(setting) + "\n";
  }
  return sha256_hex(std::as_bytes(std::span(text)));
}

struct ToJson {
  template <typename T>
  nlohmann::json operator()(const T* value) const {
    return *value;
  }
};

}  // namespace

std::vector<std::string_view> preset_names() { return {"quick", "full"}; }

Job make_preset(std::string_view name) {
  Job job;
  if (name == "quick") return job;
  if (name != "full") {
    const auto known = preset_names();
    throw JobError("[job] unknown preset " + std::string(name) + did_you_mean(name, known) +
                   "; known: " + joined(known));
  }
  job.clients.epochs = 30;
  job.clients.min_steps = 600;
  job.head.steps = 1500;
  job.distillation.epochs = 60;
  job.distillation.crop_padding = 2;
  return job;
}

void apply_toml(Job& job, std::string_view text, const std::string& origin) {
  const toml::table root = parse(text, origin);
  const auto settings = settings_of(job);
  for (const auto& [section, node] : root) {
    require_section(settings, section.str(), node, place(origin, node));
    apply_section(settings, section.str(), *node.as_table(), origin);
  }
}

void apply_job_file(Job& job, const std::filesystem::path& path) {
  require_file(path, {"job.toml"});
  apply_toml(job, read_text(path, kMaxJobBytes), path.string());
}

Job assemble_job(std::string_view preset, const std::filesystem::path& file,
                 const std::vector<std::string>& assignments) {
  Job job = make_preset(preset);
  if (!file.empty()) apply_job_file(job, file);
  for (const auto& assignment : assignments) apply_assignment(job, assignment);
  return job;
}

void apply_assignment(Job& job, const std::string& assignment) {
  const std::string where = "[job] --set " + assignment;
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos) throw JobError(where + ": expected section.key=value");
  const auto settings = settings_of(job);
  const std::string name = assignment.substr(0, equals);
  const Setting& setting = find_setting(settings, name, where);
  const toml::table table = parse_assigned(setting, assignment.substr(equals + 1), where);
  const toml::node* node = table.get("value");
  if (node == nullptr || table.size() != 1) throw JobError(where + ": expected one value");
  assign(setting, *node, where);
}

std::string write_job(const Job& job) {
  Job copy = job;
  std::string out = "# A fedstill job. Run it with: fedstill simulate FILE\n";
  std::string_view section;
  for (const auto& setting : settings_of(copy)) {
    if (setting.section != section) {
      section = setting.section;
      out += "\n[" + std::string(section) + "]\n";
    }
    std::string line = std::string(setting.key) + " = " + toml_value(setting);
    std::string note(setting.comment);
    if (!setting.choices.empty()) {
      note += (note.empty() ? "" : "; ") + std::string("one of: ") + joined(setting.choices);
    }
    if (!note.empty()) line.append(line.size() < 32 ? 32 - line.size() : 2, ' ').append("# ");
    out += line + note + "\n";
  }
  return out;
}

nlohmann::json job_json(const Job& job) {
  Job copy = job;
  nlohmann::json out;
  for (const auto& setting : settings_of(copy)) {
    out[std::string(setting.section)][std::string(setting.key)] =
        std::visit(ToJson{}, setting.value);
  }
  return out;
}

std::string job_hash(const Job& job) {
  // With one round nothing happens in later ones.
  const bool several = job.round.count > 1;
  return hash_of(job, [&](const Setting& s) {
    return s.changes_result && s.section != "averaging" && (several || s.section != "round");
  });
}

}  // namespace fedstill

#include "launch/completion.h"

#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "launch/command_line.h"
#include "launch/command_outline.h"
#include "launch/settings.h"
#include "model/zoo.h"

namespace fedstill {
namespace {

constexpr const char* kSources = "fashion-mnist mnist: idx: cifar10: synthetic";
constexpr const char* kDevices = "cpu cuda";

std::string words(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : " ") + item;
  return out;
}

std::string setting_keys() {
  Job job;
  std::vector<std::string> keys;
  for (const auto& setting : settings_of(job)) keys.push_back(setting.name() + "=");
  return words(keys);
}

// What may follow --set key=, as the values of a shell's case.
struct KnownValues {
  std::string key, words;
  bool is_list = false;  // several, separated by commas
};
std::vector<KnownValues> setting_values() {
  Job job;
  std::vector<KnownValues> out;
  for (const auto& setting : settings_of(job)) {
    KnownValues known{setting.name(), "",
                      std::holds_alternative<std::vector<std::string>*>(setting.value)};
    for (const std::string_view choice : setting.choices) known.words.append(choice).append(" ");
    if (std::holds_alternative<bool*>(setting.value)) known.words = "true false";
    if (known.key == "data.source") known.words = kSources;
    if (known.key == "run.device") known.words = kDevices;
    if (!known.words.empty()) out.push_back(std::move(known));
  }
  return out;
}

std::string zoo_words() {
  std::string out;
  for (const std::string_view name : zoo_names()) out += std::string(name) + " ";
  return out;
}

// What may follow a flag that is neither a file nor free.
struct Values {
  std::string flag, words;
};
std::vector<Values> flag_values() {
  return {{"--preset", "quick full"},
          {"--model", zoo_words()},
          {"--mode", "model predictions"},
          {"--role", "coordinator client admin"},
          {"--device", kDevices},
          {"--log-level", "debug info warning error"},
          {"--workload", "W1 W2"},
          {"--dtype", "fp32 bf16"},
          {"--data", kSources}};
}

std::string names_of(const std::vector<CommandOutline>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const auto& outline : commands) names.push_back(outline.name);
  return words(names);
}

std::string choices_of(const CommandOutline& command) {
  const std::string fixed = command.name == "completion" ? "bash zsh fish " : "";
  return fixed + names_of(command.commands) + " " + words(command.flags);
}

std::string bash_case(const std::string& pattern, const std::string& choices) {
  return "    " + pattern + ") choices=\"" + choices + "\" ;;\n";
}

// What may follow --set key=. Bash makes words of key, = and value, zsh one of them all; of a list
// the last item is completed.
std::string bash_values() {
  std::string out =
      "_fedstill_values() {\n  local start=$1 key=$2 word=$3 values=\n  case $key in\n";
  for (const auto& known : setting_values()) {
    out += "    " + known.key + ") values=\"" + known.words + "\"";
    if (known.is_list)
      out += "; case $word in *,*) start=$start${word%,*}, word=${word##*,} ;; esac";
    out += " ;;\n";
  }
  return out +
         "  esac\n  case $key in data.source) compopt -o nospace 2> /dev/null ;; esac\n"
         "  COMPREPLY=($(compgen -P \"$start\" -W \"$values\" -- \"$word\"))\n}\n";
}

// Completes words[COMP_CWORD] by the one or two words of the command and by the word before.
std::string bash_script() {
  std::string out = bash_values() + R"(_fedstill() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} choices=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W ")" +
                    names_of(command_outlines()) + R"( --help --version" -- "$word")); return; fi
  local at=$((COMP_CWORD - 2))
  if [ "$at" -ge 2 ] && [ "$word" = = ] && [ "${COMP_WORDS[at]}" = --set ]; then
    _fedstill_values "" "$before" ""; return
  elif [ "$at" -ge 3 ] && [ "$before" = = ] && [ "${COMP_WORDS[at-1]}" = --set ]; then
    _fedstill_values "" "${COMP_WORDS[at]}" "$word"; return
  fi
  case $before in
    --set)
      case $word in *=*) _fedstill_values "${word%%=*}=" "${word%%=*}" "${word#*=}"; return ;; esac
      compopt -o nospace 2> /dev/null; COMPREPLY=($(compgen -W ")" +
                    setting_keys() + R"(" -- "$word")); return ;;
)";
  for (const auto& [flag, values] : flag_values()) {
    out +=
        "    " + flag + ") COMPREPLY=($(compgen -W \"" + values + "\" -- \"$word\")); return ;;\n";
  }
  out +=
      R"(    --run|--resume|--clients-from|--state|--identity|--upstream-identity|--out) COMPREPLY=($(compgen -d -- "$word")); return ;;
  esac
  case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
)";
  for (const auto& command : command_outlines()) {
    for (const auto& nested : command.commands) {
      out += bash_case("\"" + command.name + " " + nested.name + "\"", choices_of(nested));
    }
    out += bash_case("\"" + command.name + " \"*", choices_of(command));
  }
  return out +
         "  esac\n  COMPREPLY=($(compgen -W \"$choices\" -- \"$word\"))\n}\n"
         "complete -o default -F _fedstill fedstill\n";
}

std::string zsh_script() {
  return "#compdef fedstill\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script();
}

// fish matches what was typed against whole words, key=value.
std::string keys_and_values() {
  std::string out = setting_keys();
  for (const auto& known : setting_values()) {
    std::istringstream items(known.words);
    for (std::string item; items >> item;)
      out.append(" ").append(known.key).append("=").append(item);
  }
  return out;
}

std::string fish_flags(const std::string& condition, const std::vector<std::string>& flags) {
  std::string out;
  for (const auto& flag : flags) {
    std::string values = flag == "--set" ? keys_and_values() : "";
    for (const auto& [name, known] : flag_values()) {
      if (name == flag) values = known;
    }
    out += "complete -c fedstill -n '" + condition + "' -l " + flag.substr(2) +
           (values.empty() ? "" : " -x -a '" + values + "'") + "\n";
  }
  return out;
}

std::string fish_script() {
  std::string out = "complete -c fedstill -n __fish_use_subcommand -f\n";
  for (const auto& command : command_outlines()) {
    const std::string in_command = "__fish_seen_subcommand_from " + command.name;
    out += "complete -c fedstill -n __fish_use_subcommand -a " + command.name + " -d '" +
           command.description + "'\n" + fish_flags(in_command, command.flags);
    const std::string nested_names = names_of(command.commands);
    for (const auto& nested : command.commands) {
      out +=
          "complete -c fedstill -n '" + in_command + "; and not __fish_seen_subcommand_from " +
          nested_names + "' -f -a " + nested.name + " -d '" + nested.description + "'\n" +
          fish_flags(in_command + "; and __fish_seen_subcommand_from " + nested.name, nested.flags);
    }
  }
  out += "complete -c fedstill -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  throw UsageError("unknown shell " + std::string(shell) + "; known: bash, zsh, fish");
}

}  // namespace fedstill

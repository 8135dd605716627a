#include "launch/completion.h"

#include "launch/command_line.h"
#include "launch/command_outline.h"
#include "launch/settings.h"
#include "model/zoo.h"

namespace fedstill {
namespace {

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
          {"--device", "cpu cuda"},
          {"--log-level", "debug info warning error"},
          {"--workload", "W1 W2"},
          {"--dtype", "fp32 bf16"},
          {"--data", "fashion-mnist mnist: idx: cifar10:"}};
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

// Completes words[COMP_CWORD] by the one or two words of the command and by the word before.
std::string bash_script() {
  std::string out = R"(_fedstill() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} choices=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W ")" +
                    names_of(command_outlines()) + R"( --help --version" -- "$word")); return; fi
  case $before in
    --set) compopt -o nospace 2> /dev/null; COMPREPLY=($(compgen -W ")" +
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

std::string fish_flags(const std::string& condition, const std::vector<std::string>& flags) {
  std::string out;
  for (const auto& flag : flags) {
    std::string values = flag == "--set" ? setting_keys() : "";
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

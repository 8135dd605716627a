#include "launch/completion.h"

#include "launch/command_line.h"
#include "launch/settings.h"

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

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const auto& outline : command_outlines()) names.push_back(outline.name);
  return names;
}

std::string bash_script() {
  std::string out = R"(_fedstill() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W ")" +
                    words(command_names()) + R"( --help --version" -- "$word")); return; fi
  case $before in
    --set) compopt -o nospace; COMPREPLY=($(compgen -W ")" +
                    setting_keys() + R"(" -- "$word")); return ;;
    --preset) COMPREPLY=($(compgen -W "quick full" -- "$word")); return ;;
    --run|--resume|--clients-from) COMPREPLY=($(compgen -d -- "$word")); return ;;
  esac
  case ${COMP_WORDS[1]} in
)";
  for (const auto& outline : command_outlines()) {
    const std::string fixed = outline.name == "completion" ? "bash zsh fish" : "";
    out += "    " + outline.name + ") COMPREPLY=($(compgen -W \"" + words(outline.flags) +
           (fixed.empty() ? "" : " " + fixed) + "\" -- \"$word\")) ;;\n";
  }
  return out + "  esac\n}\ncomplete -o default -F _fedstill fedstill\n";
}

std::string zsh_script() {
  return "#compdef fedstill\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script();
}

std::string fish_script() {
  std::string out = "complete -c fedstill -n __fish_use_subcommand -f\n";
  for (const auto& outline : command_outlines()) {
    out += "complete -c fedstill -n __fish_use_subcommand -a " + outline.name + " -d '" +
           outline.description + "'\n";
    for (const auto& flag : outline.flags) {
      out += "complete -c fedstill -n '__fish_seen_subcommand_from " + outline.name + "' -l " +
             flag.substr(2) + (flag == "--set" ? " -x -a '" + setting_keys() + "'" : "") + "\n";
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

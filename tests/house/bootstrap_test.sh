#!/usr/bin/env bash
# What launch/bootstrap.sh says where it cannot go on: one line, exit code 69, nothing left behind. Nothing is installed: the programs it asks are
# stand-ins in a PATH of their own.
# Usage: bootstrap_test.sh ROOT
set -euo pipefail
cd "$1"
temp=$(mktemp -d)
trap 'chmod -R u+w "$temp"; rm -rf "$temp"' EXIT
failures=0

stub() {  # stub NAME BODY
  rm -f "${bin:?}/$1"  # a link to the real program is replaced, never written through
  printf '#!/bin/bash\n%s\n' "$2" > "$bin/$1"
  chmod +x "$bin/$1"
}

# A machine on which everything is installed, by a user who is not root.
machine() {
  rm -rf "$temp/deps" "$temp/bin"
  bin=$temp/bin
  mkdir -p "$bin" "$temp/deps/torch" "$temp/deps/oracles"
  for program in bash cat awk grep tr tail mkdir rm mv realpath flock uname; do ln -s "$(type -P "$program")" "$bin/$program"; done
  stub dpkg-query 'for word in "$@"; do case $word in -*|*{*) ;; *) echo "$word installed" ;; esac; done'
  stub id 'echo 1000'
  stub sudo 'exit 1'
  stub apt-get 'echo apt-get was called >&2; exit 1'
  stub df 'printf "Filesystem 1024-blocks Used Available\nx 9 9 99999999\n"'
  stub python3 'echo pip was called >&2; exit 1'
  stub g++ 'exit 0'
  stub cmake 'exit 0'
  echo torch > "$temp/deps/torch/.stamp"
  echo "numpy onnx onnxruntime safetensors" > "$temp/deps/oracles/.stamp"
}

# expect CODE TEXT COMMAND: COMMAND after sourcing the bootstrap ends so, with one line that holds TEXT, or silently where TEXT is empty.
expect() {
  local code=0 said
  said=$(PATH=$bin FEDSTILL_DEPS=$temp/deps FEDSTILL_BUILD=$temp/build bash -c "set -euo pipefail; . launch/bootstrap.sh; $3" 2>&1) || code=$?
  said=$(grep -v '^fedstill: downloading' <<< "$said" || true)
  case "$code $(grep -c . <<< "$said") $said" in
    "$1 0 ") [ -z "$2" ] && return 0 ;;
    "$1 1 fedstill: "*"$2"*) [ -n "$2" ] && return 0 ;;
  esac
  echo "FAILED: $3: exit code $code, expected $1; said: $said, expected: $2"
  failures=$((failures + 1))
}
release() { echo "ID=$1 VERSION_ID=$2 PRETTY_NAME='$1 $2' require_release"; }

machine
expect 0 "" "set_up cpu oracles"
stub flock '[ "$1" != -n ] || exit 99'
expect 0 "waiting for another fedstill that builds or installs in $temp/deps" "set_up cpu oracles"
machine
expect 69 "needs Debian 12 or newer, this is debian 11" "$(release debian 11)"
expect 69 "needs Ubuntu 24.04 or newer, this is ubuntu 22.04" "$(release ubuntu 22.04)"
expect 0 "" "$(release debian 12)"
stub uname 'echo Darwin'
expect 69 "needs Linux on x86-64" require_system

machine
mkdir -p "$temp/build/.lock"  # as if it were another user's, for root, too
stub ninja 'exit 0'
expect 0 "" "build all"
stub ninja 'echo "[1/1] compile"'
expect 69 "cannot write in $temp/build, where something is to be built" "build all"
stub ninja 'exit 1'
expect 69 "cannot tell whether $temp/build is built" "build all"
rmdir "$temp/build/.lock"

machine
stub dpkg-query 'echo "g++ installed"'
expect 69 "sudo apt-get install cmake ninja-build" "install_packages"
stub id 'echo 0'
stub env 'echo "E: Unable to fetch"; exit 100'
expect 69 "apt-get could not install them: E: Unable to fetch" "say() { :; }; die() { echo \"fedstill: \$*\"; exit 69; }; install_packages"

machine
rm "$temp/deps/torch/.stamp"
stub df 'printf "Filesystem 1024-blocks Used Available\nx 9 9 2097152\n"'
expect 69 "LibTorch needs 4 GB in $temp/deps, only 2 GB are free" "install_torch cpu"

machine
rm "$temp/deps/torch/.stamp"
stub python3 'echo "ERROR: no network"; exit 1'
expect 69 "download failed: ERROR: no network" "install_torch cpu"
for left in tmp torch.partial; do
  if [ -e "$temp/deps/$left" ]; then echo "FAILED: a failed download left $left"; failures=$((failures + 1)); fi
done

machine
rm "$bin/g++"
rm -rf "$temp/build"
expect 69 "no C++ compiler" "configure"
stub g++ 'exit 0'
stub cmake 'echo "CMake Error: no such thing"; exit 1'
expect 69 "configure failed: CMake Error: no such thing" "configure"

# Another user's folder, shared. As root every folder can be written, so the lock is a folder there.
machine
mkdir "$temp/deps/.lock"
expect 0 "" "set_up cpu oracles"
expect 69 "cannot write in $temp/deps" "set_up cuda"
rm "$temp/deps/oracles/.stamp"
expect 69 "cannot write in $temp/deps" "set_up cpu oracles"

[ "$failures" = 0 ] && echo "bootstrap_test: every line as expected"
exit "$((failures > 0))"

# Sourced by ./fedstill and ./check: installs what a build needs, configures and builds. Needs bash; run from the repository root.
# FEDSTILL_DEPS  where the torch wheel and the Python oracles live (default .deps); several checkouts may share one.
# FEDSTILL_BUILD the build folder (default build/release).

FEDSTILL_DEPS=$(realpath -m "${FEDSTILL_DEPS:-.deps}")
FEDSTILL_BUILD=$(realpath -m "${FEDSTILL_BUILD:-build/release}")

packages=(g++ cmake ninja-build pkg-config ccache mold python3 python3-pip
  libgtest-dev libgmock-dev libcereal-dev libprotozero-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev
  libsqlite3-dev libsqlitecpp-dev libzip-dev libdeflate-dev zlib1g-dev libpng-dev libssl-dev libopenmpi-dev openmpi-bin prometheus-cpp-dev libjs-chart.js dataset-fashion-mnist)
torch_cpu=(torch==2.11.0 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
cuda_headers=nvidia-cuda-crt==13.0.88  # what the runtime's headers include
oracles=(numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 safetensors==0.8.0)
oracle_names=${oracles[*]%%==*}  # their stamp: who has other versions of them keeps those

say() { printf 'fedstill: %s\n' "$*" >&2; }
die() { say "$*"; exit 69; }

# One clear line for a system this was never meant for, before anything is touched.
require_system() {
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "needs Linux on x86-64, this is $(uname -s) on $(uname -m)"
  command -v dpkg-query > /dev/null || die "needs Debian 12, Ubuntu 24.04 or newer (no dpkg here); see CONTRIBUTING.md for the list of libraries"
  . /etc/os-release
  require_release
}

require_release() {  # by what /etc/os-release says
  local version=${VERSION_ID:-}  # unset on Debian testing
  case "$ID:${version%%.*}" in
    debian:[1-9]|debian:10|debian:11) die "needs Debian 12 or newer, this is ${PRETTY_NAME}" ;;
    ubuntu:[1-9]|ubuntu:1[0-9]|ubuntu:2[0-3]) die "needs Ubuntu 24.04 or newer, this is ${PRETTY_NAME}" ;;
    debian:12) packages+=(libboost1.81-dev) ;;  # its default, 1.74, has an Asio that g++ 12 does not compile
    *) packages+=(libboost-dev) ;;
  esac
}

missing_packages() {
  local have
  have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2> /dev/null | awk '$2 == "installed" {print $1}')
  printf '%s\n' "${packages[@]}" | grep -vxF "$have" || true
}

install_packages() {
  local missing sudo=
  missing=$(missing_packages | tr '\n' ' ')
  [ -n "${missing// /}" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2> /dev/null; then sudo=sudo
    else die "please install, then run this again:  sudo apt-get install $missing"; fi
  fi
  say "installing Debian packages: $missing"
  $sudo apt-get update -qq > /dev/null 2>&1 || true
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing > "$FEDSTILL_DEPS/apt.log" 2>&1 \
    || die "apt-get could not install them: $(tail -n 1 "$FEDSTILL_DEPS/apt.log") (whole log: $FEDSTILL_DEPS/apt.log)"
}

require_disk() {  # require_disk GIGABYTES WHAT
  local free
  free=$(df -Pk "$FEDSTILL_DEPS" | awk 'NR == 2 {print int($4 / 1048576)}')
  [ "$free" -ge "$1" ] || die "$2 needs $1 GB in $FEDSTILL_DEPS, only $free GB are free (FEDSTILL_DEPS may point elsewhere)"
}

# Installs Python packages into $FEDSTILL_DEPS/$1 by way of a temporary folder, so that a broken download leaves nothing behind.
pip_install() {  # pip_install FOLDER STAMP ARGUMENTS...
  local folder=$FEDSTILL_DEPS/$1 stamp=$2
  shift 2
  [ "$(cat "$folder/.stamp" 2> /dev/null)" = "$stamp" ] && return 0
  say "downloading $stamp"
  rm -rf "$folder.partial"
  mkdir -p "$FEDSTILL_DEPS/tmp"  # pip unpacks where the disk was checked
  TMPDIR=$FEDSTILL_DEPS/tmp python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-warn-script-location --target "$folder.partial" "$@" > "$FEDSTILL_DEPS/pip.log" 2>&1 \
    || { rm -rf "$folder.partial" "$FEDSTILL_DEPS/tmp"; die "download failed: $(grep -m 1 -i error "$FEDSTILL_DEPS/pip.log" || tail -n 1 "$FEDSTILL_DEPS/pip.log") (whole log: $FEDSTILL_DEPS/pip.log)"; }
  printf '%s\n' "$stamp" > "$folder.partial/.stamp"
  rm -rf "$folder"
  mv "$folder.partial" "$folder"
  rm -rf "$FEDSTILL_DEPS/tmp"
}

install_torch() {  # install_torch cpu|cuda
  local stamp
  stamp=$(cat "$FEDSTILL_DEPS/torch/.stamp" 2> /dev/null || true)
  if [ "$1" = cuda ]; then
    [[ $stamp == *"with CUDA" ]] && return 0
    require_disk 12 "LibTorch with CUDA"
    pip_install torch "torch 2.11.0 with CUDA" torch==2.11.0 "$cuda_headers"
  else
    [ -n "$stamp" ] && return 0
    require_disk 4 "LibTorch"
    pip_install torch "torch 2.11.0, CPU parts" --no-deps "${torch_cpu[@]}" "$cuda_headers"
  fi
}

configure() {
  local stamp="$FEDSTILL_BUILD/.configured" log="$FEDSTILL_BUILD/configure.log" werror=${FEDSTILL_WERROR:-OFF}
  [ "$(cat "$stamp" 2> /dev/null)" = "$FEDSTILL_DEPS $werror" ] && return 0
  command -v g++ > /dev/null || die "no C++ compiler: apt-get install g++"
  mkdir -p "$FEDSTILL_BUILD" 2> /dev/null || die "cannot create $FEDSTILL_BUILD (FEDSTILL_BUILD may point elsewhere)"
  cmake -S . -B "$FEDSTILL_BUILD" -G Ninja -DFEDSTILL_DEPS="$FEDSTILL_DEPS" -DFEDSTILL_WERROR="$werror" > "$log" 2>&1 \
    || die "configure failed: $(grep -m 1 -A 2 Error "$log" | tr '\n' ' ') (whole log: $log)"
  printf '%s\n' "$FEDSTILL_DEPS $werror" > "$stamp"
}

is_complete() {  # is_complete cpu|cuda [oracles]: nothing is left to install
  local stamp
  stamp=$(cat "$FEDSTILL_DEPS/torch/.stamp" 2> /dev/null || true)
  [ -z "$(missing_packages)" ] && [ -n "$stamp" ] || return 1
  [ "$1" != cuda ] || [[ $stamp == *"with CUDA" ]] || return 1
  [ "${2:-}" != oracles ] || [ "$(cat "$FEDSTILL_DEPS/oracles/.stamp" 2> /dev/null)" = "$oracle_names" ]
}

# Takes the lock that is open as file descriptor $1; says so where another holds it.
wait_for() {  # wait_for DESCRIPTOR FOLDER
  flock -n -E 99 "$1" || { [ $? != 99 ] || say "waiting for another fedstill that builds or installs in $2"; flock "$1"; }
}

# One at a time installs into $FEDSTILL_DEPS. Where it is another user's it is used as it is, if nothing is missing.
lock_deps() {  # lock_deps cpu|cuda [oracles]
  if { exec 8> "$FEDSTILL_DEPS/.lock"; } 2> /dev/null; then wait_for 8 "$FEDSTILL_DEPS"
  elif ! is_complete "$@"; then die "cannot write in $FEDSTILL_DEPS, where something is missing (FEDSTILL_DEPS may point elsewhere)"; fi
}

# set_up cpu|cuda [oracles]: everything a build needs. Where nothing is missing it only looks.
set_up() {
  mkdir -p "$FEDSTILL_DEPS" 2> /dev/null || die "cannot create $FEDSTILL_DEPS (FEDSTILL_DEPS may point elsewhere)"
  require_system
  lock_deps "$@"
  install_packages
  install_torch "$1"
  [ "${2:-}" != oracles ] || pip_install oracles "$oracle_names" "${oracles[@]}"
  configure
  exec 8>&-
}

build() {  # build TARGET...
  local log="$FEDSTILL_BUILD/build.log"
  local plan steps locked=
  if { exec 7> "$FEDSTILL_BUILD/.lock"; } 2> /dev/null; then
    wait_for 7 "$FEDSTILL_BUILD"
    locked=1
  fi
  plan=$(NINJA_STATUS='[%f/%t] ' ninja -C "$FEDSTILL_BUILD" -n "$@") || [ -n "$locked" ] || die "cannot tell whether $FEDSTILL_BUILD is built (does another user build there?)"
  steps=$(grep -c '^\[' <<< "$plan" || true)
  if [ -z "$locked" ]; then  # another user's: used as it is
    [ "$steps" != 0 ] || return 0
    die "cannot write in $FEDSTILL_BUILD, where something is to be built (FEDSTILL_BUILD may point elsewhere)"
  fi
  if [ "$steps" -gt 20 ]; then say "building, $steps steps (a few minutes the first time; log: $log)"; fi
  if [ -t 2 ] && [ "$steps" -gt 0 ]; then
    ninja -C "$FEDSTILL_BUILD" "$@" >&2 || die "the build failed"
  else
    ninja -C "$FEDSTILL_BUILD" "$@" > "$log" 2>&1 || { grep -m 20 -E 'error|FAILED' "$log" >&2; die "the build failed (whole log: $log)"; }
  fi
  exec 7>&-
}

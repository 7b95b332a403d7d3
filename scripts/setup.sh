#!/usr/bin/env bash
# Makes this machine ready to build Streamo: system packages and LibTorch. Installs only what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# The pins. LibTorch is the Python wheel, used as a C++ library; the two NVIDIA packages hold the only
# CUDA libraries its CPU part is linked to (versions as the wheel's own metadata asks for).
readonly kTorch="torch==2.11.0"
readonly kCpuRuntime="nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85"
readonly kVenv="build/venv"
readonly kInstalled="$kVenv/.streamo-libtorch"  # written last: says which variant is complete

usage() {
  cat <<'TEXT'
usage: bash scripts/setup.sh

Installs what building Streamo needs and this machine lacks (Debian packages; LibTorch 2.11.0 into
build/venv). Does nothing, in well under a second, where everything is there.

environment:
  LIBTORCH=DIR    use the LibTorch 2.11 in DIR (it has include/ and lib/) and install none
  STREAMO_CUDA=1  install the CUDA variant of LibTorch even where no NVIDIA driver is seen; 0: the CPU one
  PIP_INDEX_URL, PIP_FIND_LINKS, https_proxy   are respected, as by pip and apt-get themselves
TEXT
}

say() { echo "setup: $*"; }
fail() {  # PLACE WHAT HINT
  printf 'error: %s: %s\n  hint: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

# ---- System packages -----------------------------------------------------------------------------
have() { command -v "$1" >/dev/null 2>&1; }
have_cmake() {
  have cmake && [ "$(printf '%s\n' 3.25 "$(cmake --version | sed -n '1s/[^0-9]*//p')" | sort -V | head -1)" = 3.25 ]
}

# A python that LibTorch's wheel exists for and that can make virtual environments; empty if none.
find_python() {
  local python
  for python in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.10; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
}

# Tools count as present wherever they come from, libraries where the package manager knows them.
missing_packages() {
  have_cmake || echo cmake
  have ninja || echo ninja-build
  have pkg-config || echo pkg-config
  have c++ || have clang++ || echo g++
  [ -n "$(find_python)" ] || echo "python3 python3-venv"
  local libraries="libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libjpeg62-turbo-dev libzstd-dev libsentencepiece-dev
    libgloo-dev libpcre2-dev libutf8proc-dev nlohmann-json3-dev libfmt-dev libcli11-dev libxxhash-dev libgtest-dev libgmock-dev"
  local installed
  installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' $libraries 2>/dev/null || true)"
  local package
  for package in $libraries; do
    case "$installed" in *" installed:$package "*) ;; *) echo "$package" ;; esac
  done
}

# Faster builds (clang with one precompiled header compiles a LibTorch source in 3 s, g++ in 12), the
# formatter of lint.sh, and what tests use: ffmpeg for videos, ip for machines apart. Building and training go on without.
missing_comforts() {
  have clang++ || echo clang
  have ld.lld || echo lld
  have ccache || echo ccache
  have clang-format || echo clang-format
  have ffmpeg || echo ffmpeg
  have ip || echo iproute2
}

may_install() { [ "$(id -u)" = 0 ] || { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_packages() {
  if ! have dpkg-query; then
    say "not a Debian system: install the libraries of third_party/README.md yourself if configuring misses one"
    return
  fi
  local required comforts
  required=$(missing_packages | xargs)
  comforts=$(missing_comforts | xargs)
  [ -n "$required$comforts" ] || return 0
  local command="apt-get install -y --no-install-recommends $required $comforts"
  if ! may_install; then
    [ -n "$required" ] || { say "going on without $comforts (not root, and no sudo here to install them)"; return; }
    fail setup "system packages are missing, and this user may not install them" \
      "run as root and start again: apt-get update && $command"
  fi
  say "installing system packages: $required $comforts"
  local apt="as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"
  { $apt update && $apt install -y --no-install-recommends $required $comforts; } >build/setup.log 2>&1 || {
    tail -20 build/setup.log >&2
    fail build/setup.log "apt-get could not install the packages, its last lines are above" \
      "check the network and /etc/apt/sources.list and start again, or run as root: apt-get update && $command"
  }
}

# ---- LibTorch ------------------------------------------------------------------------------------
wanted_variant() {
  case "${STREAMO_CUDA:-}" in
    1) echo cuda ;;
    0) echo cpu ;;
    "") if [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1; then echo cuda; else echo cpu; fi ;;
    *) fail STREAMO_CUDA "\"$STREAMO_CUDA\" is neither 0 nor 1" "give one of them, or unset it" ;;
  esac
}

# Whether the search of the build finds a LibTorch. A half-made or wrong-variant build/venv does not count.
libtorch_is_there() {
  local found
  if ! found=$(cmake -P third_party/FindLibTorch.cmake 2>&1); then
    [ -z "${LIBTORCH:-}" ] ||
      fail LIBTORCH "there is no LibTorch 2.11 in $LIBTORCH" "unset it, or give the folder of that version that has include/ and lib/"
    return 1
  fi
  [ -z "${LIBTORCH:-}" ] || return 0
  case "$found" in
    */$kVenv/lib/*) [ "$(cat $kInstalled 2>/dev/null)" = "$kTorch $1" ] ;;
  esac
}

install_libtorch() {
  local variant packages gigabytes free_kb python
  variant=$(wanted_variant)
  ! libtorch_is_there "$variant" || return 0
  if [ "$variant" = cuda ]; then
    packages="$kTorch" gigabytes=12
    say "installing LibTorch 2.11.0 with CUDA into $kVenv (2.8 GB to download)"
  else
    packages="--no-deps $kTorch $kCpuRuntime" gigabytes=4
    say "installing LibTorch 2.11.0 for the CPU into $kVenv (0.6 GB to download; no NVIDIA driver seen)"
  fi
  free_kb=$(df -Pk build | awk 'NR == 2 {print $4}')
  [ "$free_kb" -ge $((gigabytes * 1000000)) ] ||
    fail "$PWD/build" "LibTorch needs $gigabytes GB, $((free_kb / 1000000)) GB are free" "make room, or set LIBTORCH to one you have"
  python=$(find_python)
  [ -n "$python" ] || fail PATH "no python3 of version 3.10 to 3.13 with venv" "install one (Debian: apt-get install python3-venv)"
  rm -f "$kInstalled"
  { { [ -x $kVenv/bin/pip ] || "$python" -m venv --clear "$kVenv"; } &&
    "$kVenv/bin/python3" -m pip install --disable-pip-version-check --progress-bar off $packages
  } >build/setup.log 2>&1 || {
    tail -5 build/setup.log >&2
    fail build/setup.log "pip could not install LibTorch, its last lines are above" \
      "check the network (PIP_INDEX_URL or PIP_FIND_LINKS name a mirror or a folder of wheels) and start again, or set LIBTORCH to a LibTorch 2.11 you have"
  }
  echo "$kTorch $variant" >"$kInstalled"
}

case "${1:-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
mkdir -p build 2>/dev/null && [ -w build ] || fail "$PWD/build" "cannot write" "use a checkout that you own"
exec 9>build/.setup-lock
flock 9  # two runs started at once must not install into one environment
install_packages
install_libtorch

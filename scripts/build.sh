#!/usr/bin/env bash
# Builds a preset of CMakePresets.json and makes build/streamo point to its program.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {  # PLACE WHAT HINT EXIT_CODE
  printf 'error: %s: %s\n  hint: %s\n' "$1" "$2" "$3" >&2
  exit "$4"
}

case "${1:-}" in
  -h | --help)
    cat <<'TEXT'
usage: bash scripts/build.sh [PRESET [TARGET...]]     default: release, everything

Configures build/PRESET when that has not been done, builds, and makes build/streamo the built program.
CC and CXX choose the compiler of the first configuration (default: clang where there is one, else g++).
TEXT
    exit 0 ;;
  -*) fail "$1" "unknown option" "see bash scripts/build.sh --help" 2 ;;
esac
preset=${1:-release}
shift || true
folder=build/$preset

mkdir -p build
exec 9>build/.build-lock
flock 9  # two runs started at once share the build

# Ninja itself configures again when a CMake file changed; a newly installed LibTorch it cannot see.
if [ ! -e "$folder/build.ninja" ] || [ build/venv/.streamo-libtorch -nt "$folder/build.ninja" ]; then
  if [ -z "${CXX:-}" ] && command -v clang++ >/dev/null; then
    export CC=clang CXX=clang++
  fi
  echo "build: configuring $folder"
  if ! cmake --preset "$preset" >build/configure.log 2>&1; then
    cat build/configure.log >&2
    fail "$folder" "cmake could not configure, see above" "bash scripts/setup.sh installs what is missing" 1
  fi
fi

# LibTorch sources take 1 to 2 GB of memory each to compile.
memory_jobs=$(awk '/MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
jobs=$(nproc)
[ "$memory_jobs" -ge "$jobs" ] || jobs=$((memory_jobs > 1 ? memory_jobs : 1))
[ -e "$folder/.ninja_log" ] || echo "build: compiling $folder, the first time takes some minutes"
compile() { ninja -C "$folder" -j "$jobs" "$@"; }
if [ -t 1 ]; then
  compile "$@"  # one line that moves
else
  compile --quiet "$@" | { grep -v '^ninja: no work to do' || true; }
fi || fail "$folder" "the build failed" "the first FAILED line above says where" 1

program=$preset/src/app/streamo
if [ -x "build/$program" ] && [ "$(readlink build/streamo)" != "$program" ]; then
  ln -sfn "$program" build/streamo
fi

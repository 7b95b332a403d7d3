#!/usr/bin/env bash
# Builds the fuzz targets of tests/fuzz and runs each for some seconds, from its corpus there and what was found before.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: bash scripts/fuzz.sh [SECONDS [TARGET...]]     default: 60 seconds each, all targets

Needs clang with its compiler-rt (Debian: clang libclang-rt-14-dev). What is new goes to build/fuzz/corpus/TARGET, an
input that crashes to build/fuzz/crashes/TARGET-*; then the exit code is 1. A finding that is mended goes, as small as
it can be made (-minimize_crash=1), to tests/fuzz/corpus/TARGET, which every test run replays.
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  "" | [1-9]*) ;;
  *) usage >&2; exit 2 ;;
esac
seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for corpus in tests/fuzz/corpus/*/; do targets+=("$(basename "$corpus")"); done
fi

bash scripts/build.sh fuzz "${targets[@]/%/_fuzz}"
mkdir -p build/fuzz/crashes
rm -f build/fuzz/crashed

fuzz_target() {  # TARGET SECONDS
  local target=$1 found=build/fuzz/corpus/$1 log=build/fuzz/$1.log dictionary=
  mkdir -p "$found"
  [ ! -e "tests/fuzz/$target.dict" ] || dictionary=-dict=tests/fuzz/$target.dict
  # shellcheck disable=SC2086
  "build/fuzz/tests/fuzz/${target}_fuzz" -max_total_time="$2" -timeout=30 -rss_limit_mb=4096 -max_len=2500000 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/crashes/$target-" $dictionary \
    "$found" "tests/fuzz/corpus/$target" >"$log" 2>&1 || echo "$target" >>build/fuzz/crashed
  printf 'fuzz: %-16s %s inputs\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
}
export -f fuzz_target
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I TARGET bash -c 'fuzz_target "$@"' bash TARGET "$seconds"
[ ! -e build/fuzz/crashed ] || {
  printf 'error: %s: crashes, see build/fuzz/TARGET.log\n  hint: run build/fuzz/tests/fuzz/TARGET_fuzz with the file in build/fuzz/crashes\n' "$(xargs <build/fuzz/crashed)" >&2
  exit 1
}

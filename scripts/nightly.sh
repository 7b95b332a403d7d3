#!/usr/bin/env bash
# What takes too long for every change: all presets with sanitizers, the full fault counts, minutes of fuzzing, clang-tidy
# over everything. Writes docs/nightly.md.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly kParts="debug asan tsan faults fuzz tidy"
readonly kFuzzSeconds="${STREAMO_FUZZ_SECONDS:-300}"  # each target
readonly kResults=build/nightly                       # PART.log: all it printed
readonly kTable=docs/nightly.md                       # the row of a part stays until it is run again

usage() {
  cat <<TEXT
usage: bash scripts/nightly.sh [PART...]     default: all of: $kParts

  debug   builds the preset debug and runs all tests
  asan    the same with the address and undefined-behaviour sanitizers
  tsan    the thread sanitizer: tests of the modules without LibTorch, and of what has threads of ours
  faults  every fault point, 204 kills, 100 signals (STREAMO_FULL_FAULTS=1; build/release)
  fuzz    each target of tests/fuzz for $kFuzzSeconds s (STREAMO_FUZZ_SECONDS)
  tidy    clang-tidy over all sources

All of it takes some ten hours of one core. A part that has passed for this commit is not run again: after a break the
same command goes on, and so it does on another machine with the table, $kTable. Needs clang with compiler-rt and clang-tidy (Debian: clang libclang-rt-14-dev clang-tidy).
TEXT
}

for argument in "$@"; do
  case " $kParts " in
    *" $argument "*) ;;
    *)
      case "$argument" in -h | --help) usage; exit 0 ;; esac
      usage >&2
      exit 2 ;;
  esac
done

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain -- . ':!docs/nightly.md' 2>/dev/null)" ] || commit=$commit-changed
export ASAN_OPTIONS=detect_stack_use_after_return=0  # LibTorch's threads have small stacks
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=1 second_deadlock_stack=1"

test_preset() {  # PRESET CTEST-ARGUMENT...
  local preset=$1 status=0
  shift
  bash scripts/build.sh "$preset" || return 1
  rm -f "$kResults/$preset.xml"
  OMP_NUM_THREADS=1 ctest --test-dir "build/$preset" --output-on-failure -j2 --output-junit "$PWD/$kResults/$preset.xml" "$@" || status=1
  counts=$(python3 scripts/test_report.py "$kResults/$preset.xml")
  return $status
}

run_debug() { what="all tests, preset debug"; test_preset debug; }
run_asan() { what="all tests, address and undefined-behaviour sanitizers"; test_preset asan; }
run_tsan() {
  what="tests of core, video, text, data, parallel, run, checkpoint, thread sanitizer"
  test_preset tsan -L '^(core|video|text|data|parallel|run|checkpoint)$'
}
run_faults() {
  what="every fault point of a save and of whole runs, 204 kills, 100 signals"
  bash scripts/build.sh release || return 1
  local status=0
  for run in "checkpoint/checkpoint_test SaveFaults.*" "app/app_test *RandomKills*:*CrashPoints*:*RandomStops*:TrainFaults.*"; do
    STREAMO_FULL_FAULTS=1 OMP_NUM_THREADS=1 "build/release/tests/${run% *}" --gtest_filter="${run#* }" || status=1
  done
  counts=$(awk '/^\[  (PASSED|FAILED)  \] [0-9]+ test/ {n[$2] += $4} END {print n["PASSED"] + 0 " passed, " n["FAILED"] + 0 " failed"}' "$kResults/faults.log")
  return $status
}
run_fuzz() {
  what="each fuzz target for $kFuzzSeconds s, address and undefined-behaviour sanitizers"
  local status=0
  bash scripts/fuzz.sh "$kFuzzSeconds" || status=1
  counts=$(awk '/^fuzz: / {targets++; inputs += $3} END {print targets + 0 " targets, " inputs + 0 " inputs"}' "$kResults/fuzz.log")
  return $status
}
run_tidy() {
  what="clang-tidy over all sources"
  bash scripts/build.sh release || return 1
  local status=0
  bash scripts/lint.sh --tidy "$(git hash-object -t tree /dev/null)" || status=1
  counts="$(git ls-files 'src/*.cpp' 'tests/*.cpp' | wc -l) files, $(grep -c ' warning: \| error: ' "$kResults/tidy.log") findings"
  return $status
}

row_of() {  # PART
  grep -s -m1 "^| $1 |" "$kTable" || echo "| $1 | | | not run | | | | |"
}
write_table() {  # PART ROW
  {
    echo "# Nightly"
    echo
    echo "What takes too long for every change, as \`bash scripts/nightly.sh\` found it last, each part at its commit."
    echo
    echo "| part | what ran | counts | result | minutes | date | commit | machine |"
    echo "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for part in $kParts; do
      if [ "$part" = "$1" ]; then echo "$2"; else row_of "$part"; fi
    done
  } >"$kResults/table"
  mv "$kResults/table" "$kTable"
}

mkdir -p "$kResults"
machine="$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | sed 's/^ //'), $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GB", $2 / 1e6}' /proc/meminfo)"
failed=()
for part in ${*:-$kParts}; do
  if [[ $commit != *-changed ]] && row_of "$part" | grep -q "| passed |.*| $commit |"; then
    echo "nightly: $part has passed for $commit"
    continue
  fi
  echo "nightly: $part, see $kResults/$part.log"
  what="" counts="" result=passed started=$SECONDS
  # Not in a subshell, which would lose what it counts.
  "run_$part" >"$kResults/$part.log" 2>&1 || result=failed
  [ $result = passed ] || failed+=("$part")
  write_table "$part" "| $part | $what | $counts | $result | $(((SECONDS - started + 59) / 60)) | $(date +%F) | $commit | $machine |"
done
cat "$kTable"
[ ${#failed[@]} = 0 ] || {
  printf 'error: %s: failed\n  hint: see build/nightly/PART.log\n' "${failed[*]}" >&2
  exit 1
}

#!/usr/bin/env bash
# One command from a fresh checkout to a trained model: sets up, builds and trains.
set -euo pipefail
readonly kRoot=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly kStreamo=$kRoot/build/streamo
# OpenMP threads that spin long while they wait take the cores from the threads that decode: with the default the
# first steps take twice as long. Less than this and waking them costs more than it gives.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}

usage() {
  cat <<'TEXT'
usage: bash train.sh                               the example: makes clips, trains a small model, measures it
       bash train.sh CONFIG.json [key=value ...]   trains as the config says (streamo config lists all keys)

Sets up and builds first where needed. A stopped run (SIGTERM, Ctrl-C) saves and exits with 20; the same
command with the same checkpoint.dir goes on from there. Paths in key=value count from the current folder.
Other exit codes: 2 usage, 10 config, 11 data, 12 model, 13 checkpoint, 14 disk, 15 memory, 23 loss not finite.
TEXT
}

fail() { echo "error: $1" >&2; exit "$2"; }

# Each variable tells how many processes a launcher started, or should start, for one run.
refuse_several_ranks() {
  local variable value
  for variable in NPROC_PER_NODE NNODES WORLD_SIZE SLURM_STEP_NUM_TASKS OMPI_COMM_WORLD_SIZE PMI_SIZE; do
    value=${!variable:-1}
    [ "$value" = 1 ] ||
      fail "a run of several processes is not supported yet, $variable=$value, set it to 1 or unset it and start one process" 2
  done
}

prepare() {
  bash "$kRoot/scripts/setup.sh"
  bash "$kRoot/scripts/build.sh" release streamo
}

# Runs the command, hands a stop signal to it exactly once per signal we get, and waits until it has saved.
# A session of its own: what is sent to our whole process group (Ctrl-C, timeout) must not reach it twice,
# because the second signal means "at once".
run_stoppable() {
  local child status
  setsid setpriv --pdeathsig TERM "$@" &
  child=$!
  trap 'kill -TERM "$child" 2>/dev/null || true' TERM INT
  while :; do
    status=0
    wait "$child" || status=$?
    kill -0 "$child" 2>/dev/null || break  # otherwise it was our own wait that the signal ended
  done
  if [ "$status" -gt 128 ]; then
    status=0
    wait "$child" || status=$?
  fi
  trap - TERM INT
  return "$status"
}

claim_run_folder() {  # prints the first free runs/example-N; mkdir lets only one of two runs have it
  local number=1
  mkdir -p "$kRoot/runs"
  until mkdir "$kRoot/runs/example-$number" 2>/dev/null; do
    [ -e "$kRoot/runs/example-$number" ] || fail "cannot create a run folder, $kRoot/runs, make it writable" 14
    number=$((number + 1))
  done
  echo "$kRoot/runs/example-$number"
}

summarise() {  # RUN SECONDS
  python3 - "$@" <<'PY'
import glob, json, os, sys
run, seconds = sys.argv[1], int(sys.argv[2])
evaluations = glob.glob(run + "/eval-*.json")
result = json.load(open(max(evaluations, key=lambda path: int(path.rsplit("-", 1)[1][:-5]))))
def number(value):
    return "none" if value is None else f"{value:.3f}"
print(f"""
Held-out: {result["samples"]} samples of videos it never saw, fed with its own predictions
  macro-F1 of the three states       {number(result["macro_f1"])}
  responses within 1 s of the event  {number(result["response_timing"]["within_1s"])}
  answers exactly right              {number(result["answer_exact_match"])}
All told {seconds // 60} min {seconds % 60} s.
  report  {run}/report.html
  model   {run}/final (Hugging Face format)
  again, on other videos:
    build/streamo synthesize --out build/example-data/other --clips 60 --seed 3
    build/streamo eval --model {os.path.relpath(run)}/final --data build/example-data/other/raw_data.json""")
PY
}

run_example() {
  local data=$kRoot/build/example-data run status=0
  "$kStreamo" synthesize --out "$data/train" --clips 1800 --seed 5
  "$kStreamo" synthesize --out "$data/heldout" --clips 60 --seed 2
  "$kStreamo" convert to-stream --input "$data/heldout/raw_data.json" --output "$data/heldout/stream_format.json"
  run=$(claim_run_folder)
  run_stoppable "$kStreamo" train "$kRoot/configs/example.json" "checkpoint.dir=$run" || status=$?
  if [ "$status" = 20 ]; then
    echo "Go on with: bash train.sh configs/example.json checkpoint.dir=$run" >&2
  fi
  [ "$status" = 0 ] || exit "$status"
  summarise "$run" $SECONDS
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
esac
refuse_several_ranks
if [ $# = 0 ]; then
  prepare
  run_example
else
  [ -f "$1" ] || fail "there is no such config file, $1, give the path of a JSON config first (examples: $kRoot/configs)" 10
  prepare
  exec "$kStreamo" train "$@"
fi

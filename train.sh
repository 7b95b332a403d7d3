#!/usr/bin/env bash
# One command from a fresh checkout to a trained model: sets up, builds and trains.
set -euo pipefail
readonly kRoot=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly kStreamo=$kRoot/build/streamo
readonly kTimeToFollow=15  # seconds
# OpenMP threads that spin long while they wait take the cores from the threads that decode: with the default the
# first steps take twice as long. Less than this and waking them costs more than it gives.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}

usage() {
  cat <<'TEXT'
usage: bash train.sh                               the example: makes clips, trains a small model, measures it
       bash train.sh CONFIG.json [key=value ...]   trains as the config says (streamo config lists all keys)

On GPUs one process each; NPROC_PER_NODE, NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT as torchrun has them. Under
torchrun, srun or mpirun it is one of their processes.
Sets up and builds first where needed. A stopped run (SIGTERM, Ctrl-C) saves and exits with 20; the same
command with the same checkpoint.dir goes on from there. Paths in key=value count from the current folder.
Other exit codes: 2 usage, 10 config, 11 data, 12 model, 13 checkpoint, 14 disk, 15 memory, 21 another
process ended, 22 one stood still, 23 loss not finite.
TEXT
}

fail() { echo "error: $1" >&2; exit "$2"; }

prepare() {
  bash "$kRoot/scripts/setup.sh"
  bash "$kRoot/scripts/build.sh" release streamo
}

# Waits for processes and hands a stop signal to each exactly once per signal we get. The status is that of the one
# whose fault it was: 21 only says that another process ended. One that fails has the others killed if they do not
# follow of themselves: before all have come together they cannot know of each other.
wait_for() {
  local process status result=0 killer='' running=" $* "
  trap 'kill -TERM $running 2>/dev/null || true' TERM INT
  while [ -n "${running// /}" ]; do
    # shellcheck disable=SC2086  # numbers of processes
    wait -n $running 2>/dev/null || true  # until one has ended, or a signal has come to us
    for process in $running; do
      if kill -0 "$process" 2>/dev/null; then continue; fi
      status=0
      wait "$process" 2>/dev/null || status=$?
      running=${running/ $process / }
      if [ "$result" = 0 ] || { [ "$result" = 21 ] && [ "$status" != 0 ]; }; then result=$status; fi
      if [ "$status" = 0 ] || [ "$status" = 20 ] || [ -n "$killer" ] || [ -z "${running// /}" ]; then continue; fi
      # shellcheck disable=SC2086
      (sleep "$kTimeToFollow" && kill -KILL $running) >/dev/null 2>&1 &
      killer=$!
    done
  done
  [ -z "$killer" ] || kill "$killer" 2>/dev/null || true
  trap - TERM INT
  return "$result"
}

# In a session of its own: what is sent to our whole process group (Ctrl-C, timeout) must not reach it twice, because
# the second signal means "at once".
start() { setsid setpriv --pdeathsig TERM "$@" & }

run_stoppable() {
  start "$@"
  wait_for $!
}

number_of_gpus() {
  local gpus=0
  if command -v nvidia-smi >/dev/null; then gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true); fi
  echo "$gpus"
}

# One process a GPU, or as many as NPROC_PER_NODE says; with the variables that torchrun would set.
run_ranks() {
  local nodes=${NNODES:-1} node=${NODE_RANK:-0} count=${NPROC_PER_NODE:-$(number_of_gpus)} variable local_rank
  local processes=()
  [ "$count" != 0 ] || count=1
  for variable in nodes node count; do
    [[ ${!variable} =~ ^[0-9]+$ ]] ||
      fail "\"${!variable}\" is no number, NNODES, NODE_RANK or NPROC_PER_NODE, give a whole number" 2
  done
  [ "$nodes" -ge 1 ] && [ "$node" -lt "$nodes" ] && [ "$count" -ge 1 ] ||
    fail "NODE_RANK=$node is not below NNODES=$nodes, or NPROC_PER_NODE=$count starts nothing, correct them" 2
  if [ "$nodes" = 1 ]; then
    export MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}
    MASTER_PORT=${MASTER_PORT:-$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')}
  else
    [ -n "${MASTER_ADDR:-}" ] ||
      fail "MASTER_ADDR is not set and NNODES=$nodes, set it to the address of the machine with NODE_RANK=0" 2
    MASTER_PORT=${MASTER_PORT:-29500}
  fi
  export MASTER_ADDR MASTER_PORT WORLD_SIZE=$((nodes * count)) LOCAL_WORLD_SIZE=$count
  for ((local_rank = 0; local_rank < count; ++local_rank)); do
    export RANK=$((node * count + local_rank)) LOCAL_RANK=$local_rank
    start "$kStreamo" train "$@"
    processes+=($!)
  done
  wait_for "${processes[@]}"
}

launched_by_another() {  # torchrun, srun, mpirun: this is one of their processes
  [ -n "${RANK:-}${WORLD_SIZE:-}${SLURM_STEP_NUM_TASKS:-}${OMPI_COMM_WORLD_SIZE:-}${PMI_SIZE:-}" ]
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
  see it watch a video that it never saw:
    build/streamo watch --model {os.path.relpath(run)}/final --annotations build/example-data/heldout/raw_data.json \\
        --video build/example-data/heldout/videos/000006.mp4
  measure again, on other videos:
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
if [ $# = 0 ]; then
  prepare
  run_example
else
  [ -f "$1" ] || fail "there is no such config file, $1, give the path of a JSON config first (examples: $kRoot/configs)" 10
  prepare
  if launched_by_another; then exec "$kStreamo" train "$@"; fi
  run_ranks "$@"
fi

#!/usr/bin/env bash
# One command from a fresh checkout to a trained model: sets up, builds and trains.
set -euo pipefail
readonly kRoot=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly kStreamo=$kRoot/build/streamo
readonly kTimeToFollow=15  # seconds

usage() {
  cat <<'TEXT'
usage: bash train.sh                               the example: makes clips, trains a small model, measures it
       bash train.sh CONFIG.json [key=value ...]   trains as the config says (streamo config lists all keys)

On GPUs one process each; NPROC_PER_NODE, NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT as torchrun has them. Under
torchrun, srun or mpirun it is one of their processes; where srun or mpirun started one alone on its machine (srun --pty
bash), it starts the processes of that machine itself.
Sets up and builds first where needed. A stopped run (SIGTERM, Ctrl-C, lost terminal) saves and exits with 20; the
same command with the same checkpoint.dir goes on from there. SIGUSR1 saves and goes on.
Paths in key=value count from the current folder.
Other exit codes: 2 usage, 10 config, 11 data, 12 model, 13 checkpoint, 14 disk, 15 memory, 21 another
process ended, 22 one stood still, 23 loss not finite.
TEXT
}

fail() {  # PLACE WHAT HINT EXIT_CODE
  printf 'error: %s: %s\n  hint: %s\n' "$1" "$2" "$3" >&2
  exit "$4"
}

prepare() {
  bash "$kRoot/scripts/setup.sh"
  bash "$kRoot/scripts/build.sh" release streamo
}

# Waits for processes and hands a stop signal (or SIGUSR1: save and go on) to each exactly once per signal we get. The
# status is that of the one whose fault it was: 21 only says that another process ended. One that fails has the others
# killed if they do not follow of themselves: before all have come together they cannot know of each other.
wait_for() {
  local process tick status result=0 killer='' running=" $* "
  trap 'kill -USR1 $running 2>/dev/null || true' USR1
  trap 'kill -TERM $running 2>/dev/null || true' TERM INT HUP
  while [ -n "${running// /}" ]; do
    # Until one has ended, or a signal has come to us. What ends just before it, `wait -n` may miss: look again soon.
    sleep 2 >/dev/null 2>&1 &
    tick=$!
    # shellcheck disable=SC2086  # numbers of processes
    wait -n $running "$tick" 2>/dev/null || true
    kill "$tick" 2>/dev/null || true
    for process in $running; do
      if kill -0 "$process" 2>/dev/null; then continue; fi
      status=0
      wait "$process" 2>/dev/null || status=$?
      running=${running/ $process / }
      [ "$status" -le 128 ] || echo "train.sh: process $process was ended by SIG$(kill -l "$status")" >&2
      if [ "$result" = 0 ] || { [ "$result" = 21 ] && [ "$status" != 0 ]; }; then result=$status; fi
      if [ "$status" = 0 ] || [ "$status" = 20 ] || [ -n "$killer" ] || [ -z "${running// /}" ]; then continue; fi
      # shellcheck disable=SC2086
      (sleep "$kTimeToFollow" && kill -KILL $running) >/dev/null 2>&1 &
      killer=$!
    done
  done
  [ -z "$killer" ] || kill "$killer" 2>/dev/null || true
  trap - TERM INT HUP
  trap : USR1
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
  if [ "$gpus" != 0 ] && [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then  # nvidia-smi does not look at it
    gpus=$(tr ',' '\n' <<<"$CUDA_VISIBLE_DEVICES" | awk '!/^ *[^-[:space:]]/ {exit} {++n} END {print n + 0}')
  fi
  echo "$gpus"
}

random_text() { od -An -N32 -v -tx1 /dev/urandom | tr -d ' \n'; }

is_number() { [[ $1 =~ ^(0|[1-9][0-9]{0,4})$ ]]; }

require_number() {  # VARIABLE LEAST
  [ -z "${!1:-}" ] || { is_number "${!1}" && [ "${!1}" -ge "$2" ]; } ||
    fail "$1" "\"${!1}\" is no number from $2 to 99999" "give a whole number, or unset it" 2
}

# One process a GPU, or as many as NPROC_PER_NODE says; with the variables that torchrun would set.
run_ranks() {
  local nodes=${NNODES:-1} node=${NODE_RANK:-0} count=${NPROC_PER_NODE:-$(number_of_gpus)} local_rank
  local processes=()
  [ "$count" != 0 ] || count=1
  [ "$node" -lt "$nodes" ] ||
    fail "NODE_RANK, NNODES" "NODE_RANK=$node is not below NNODES=$nodes" "the machines count from 0" 2
  if [ "$nodes" = 1 ]; then
    export MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}
    MASTER_PORT=${MASTER_PORT:-$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')}
  else
    [ -n "${MASTER_ADDR:-}" ] ||
      fail MASTER_ADDR "not set, and there are $nodes machines" "set it to the address of the machine with NODE_RANK=0" 2
    MASTER_PORT=${MASTER_PORT:-29500}
  fi
  # Several machines are to be given one and the same.
  if [ "$nodes" = 1 ]; then export STREAMO_RUN_SECRET=${STREAMO_RUN_SECRET:-$(random_text)}; fi
  export MASTER_ADDR MASTER_PORT WORLD_SIZE=$((nodes * count)) LOCAL_WORLD_SIZE=$count
  for ((local_rank = 0; local_rank < count; ++local_rank)); do
    export RANK=$((node * count + local_rank)) LOCAL_RANK=$local_rank
    start "$kStreamo" train "$@"
    processes+=($!)
  done
  wait_for "${processes[@]}"
}

# Who started this process, if it was not a user: prints the names of the variables that say of how many processes it
# is one, which of them, and how many of them are on this machine. Open MPI starts its daemons with srun, so its own
# variables go before Slurm's; and one task of Slurm may be a shell (srun --pty bash) in which MPICH was called.
launcher() {
  if [ -n "${RANK:-}${WORLD_SIZE:-}" ]; then
    echo torchrun WORLD_SIZE RANK LOCAL_WORLD_SIZE
  elif [ -n "${OMPI_COMM_WORLD_SIZE:-}" ]; then
    echo mpirun OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_LOCAL_SIZE
  elif [ "${SLURM_STEP_NUM_TASKS:-1}" != 1 ] || [ "${SLURM_STEP_NUM_TASKS:+${PMI_SIZE:-1}}" = 1 ]; then
    echo srun SLURM_STEP_NUM_TASKS SLURM_PROCID SLURM_STEP_TASKS_PER_NODE
  elif [ -n "${PMI_SIZE:-}" ]; then
    echo mpirun PMI_SIZE PMI_RANK MPI_LOCALNRANKS
  fi
}

# The processes of this machine: those of the launcher, or where it started one alone on each machine, those that this
# one starts in its turn. What contradicts the launcher is refused, not ignored.
run() {
  local by size rank per_machine here wanted
  require_number NPROC_PER_NODE 1
  require_number NNODES 1
  require_number NODE_RANK 0
  read -r by size rank per_machine <<<"$(launcher)"
  if [ -z "$by" ]; then run_ranks "$@"; return; fi
  [ -n "${!per_machine:-}" ] || [ "${!size:-}" != 1 ] || per_machine=$size
  here=${!per_machine:-}
  if [[ $here =~ ^([0-9]+)\(x[0-9]+\)$ ]]; then here=${BASH_REMATCH[1]}; fi  # Slurm: 2(x3), three machines of two
  wanted=${NPROC_PER_NODE:-$(number_of_gpus)}
  [ "$wanted" != 0 ] || wanted=1
  if [ "$by" != torchrun ] && [ "$here" = 1 ] && [ $((wanted * ${NNODES:-1})) -gt 1 ]; then
    [ "${!size}" = 1 ] || [ "${NNODES:-${!size}}" = "${!size}" ] ||
      fail "NNODES, $size" "NNODES=$NNODES contradicts $size=${!size}, of $by" "unset NNODES, or let $by start as many" 2
    export NNODES=${NNODES:-${!size}} NODE_RANK=${NODE_RANK:-${!rank:-0}}
    echo "train.sh: $by started one process on this machine, it starts $wanted${NPROC_PER_NODE:+ (NPROC_PER_NODE)}" >&2
    run_ranks "$@"
    return
  fi
  [ -z "${NPROC_PER_NODE:-}" ] || [ -z "$here" ] || [ "$here" = "$NPROC_PER_NODE" ] ||
    fail "NPROC_PER_NODE, $per_machine" "NPROC_PER_NODE=$NPROC_PER_NODE contradicts $per_machine=${!per_machine}, of $by" \
      "unset NPROC_PER_NODE, or let $by start as many on each machine" 2
  if [ -n "${NNODES:-}" ] && is_number "$here" && is_number "${!size:-}" && [ $((NNODES * here)) != "${!size}" ]; then
    fail "NNODES, $size" "NNODES=$NNODES contradicts $size=${!size}, of $by, which started $here here" \
      "unset NNODES, or let $by start as many" 2
  fi
  exec "$kStreamo" train "$@"
}

claim_run_folder() {  # prints the first free runs/example-N; mkdir lets only one of two runs have it
  local number=1
  mkdir -p "$kRoot/runs"
  until mkdir "$kRoot/runs/example-$number" 2>/dev/null; do
    [ -e "$kRoot/runs/example-$number" ] || fail "$kRoot/runs" "cannot create a run folder" "make it writable" 14
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

trap '' USR2
trap : USR1  # until there is something to save; the default would end us
case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
esac
if [ $# = 0 ]; then
  prepare
  run_example
else
  [ -f "$1" ] || fail "$1" "there is no such config file" "give the path of a JSON config first (examples: $kRoot/configs)" 10
  prepare
  run "$@"
fi

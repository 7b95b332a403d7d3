#!/usr/bin/env bash
# A training run under Slurm: a task a GPU, started again by Slurm until it is done.
#
#   sbatch --nodes 2 scripts/slurm.sh configs/qwen2_5_vl_3b.json checkpoint.dir=/shared/runs/mine
#
# Everything else is an option of sbatch, on the command line or here: tasks (= GPUs) a node, CPUs a
# task (decoding and data.num_workers live on them), time. A run that comes near the end of its time
# saves, exits with 20 and is put back into the queue; so is one that lost a machine. The same
# checkpoint.dir must be reachable from all machines, and so must this checkout, built (bash train.sh
# CONFIG does that; or bash scripts/setup.sh && bash scripts/build.sh release streamo).
#SBATCH --job-name=streamo
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=12
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=streamo-%j.log
set -euo pipefail

usage() { sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
fail() {  # PLACE WHAT HINT
  printf 'error: %s: %s\n  hint: %s\n' "$1" "$2" "$3" >&2
  exit 2
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  "" | -*) usage >&2; exit 2 ;;
esac
[ -n "${SLURM_JOB_ID:-}" ] || fail SLURM_JOB_ID "this is no job of Slurm" "start it with sbatch"
[ -f "$1" ] || fail "$1" "there is no such config file" "give the path of a JSON config first"
# sbatch runs a copy of this file; the checkout is where it was called.
root=${STREAMO_ROOT:-${SLURM_SUBMIT_DIR:-$PWD}}
readonly root streamo=$root/build/streamo
[ -x "$streamo" ] || fail "$streamo" "the program is not built" \
  "call sbatch in the checkout (or set STREAMO_ROOT), after bash scripts/build.sh release streamo"

# The ranks, and the port, are read from what srun sets for each task; only where rank 0 is must be
# said, since it is on the first machine of the job, not where sbatch was called.
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
MASTER_ADDR=${hosts%%$'\n'*}
# srun hands it to all tasks: strangers in the cluster's network cannot take part.
STREAMO_RUN_SECRET=${STREAMO_RUN_SECRET:-$(od -An -N32 -v -tx1 /dev/urandom | tr -d ' \n')}
export MASTER_ADDR STREAMO_RUN_SECRET

# The signal before the end of the time reaches the tasks (--signal without B:). One of them that
# fails ends of itself what the others do, with a message; --kill-on-bad-exit is for what cannot.
# What scancel sends to this script goes on to srun, and from there to the tasks.
srun --kill-on-bad-exit=0 --wait=60 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  "$streamo" train "$@" &
readonly tasks=$!
trap '' USR2
trap 'kill -USR1 "$tasks" 2>/dev/null || true' USR1
trap 'kill -TERM "$tasks" 2>/dev/null || true' TERM INT HUP
while kill -0 "$tasks" 2>/dev/null; do wait "$tasks" 2>/dev/null || true; done  # a signal ends a wait
status=0
wait "$tasks" || status=$?
case $status in
  20) again=yes ;;                                                     # stopped and saved
  21 | 22 | 137) [ "${SLURM_RESTART_COUNT:-0}" -ge 10 ] || again=yes ;;  # ended, hung, killed: not for ever
esac
if [ -n "${again:-}" ]; then
  echo "streamo: ended with $status, back into the queue" >&2
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"

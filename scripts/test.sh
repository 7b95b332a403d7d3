#!/usr/bin/env bash
# Sets up, builds and runs every test; arguments go to ctest (`-L video`: one module, `-R name`: by name).
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  echo "usage: bash scripts/test.sh [CTEST-ARGUMENT...]    all tests; -L MODULE or -R REGEX runs some"
  exit 0
fi

bash scripts/setup.sh
bash scripts/oracle.sh || echo "test: going on without transformers, the tests labelled oracle are skipped"
bash scripts/lint.sh && lint=passed || lint=failed
bash scripts/build.sh release
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # two tests at once: more threads only get in each other's way
ctest --test-dir build/release --output-on-failure -j2 "$@"
if [ $lint = failed ]; then
  printf 'error: sources: the tests passed, but scripts/lint.sh did not\n  hint: see its lines before the build\n' >&2
  exit 1
fi

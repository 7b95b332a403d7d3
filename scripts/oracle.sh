#!/usr/bin/env bash
# Makes build/oracle-venv: a Python with transformers, which the tests labelled `oracle` compare us with.
# Only tests use it; without it they are skipped. Needs what scripts/setup.sh has installed.
set -euo pipefail
cd "$(dirname "$0")/.."

# The first with what they need; the others are linked to torch, or used for a file they carry.
readonly kPackages="transformers==5.23.0 tokenizers==0.23.3 safetensors==0.8.0 numpy==2.4.6 pillow==12.3.0
  filelock typing-extensions sympy networkx jinja2 fsspec sentencepiece==0.2.3 protobuf==7.36.2"
readonly kWithoutNeeds="torchvision==0.26.0 dashscope==2.0.2"
readonly kVenv=build/oracle-venv
readonly kInstalled=$kVenv/.streamo-oracle  # written last

usage() {
  cat <<'TEXT'
usage: bash scripts/oracle.sh

Makes build/oracle-venv with transformers 5.23.0 for the tests labelled `oracle` (ctest -L oracle), which are
skipped where it is missing. Takes torch from build/venv (scripts/setup.sh).
TEXT
}

fail() {  # PLACE WHAT HINT
  printf 'error: %s: %s\n  hint: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

# The wheel of torch is linked to CUDA libraries (2.2 GB) of which a run on the CPU calls nothing. Where they are
# not installed, stand-ins satisfy the loader: empty libraries of their names, and one that has all their functions
# and stops the program should one ever be called.
write_stand_ins() {  # SITE_PACKAGES TORCH_DIR
  local folder=$1/cuda_stand_ins library needed
  mkdir -p "$folder"
  for library in "$2"/lib/*.so "$1"/torchvision/*.so; do
    for needed in $(objdump -p "$library" | awk '/NEEDED/ && $2 ~ /^lib(cu|nv|nccl)/ {print $2}'); do
      [ -e "$folder/$needed" ] || [ -n "$(find "$2/../nvidia" "$1/torchvision.libs" -name "$needed" -print -quit 2>/dev/null)" ] ||
        cc -shared -x c /dev/null -Wl,-soname,"$needed" -o "$folder/$needed"
    done
  done
  if [ -n "$(ls "$folder")" ]; then
    nm -D --undefined-only "$2"/lib/libtorch_*.so 2>/dev/null | sed -n 's/^ *U \([^@]*\).*/\1/p' | sort -u |
      grep -E '^(cublas|cudnn|cufft|curand|cusparse|cuFile|nccl|nvshmem)' |
      awk '{print ".globl " $1 "\n.type " $1 ",@function\n" $1 ":"} END {print "ud2\n.section .note.GNU-stack,\"\",@progbits"}' |
      cc -shared -x assembler - -o "$folder/functions.so"
  fi
  cat >"$folder/__init__.py" <<'PY'
import ctypes, pathlib
for library in sorted(pathlib.Path(__file__).parent.glob("*.so*")):
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
PY
  echo "import cuda_stand_ins" >"$1/cuda_stand_ins.pth"
}

install() {
  local torch site pip="$kVenv/bin/python3 -m pip install --disable-pip-version-check --progress-bar off"
  torch=$(cmake -P third_party/FindLibTorch.cmake 2>&1 | cut -d' ' -f2-)
  [ -d "$torch" ] || { echo "LibTorch is not there, run bash scripts/setup.sh first"; return 1; }
  "$torch/../../../../bin/python3" -m venv --clear $kVenv && $pip $kPackages && $pip --no-deps $kWithoutNeeds ||
    return 1
  site=$(echo $kVenv/lib/python3*/site-packages)
  echo "$(cd "$torch/.." && pwd)" >"$site/libtorch.pth"  # this torch, not a second one
  write_stand_ins "$site" "$torch"
  $kVenv/bin/python3 -c "import torch, torchvision, transformers"
}

case "${1:-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
[ "$(cat $kInstalled 2>/dev/null)" != "$kPackages $kWithoutNeeds" ] || exit 0
echo "oracle: installing transformers for the tests into $kVenv"
rm -f $kInstalled
install >build/oracle.log 2>&1 || {
  tail -5 build/oracle.log >&2
  fail build/oracle.log "cannot install transformers for the tests, its last lines are above" "check the network and start again"
}
echo "$kPackages $kWithoutNeeds" >$kInstalled

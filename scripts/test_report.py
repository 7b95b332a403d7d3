#!/usr/bin/env python3
"""Counts what ctest --output-junit wrote, and fails where a test was skipped that had to run.

usage: test_report.py REPORT.xml [--may-skip PATTERN...]

Prints "912 tests, 0 failed, 2 skipped". With --may-skip, every skipped test must match one of the shell patterns that
follow (there may be none), else it is named and the exit code is 1.
"""
import fnmatch
import sys
import xml.etree.ElementTree as ElementTree


def main(report, *options):
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    cases = [case for case in cases if case.get("status") != "disabled"]
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    failed = [case for case in cases if case.get("status") == "fail"]
    print(f"{len(cases)} tests, {len(failed)} failed, {len(skipped)} skipped")
    if not options:
        return 0
    patterns = options[1:]
    missing = [name for name in skipped if not any(fnmatch.fnmatchcase(name, each) for each in patterns)]
    for name in missing:
        print(f"error: {name}: skipped, but it has to run here\n  hint: provide what it says it lacks, or list it in "
              ".ci/run", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or (len(sys.argv) > 2 and sys.argv[2] != "--may-skip"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))

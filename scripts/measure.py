#!/usr/bin/env python3
"""Measures the size of the sources: for looking, not a gate. Where a number stands out, read the place.

    pip install lizard==1.24.3 && python3 scripts/measure.py [--worst] [--write]

Prints each figure beside the last one that --write left in docs/measures.md. --worst lists the functions that stand out.
"""
import collections
import datetime
import pathlib
import re
import subprocess
import sys

import lizard

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs/measures.md"


def sources(*folders):
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", *folders], cwd=ROOT, text=True)
    return sorted({ROOT / name for name in names.split() if name.endswith((".h", ".cpp")) and (ROOT / name).exists()})


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def spread(values):
    return f"{quantile(values, .5)} / {quantile(values, .9)} / {quantile(values, .99)} / {max(values)}"


def code_and_comment_lines(files):
    code = comments = 0
    for file in files:
        for line in file.read_text().splitlines():
            if line.strip().startswith("//"):
                comments += 1
            elif line.strip():
                code += 1
    return code, comments


def words(name):
    return [word for word in re.split(r"_|(?<=[a-z0-9])(?=[A-Z])", name) if word]


def measure():
    product = sources("src", "include")
    functions = [function for file in lizard.analyze_files(map(str, product)) for function in file.function_list]
    names = [function.name.split("::")[-1] for function in functions]
    names = [name for name in names if re.fullmatch(r"[a-z]\w+", name)]
    folders = collections.Counter(file.parent.relative_to(ROOT) for file in product)
    code, _ = code_and_comment_lines(product)
    test_code, _ = code_and_comment_lines(sources("tests"))
    figures = {
        "source files": len(product),
        "lines of a file: median / p90 / p99 / max": spread([len(file.read_text().splitlines()) for file in product]),
        "largest folders": ", ".join(f"{folder} {count}" for folder, count in folders.most_common(4)),
        "functions": len(functions),
        "lines of a function: median / p90 / p99 / max": spread([function.nloc for function in functions]),
        "complexity: median / p90 / p99 / max": spread([function.cyclomatic_complexity for function in functions]),
        "functions of complexity above 12": sum(function.cyclomatic_complexity > 12 for function in functions),
        "functions of more than 5 parameters": sum(len(function.parameters) > 5 for function in functions),
        "words of a function's name, mean": f"{sum(len(words(name)) for name in names) / len(names):.2f}",
        "functions named *_of": len({name for name in names if name.endswith("_of")}),
        "lines of code in src and include": code,
        "lines of test a line of source": f"{test_code / code:.2f}",
    }
    for kind, suffix in (("headers", ".h"), ("sources", ".cpp")):
        kind_code, kind_comments = code_and_comment_lines([file for file in product if file.suffix == suffix])
        figures[f"comment lines a code line, {kind}"] = f"{kind_comments / kind_code:.2f}"
    opened = [file for file in product if file.suffix == ".cpp" and file.read_text().startswith("//")]
    figures["sources that open with a sentence"] = f"{len(opened)} of {sum(f.suffix == '.cpp' for f in product)}"
    return figures, functions


def last_figures():
    if not TABLE.exists():
        return {}
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", TABLE.read_text(), re.MULTILINE)
    return {name: value for name, value in rows[2:]}


def main():
    figures, functions = measure()
    last = last_figures()
    for name, value in figures.items():
        print(f"{name:<50} {value!s:<40} {last.get(name, '-')}")
    if "--worst" in sys.argv:
        for function in sorted(functions, key=lambda f: -max(f.cyclomatic_complexity, 2 * len(f.parameters))):
            if function.cyclomatic_complexity <= 12 and len(function.parameters) <= 5:
                continue
            place = pathlib.Path(function.filename).relative_to(ROOT)
            print(f"{place}:{function.start_line}: {function.name}: complexity {function.cyclomatic_complexity}, "
                  f"{len(function.parameters)} parameters, {function.nloc} lines")
    if "--write" in sys.argv:
        commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
        rows = "".join(f"| {name} | {value} |\n" for name, value in figures.items())
        TABLE.write_text(f"# Measures\n\nOf the sources at {commit}, {datetime.date.today()}, by `python3 scripts/measure.py "
                         f"--write`. For looking, not a gate.\n\n| figure | value |\n| --- | --- |\n{rows}")


if __name__ == "__main__":
    main()

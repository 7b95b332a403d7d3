#!/usr/bin/env python3
"""Writes the tokenizer of Qwen2.5-VL into a folder, offline, as its published directory has it.

The vocabulary is that of the PyPI package `dashscope`: the 151,643 ranks of Qwen. The merges follow from the
ranks: a token joins the two parts it falls into where only earlier tokens may be joined. The added tokens
151643 to 151664, the expression and the other fields are those of the published files.

usage: qwen_tokenizer.py OUT_DIR
"""
import base64
import importlib.util
import json
import sys
from pathlib import Path

EXPRESSION = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
ORDINARY = (
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>"
).split()
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
)


def read_ranks():
    package = importlib.util.find_spec("dashscope")  # importing it would need all of its dependencies
    path = Path(package.submodule_search_locations[0]) / "resources" / "qwen.tiktoken"
    lines = map(bytes.split, path.read_bytes().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def byte_alphabet():
    """The character that stands for each byte in the files (GPT-2's bytes_to_unicode)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def two_parts(token, ranks):
    """What `token` consists of just before it comes to be."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        joined = [ranks.get(left + right, ranks[token]) for left, right in zip(parts, parts[1:])]
        first = joined.index(min(joined))
        parts[first : first + 2] = [parts[first] + parts[first + 1]]
    return parts


def added_token(content):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"content": content, **flags, "special": content in SPECIAL}


def tokenizer_json(vocab, merges):
    added = [{"id": len(vocab) + i, **added_token(content)} for i, content in enumerate(SPECIAL + ORDINARY)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": EXPRESSION}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def tokenizer_config(vocab):
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(len(vocab) + i): added_token(content) for i, content in enumerate(SPECIAL + ORDINARY)
        },
        "additional_special_tokens": SPECIAL[1:],
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def write_model_directory(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ranks, alphabet = read_ranks(), byte_alphabet()
    spelled = {token: "".join(alphabet[byte] for byte in token) for token in ranks}
    in_order = sorted(ranks, key=ranks.get)
    vocab = {spelled[token]: ranks[token] for token in in_order}
    merges = [
        " ".join(spelled[part] for part in two_parts(token, ranks)) for token in in_order if len(token) > 1
    ]

    def write_json(name, content, **style):
        text = json.dumps(content, ensure_ascii=False, **style)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")

    write_json("vocab.json", vocab, separators=(",", ":"))
    (folder / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8", newline="\n")
    write_json("tokenizer.json", tokenizer_json(vocab, merges), indent=2)
    write_json("tokenizer_config.json", tokenizer_config(vocab), indent=2)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    write_model_directory(sys.argv[1])

#!/usr/bin/env python3
"""Prints the tables of src/text/unicode/unicode_ranges.h, found by asking the package `tokenizers` about each character.

usage: unicode_ranges.py      with Python 3.11 or 3.12 (Unicode 14 and 15), tokenizers 0.23, unicodedata2 (the newest)
"""
import unicodedata as old  # no newer than PCRE2 in Debian 12: what it lacks must stand in the table
import unicodedata2 as new

from tokenizers import Regex, normalizers, pre_tokenizers

CHARACTERS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
NFC = normalizers.NFC()
MARKS = "\u0301\u0323\u0327\u0345\u094d\u3099"  # of classes 230, 220, 202, 240, 9, 8


def is_opaque(code):
    """Whether the newest Unicode reorders or composes `code` beside other characters and the package does not."""
    character = chr(code)
    texts = [f"x{character}{mark}" for mark in MARKS] + [f"x{mark}{character}" for mark in MARKS]
    texts += COMPOSED_FROM.get(character, [])
    return any(NFC.normalize_str(text) != new.normalize("NFC", text) for text in texts)


def print_table(name, codes):
    ranges = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    print(f"inline constexpr CodePointRange {name}[] = {{")
    print(", ".join(f"{{{first:#x}, {last:#x}}}" for first, last in ranges) + "};\n")


def print_new_members(name, category):
    split = pre_tokenizers.Split(Regex(rf"\p{{{category}}}"), "removed")
    print_table(
        name,
        [c for c in CHARACTERS if old.category(chr(c))[0] != category and not split.pre_tokenize_str(chr(c))],
    )


COMPOSED_FROM = {}  # a character -> the texts that compose with it in front, or into it
for code in CHARACTERS:
    parts = new.decomposition(chr(code))
    if parts and not parts.startswith("<"):
        text = "".join(chr(int(part, 16)) for part in parts.split())
        for character in (text[0], chr(code)):
            COMPOSED_FROM.setdefault(character, []).append(text)

print_new_members("kNewLetters", "L")
print_new_members("kNewNumbers", "N")
print_table("kOpaqueToNfc", [code for code in CHARACTERS if is_opaque(code)])

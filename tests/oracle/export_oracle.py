"""Checks that `streamo export` changes nothing, and that transformers and Streamo read each other's directories.

    bash scripts/oracle.sh
    build/oracle-venv/bin/python3 tests/oracle/export_oracle.py --streamo build/streamo [--model DIR]

Of each directory (DIR, else small random ones: tests/oracle/small_checkpoint.py, and what transformers' own
save_pretrained makes of them) an export is written. Its weight files must equal the originals byte by byte, the
index as JSON; AutoModelForImageTextToText must load it without a missing, unexpected or mismatched key and with the same
parameters; AutoConfig, AutoTokenizer, AutoProcessor and GenerationConfig must come out as from the original.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import small_checkpoint
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer, GenerationConfig

TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
            "+ '<|im_end|>\\n' }}{% endfor %}")
CONVERSATION = [{"role": "user", "content": "Tell me when the dog has left."},
                {"role": "assistant", "content": "</Silence>"}]


def complete(folder: pathlib.Path) -> None:
    """What a published directory has besides."""
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    generation = {"do_sample": True, "temperature": 0.3, "repetition_penalty": 1.05, "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(generation))


def load(folder: pathlib.Path):
    model, info = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto", output_loading_info=True)
    wrong = {kind: keys for kind, keys in info.items() if keys}
    assert not wrong, f"{folder}: {wrong}"
    return model


def digests(folder: pathlib.Path) -> dict:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir() if path.suffix == ".safetensors"}


def index(folder: pathlib.Path):
    path = folder / "model.safetensors.index.json"
    return json.loads(path.read_text()) if path.exists() else None


def compare(source: pathlib.Path, out: pathlib.Path) -> None:
    assert digests(out) == digests(source), "weight files differ"
    assert index(out) == index(source), "indices differ"
    ours, theirs = load(out), load(source)
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        other = expected.pop(name)
        assert parameter.dtype == other.dtype and torch.equal(parameter, other), name
    assert not expected, f"missing: {list(expected)}"

    def described(auto):
        return auto.from_pretrained(out).to_dict(), auto.from_pretrained(source).to_dict()

    for auto in (AutoConfig, GenerationConfig):
        ours, theirs = described(auto)
        for config in (ours, theirs):
            config.pop("_name_or_path", None)
        assert ours == theirs, auto.__name__
    for auto in (AutoTokenizer, AutoProcessor):
        ours, theirs = (auto.from_pretrained(folder) for folder in (out, source))
        texts = [one.apply_chat_template(CONVERSATION, tokenize=False) for one in (ours, theirs)]
        assert texts[0] == texts[1] and "</Silence><|im_end|>" in texts[0], auto.__name__
        assert ours(text=[texts[0]])["input_ids"] == theirs(text=[texts[0]])["input_ids"], auto.__name__


def check(streamo: str, source: pathlib.Path, out: pathlib.Path) -> None:
    subprocess.run([streamo, "export", source, out], check=True, stderr=subprocess.DEVNULL)
    compare(source, out)
    print(f"  {source.name:24} {len(digests(out))} weight files: identical, loads in transformers")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streamo", required=True)
    parser.add_argument("--model", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        if arguments.model:
            check(arguments.streamo, arguments.model, folder / "out")
            return 0
        for variant in ("tied", "untied"):
            source = folder / variant
            small_checkpoint.make(source, variant, seed=1)
            complete(source)
            check(arguments.streamo, source, folder / f"{variant}_out")
            for dtype in (torch.float16, torch.bfloat16):
                saved = folder / f"{variant}_{str(dtype)[6:]}"
                load(source).to(dtype).save_pretrained(saved, max_shard_size="200KB")
                AutoProcessor.from_pretrained(source).save_pretrained(saved)
                check(arguments.streamo, saved, folder / f"{saved.name}_out")
    return 0


if __name__ == "__main__":
    sys.exit(main())

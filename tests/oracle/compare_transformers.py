"""Compares everything Streamo computes of one sample with transformers: ids, positions, features, logits, losses,
gradients, parameters after AdamW steps, greedy tokens.

    bash scripts/oracle.sh
    build/oracle-venv/bin/python3 tests/oracle/compare_transformers.py --model DIR --data STREAM_FILE [--index N]

Works on any Qwen2.5-VL directory and any sample of pictures or video that fits in memory; without --model on small
random checkpoints (tests/oracle/small_checkpoint.py), which is what the tests run. Exit status 1 when a
difference exceeds its limit. Relative differences are parts of the largest magnitude of the tensor.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

STATES = ["</Silence>", "</Standby>", "</Response>"]
STEPS, NEW_TOKENS, LR, DECAY, GAMMA, CLIP = 3, 20, 1e-3, 0.01, 2.0, 1.0
GRADIENT_LIMIT = 1e-4  # of the largest of the tensor
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Report:
    def __init__(self):
        self.failed = False

    def line(self, name: str, value: str, limit: str, good: bool) -> None:
        self.failed |= not good
        print(f"  {name:34} {value:>24}   {limit:16} {'ok' if good else 'DIFFERS'}")

    def equal(self, name: str, ours, theirs) -> None:
        same = ours.shape == theirs.shape and torch.equal(ours.long(), theirs.long())
        self.line(name, f"{tuple(ours.shape)}", "identical", same)

    def close(self, name: str, difference: float, limit: float) -> None:
        self.line(name, f"{difference:.2e}", f"<= {limit:.0e}", difference <= limit)


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    largest = theirs.double().abs().max().item()
    return (ours.double() - theirs.double()).abs().max().item() / (largest or 1.0)


def run_streamo(arguments, dtype: str, folder: pathlib.Path) -> dict:
    out = folder / f"score_{dtype}.safetensors"
    command = [arguments.streamo, "score", "--model", arguments.model, "--data", arguments.data, "--index",
               str(arguments.index), "--dtype", dtype, "--out", out, "--generate", str(NEW_TOKENS)]
    if dtype == "float32":
        command += ["--gradients", "--steps", str(STEPS), f"optim.lr={LR}", f"optim.weight_decay={DECAY}",
                    "optim.schedule=constant", "optim.warmup_ratio=0", f"optim.clip_grad_norm={CLIP}"]
    subprocess.run([str(part) for part in command], check=True)
    return load_file(out)


def chat_text(messages: list[dict], tokens_of_picture: list[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text with expanded placeholders, and the spans of characters that are supervised."""
    text, spans, left = "", [], iter(tokens_of_picture)
    for message in messages:
        text += ("\n" if text else "") + f"<|im_start|>{message['role']}\n"
        start = len(text)
        parts = message["content"].replace("<stream>", "<image>").split("<image>")
        text += parts[0]
        for part in parts[1:]:
            text += "<|vision_start|>" + "<|image_pad|>" * next(left) + "<|vision_end|>" + part
        text += "<|im_end|>"
        if message["role"] == "assistant":
            spans.append((start, len(text)))
    if messages[-1]["role"] == "user":
        text += "\n<|im_start|>assistant\n"
    return text, spans


def check_input(report: Report, arguments, sample: dict, ours: dict) -> None:
    """Token ids, labels, and for picture files their pixels."""
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    if sample.get("images"):
        processor = AutoImageProcessor.from_pretrained(arguments.model, backend="torchvision")
        files = [pathlib.Path(arguments.data).parent / path for path in sample["images"]]
        batch = processor([Image.open(file) for file in files], return_tensors="pt")
        report.equal("image_grid_thw", ours["image_grid_thw"], batch["image_grid_thw"])
        same = torch.equal(ours["pixel_values"], batch["pixel_values"])
        report.line("pixel_values", f"{relative(ours['pixel_values'], batch['pixel_values']):.2e}", "identical", same)
    counts = [int(t * h * w) // 4 for t, h, w in ours.get("image_grid_thw", torch.empty(0, 3))]
    text, spans = chat_text(sample["messages"], counts)
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    ids = torch.tensor(encoded["input_ids"])
    report.equal("input_ids", ours["input_ids"], ids)
    supervised = torch.tensor([any(a <= begin and end <= b for a, b in spans)
                               for begin, end in encoded["offset_mapping"]])
    report.equal("labels", ours["labels"], torch.where(supervised, ids, -100))


def stream_loss(logits: torch.Tensor, labels: torch.Tensor, states: list[int]):
    """(loss, cross-entropy a token): the definition, written out."""
    rows = (labels != -100).nonzero()[:, 0]
    targets = labels[rows]
    cross_entropy = torch.nn.functional.cross_entropy(logits.float()[rows - 1], targets, reduction="none")
    classes = [(targets == state) for state in states]
    present = sum(bool(mask.any()) for mask in classes)
    total = sum(int(mask.sum()) for mask in classes)
    weights = torch.ones_like(cross_entropy)
    for mask in classes:
        if mask.any():
            alpha = total / int(mask.sum()) / present
            weights = torch.where(mask, alpha * (1 - torch.exp(-cross_entropy)) ** GAMMA, weights)
    token_loss = torch.zeros(len(labels)).index_copy(0, rows, cross_entropy.detach())
    return (weights * cross_entropy).sum() / max(len(rows), 1), token_loss


class Reference:
    def __init__(self, arguments, ours: dict, dtype: torch.dtype, attention: str):
        self.model, loading = AutoModelForImageTextToText.from_pretrained(
            arguments.model, dtype=dtype, attn_implementation=attention, output_loading_info=True)
        self.wrong_keys = {kind: keys for kind, keys in loading.items() if keys}
        self.model.eval()
        self.ids = ours["input_ids"].long().unsqueeze(0)
        self.labels = ours["labels"].long()
        types = (self.ids == self.model.config.image_token_id).int()
        self.inputs = {"mm_token_type_ids": types}
        if "pixel_values" in ours:
            self.inputs |= {"pixel_values": ours["pixel_values"], "image_grid_thw": ours["image_grid_thw"].long()}
        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        self.states = tokenizer.convert_tokens_to_ids(STATES)

    def logits(self) -> torch.Tensor:
        return self.model(input_ids=self.ids, **self.inputs).logits[0]

    def positions(self) -> torch.Tensor:
        positions, _ = self.model.model.get_rope_index(
            self.ids, self.inputs["mm_token_type_ids"], image_grid_thw=self.inputs.get("image_grid_thw"))
        return positions[:, 0]

    def features(self) -> torch.Tensor:
        return torch.cat(tuple(self.model.model.get_image_features(
            self.inputs["pixel_values"], self.inputs["image_grid_thw"]).pooler_output))

    def backward(self) -> torch.Tensor:
        self.model.zero_grad()
        loss, _ = stream_loss(self.logits(), self.labels, self.states)
        loss.backward()
        return loss.detach()

    def optimizer(self) -> torch.optim.Optimizer:
        parameters = list(self.model.parameters())
        return torch.optim.AdamW(
            [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": DECAY},
             {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}], lr=LR)

    def generate(self) -> torch.Tensor:
        out = self.model.generate(input_ids=self.ids, attention_mask=torch.ones_like(self.ids),
                                  max_new_tokens=NEW_TOKENS, do_sample=False, **self.inputs)
        return out[0, self.ids.shape[1]:]


def published(name: str) -> str:
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def relative_rms(ours: torch.Tensor, theirs: torch.Tensor, counts: torch.Tensor) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    ours, theirs = ours.double()[counts], theirs.double()[counts]
    return ((ours - theirs).norm() / theirs.norm().clamp_min(1e-30)).item()


def compare_tensors(report: Report, name: str, ours: dict, prefix: str, theirs: dict, limit: float,
                    difference=lambda key, mine, theirs: relative(mine, theirs)) -> None:
    """Of tensors by name: the largest of their differences, and that none is missing."""
    mine = {published(key[len(prefix):]): tensor for key, tensor in ours.items() if key.startswith(prefix)}
    if mine.keys() != theirs.keys():
        report.line(name, str(sorted(mine.keys() ^ theirs.keys())[:3]), "same names", False)
        return
    differences = {key: difference(key, mine[key], theirs[key]) for key in theirs}
    worst = max(differences, key=differences.get)
    report.close(f"{name} ({len(theirs)})", differences[worst], limit)
    if differences[worst] > limit:
        print(f"      largest in {worst}")


def compare_float32(report: Report, arguments, ours: dict) -> None:
    reference = Reference(arguments, ours, torch.float32, "sdpa")
    report.line("names of the weights", str(reference.wrong_keys or "all known"), "all known",
                not reference.wrong_keys)
    report.equal("position_ids", ours["position_ids"], reference.positions())
    with torch.no_grad():
        if "image_embeds" in ours:
            report.close("image_embeds", relative(ours["image_embeds"], reference.features()), 1e-4)
        logits = reference.logits()
        loss, token_loss = stream_loss(logits, reference.labels, reference.states)
    report.close("logits", relative(ours["logits"], logits), 1e-4)
    report.close("token_loss", relative(ours["token_loss"], token_loss), 1e-5)
    report.close("loss", relative(ours["loss"], loss), 1e-6)
    if "generated_ids" in ours:
        report.equal("generated_ids", ours["generated_ids"], reference.generate())
    if not (reference.labels != -100).any():
        return
    reference.backward()
    gradients = {published(name): p.grad for name, p in reference.model.named_parameters()}
    compare_tensors(report, "gradients", ours, "grad.", gradients, GRADIENT_LIMIT)
    norm = torch.nn.utils.clip_grad_norm_(reference.model.parameters(), float("inf"))
    report.close("grad_norm", relative(ours["grad_norm"], norm), 1e-5)
    above_rounding = {key: g.abs() > 10 * GRADIENT_LIMIT * g.abs().max() for key, g in gradients.items()}
    optimizer, losses = reference.optimizer(), []
    for _ in range(STEPS):
        losses.append(reference.backward())
        torch.nn.utils.clip_grad_norm_(reference.model.parameters(), CLIP)
        optimizer.step()
    report.close(f"losses of {STEPS} steps", relative(ours["losses"], torch.stack(losses)), 1e-5)
    parameters = {published(name): p.detach() for name, p in reference.model.named_parameters()}
    # Adam moves an element by about lr however small its gradient is, also where that is nothing but rounding: those
    # go either way, on each processor another. Where the gradient is well above that, the root mean square is judged, as
    # an element that is above rounding in the first step may not be in the next. Twice the decay gives 3e-5, a beta2 of
    # 0.99 instead of 0.999 7e-5.
    compare_tensors(report, f"parameters after {STEPS} steps (rms)", ours, "param.", parameters, 2.5e-5,
                    lambda key, mine, theirs: relative_rms(mine, theirs, above_rounding[key]))


def compare_bfloat16(report: Report, arguments, ours: dict) -> None:
    """Ours may be as far from transformers as its own two attention implementations are from each other."""
    logits = {}
    for attention in ("sdpa", "eager"):
        reference = Reference(arguments, ours, torch.bfloat16, attention)
        with torch.no_grad():
            logits[attention] = reference.logits().double()
    spread = (logits["sdpa"] - logits["eager"]).square().mean().sqrt().item()
    distance = min((ours["logits"].double() - logits[key]).square().mean().sqrt().item() for key in logits)
    report.line("logits in bfloat16 (rms)", f"{distance:.2e}", f"<= {spread:.2e}", distance <= spread)


def compare(arguments) -> bool:
    report = Report()
    records = json.loads(pathlib.Path(arguments.data).read_text())
    sample = records[arguments.index] if isinstance(records, list) else records
    print(f"{arguments.model}, sample {arguments.index}, transformers {transformers.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        ours = run_streamo(arguments, "float32", pathlib.Path(folder))
        check_input(report, arguments, sample, ours)
        compare_float32(report, arguments, ours)
        compare_bfloat16(report, arguments, run_streamo(arguments, "bfloat16", pathlib.Path(folder)))
    return not report.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="model directory; default: small random ones")
    parser.add_argument("--data", help="stream-format file")
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the small random checkpoints")
    parser.add_argument("--streamo", default=ROOT / "build/streamo", help="the program")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if arguments.model:
        return 0 if compare(arguments) else 1
    import small_checkpoint

    good = True
    with tempfile.TemporaryDirectory() as folder:
        for variant in ("tied", "untied"):
            arguments.model = str(pathlib.Path(folder) / variant)
            arguments.data = arguments.model + "/sample.json"
            small_checkpoint.make(pathlib.Path(arguments.model), variant, arguments.seed)
            for arguments.index in (0, 1):
                good &= compare(arguments)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

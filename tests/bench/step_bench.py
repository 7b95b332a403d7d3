"""Times the same training step in Streamo and in transformers, in turn, and prints the ratios.

    pip install torch==2.11.0 transformers==5.23.0 safetensors
    cmake --preset release -DSTREAMO_BUILD_BENCH=ON && bash scripts/build.sh release step_bench
    python tests/bench/step_bench.py [--vocab 8192 151936] [--dtype float32 bfloat16] [--checkpointing 0 1]

step_bench writes weights and batch; every run is a process of its own, so that its peak memory is its own.
transformers runs twice: `published` makes the logits of every position and the loss of the published recipe
(Streamo's swift/plugin/loss.py, arXiv 2512.21334), `best` only those of the supervised positions. Both keep
fp32 masters of bf16 weights, as DeepSpeed does for the recipe, and use the fused AdamW. The losses of the first
step must agree.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LEARNING_RATE, MAX_NORM, GAMMA = 1e-5, 1.0, 2.0
# Of the first loss, relative. In bf16 the published way rounds its logits to 8 bits.
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}


def focal_loss(logits, targets, states):
    """The published loss over supervised rows: logits [R, V], targets [R], states [R] (-1: text)."""
    import torch

    ce = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    p = torch.softmax(logits, -1).gather(1, targets.unsqueeze(1)).squeeze(1)
    counts = torch.bincount(states[states >= 0], minlength=3).float()
    alpha = counts.sum() / counts / (counts > 0).sum()
    weight = torch.where(states >= 0, alpha[states.clamp(min=0)] * (1 - p) ** GAMMA, torch.ones_like(p))
    return (weight * ce).sum() / targets.numel()


class Masters:
    """AdamW on fp32 copies of bf16 parameters; on the parameters themselves in fp32."""

    def __init__(self, parameters):
        import torch

        self.parameters = parameters
        self.masters = [p.detach().float().requires_grad_() if p.dtype != torch.float32 else p for p in parameters]
        self.optimizer = torch.optim.AdamW(self.masters, lr=LEARNING_RATE, weight_decay=0.0, fused=True)

    def step(self):
        import torch

        for parameter, master in zip(self.parameters, self.masters):
            if master is not parameter:
                master.grad, parameter.grad = parameter.grad.float(), None
        torch.nn.utils.clip_grad_norm_(self.masters, MAX_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for parameter, master in zip(self.parameters, self.masters):
                if master is not parameter:
                    parameter.copy_(master)


def transformers_worker(args):
    import torch
    from safetensors.torch import load_file
    from transformers import Qwen2_5_VLForConditionalGeneration

    dtype = getattr(torch, args.dtype[0])
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(args.folder, dtype=dtype, attn_implementation="sdpa")
    model.train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("visual." not in name or "visual.merger." in name)
    if args.checkpointing[0]:
        model.gradient_checkpointing_enable()
    batch = load_file(f"{args.folder}/batch.safetensors")
    rows, targets, states = batch["rows"], batch["targets"], batch["states"]
    optimizer = Masters([p for p in model.parameters() if p.requires_grad])
    keep = rows if args.worker == "best" else 0
    seconds, losses = [], []
    for _ in range(args.warmup + args.steps):
        start = time.perf_counter()
        logits = model(
            input_ids=batch["input_ids"].unsqueeze(0),
            position_ids=batch["position_ids"].unsqueeze(1),
            pixel_values=batch["pixel_values"],
            image_grid_thw=batch["image_grid_thw"],
            logits_to_keep=keep,
            use_cache=False,
        ).logits[0]
        supervised = logits.float() if args.worker == "best" else logits[rows]
        loss = focal_loss(supervised, targets, states)
        del logits, supervised
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "threads": torch.get_num_threads(),
                "tokens": batch["input_ids"].numel(),
                "seconds": statistics.median(seconds[args.warmup :]),
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "losses": losses,
            }
        )
    )


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))} failed")
    return json.loads(done.stdout[done.stdout.index("{") :])


def ours(args, vocab, dtype, checkpointing, *more):
    config = ROOT / "tests/bench/step_model.json"
    command = [args.binary, "--config", config, "--folder", args.folder, "--vocab", vocab, "--dtype", dtype]
    command += ["--checkpointing"] if checkpointing else []
    return run([str(word) for word in [*command, *more]])


def cell(args, vocab, dtype, checkpointing):
    counts = ["--steps", args.steps, "--warmup", args.warmup]
    ours(args, vocab, dtype, checkpointing, "--write")
    found = {"ours": [], "best": [], "published": []}
    for _ in range(args.rounds):
        found["ours"].append(ours(args, vocab, dtype, checkpointing, "--floor", *counts))
        for way in ("best", "published"):
            command = [sys.executable, __file__, "--worker", way, "--folder", args.folder, "--dtype", dtype]
            command += ["--checkpointing", int(checkpointing), *counts]
            found[way].append(run([str(word) for word in command]))
    for way in ("best", "published"):
        mine, theirs = found["ours"][0]["losses"][0], found[way][0]["losses"][0]
        if abs(mine - theirs) > TOLERANCE[dtype] * abs(mine):
            sys.exit(f"error: first losses differ, ours {mine}, transformers ({way}) {theirs}")
    seconds = {way: statistics.median(r["seconds"] for r in runs) for way, runs in found.items()}
    peak = {way: max(r["peak_bytes"] for r in runs) for way, runs in found.items()}
    floor = statistics.median(r["floor"]["seconds"] for r in found["ours"])
    return {
        "vocab": vocab,
        "dtype": dtype,
        "checkpointing": checkpointing,
        "threads": found["ours"][0]["threads"],
        "tokens": found["ours"][0]["tokens"],
        "seconds": seconds,
        "peak_bytes": peak,
        "floor": found["ours"][-1]["floor"],
        "over_floor": seconds["ours"] / floor,
        "speedup_best": seconds["best"] / seconds["ours"],
        "speedup_published": seconds["published"] / seconds["ours"],
        "memory_best": peak["ours"] / peak["best"],
        "losses": {way: runs[0]["losses"] for way, runs in found.items()},
    }


def print_table(cells):
    print("| vocabulary | dtype | recompute | tokens/s ours | best | published | ours / products alone | best / ours |"
          " published / ours | peak GB ours | best | published | ours / best |")
    print("| --- " * 13 + "|")
    for c in cells:
        rate = {way: c["tokens"] / s for way, s in c["seconds"].items()}
        peak = {way: b / 1e9 for way, b in c["peak_bytes"].items()}
        print(
            f"| {c['vocab']} | {c['dtype']} | {'yes' if c['checkpointing'] else 'no'} | {rate['ours']:.0f} |"
            f" {rate['best']:.0f} | {rate['published']:.0f} | {c['over_floor']:.2f} | {c['speedup_best']:.2f} |"
            f" {c['speedup_published']:.2f} | {peak['ours']:.1f} | {peak['best']:.1f} | {peak['published']:.1f} |"
            f" {c['memory_best']:.2f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab", type=int, nargs="+", default=[8192, 151936])
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--checkpointing", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=2, help="timed in each run")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each way, in turn")
    parser.add_argument("--binary", default=ROOT / "build/release/tests/bench/step_bench")
    parser.add_argument("--json", type=pathlib.Path, help="file that the cells are added to")
    parser.add_argument("--worker", choices=["best", "published"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return transformers_worker(args)
    cells = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    for vocab in args.vocab:
        for dtype in args.dtype:
            for checkpointing in args.checkpointing:
                with tempfile.TemporaryDirectory() as args.folder:
                    cells.append(cell(args, vocab, dtype, bool(checkpointing)))
                if args.json:
                    args.json.write_text(json.dumps(cells, indent=1))
    print_table(cells)


if __name__ == "__main__":
    main()

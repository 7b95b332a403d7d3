"""Measures how evenly ranks compute: a small model on videos of 20 to 220 s, dealt by cost and in order.

  python tests/bench/balance_run.py build/streamo [--ranks 2 4] [--micro-batches 16]

Prints rank_balance of metrics.jsonl as its mean over the steps: processor time in forward and backward pass, the ranks'
mean over their maximum. Processor time of one thread a rank, so there may be fewer cores than ranks.
"""

import argparse
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile

SAMPLES = 64


def make_dataset(folder):
    choose = random.Random(1)
    samples = []
    for number in range(SAMPLES):
        seconds = choose.randint(20, 220)
        name = f"{number:03}.mp4"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=size=84x56:rate=2:duration={seconds}",
             "-pix_fmt", "yuv420p", str(folder / name)], check=True)
        clock = f"{seconds // 2 // 60:02}:{seconds // 2 % 60:02}"
        samples.append({"video_name": name, "video_path": str(folder / name), "task_type": "caption", "source": "made",
                        "question": [{"content": "What is shown?", "time": "00:01"}],
                        "response": [{"content": "A test picture.", "st_time": "", "end_time": "", "time": clock}]})
    (folder / "raw.json").write_text(json.dumps(samples))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def train(streamo, folder, ranks, micro_batches, steps, in_order):
    run = folder / f"run-{ranks}-{in_order}"
    config = {"model": {"preset": "example", "vocab_size": 400},
              "data": {"train": "raw.json", "packing": False, "num_workers": 1, "frame_cache": "cache"},
              "train": {"max_steps": steps, "micro_batch_size": 1, "grad_accum_steps": micro_batches,
                        "num_threads": 1, "deterministic": in_order},
              "checkpoint": {"dir": str(run)}, "log": {"every_steps": 1, "tensorboard": False}}
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    port = free_port()
    processes = []
    for rank in range(ranks):
        launch = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks,
                  "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
        environment = {**os.environ, **{name: str(value) for name, value in launch.items()}}
        processes.append(subprocess.Popen([streamo, "train", str(path)], env=environment, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL))
    if any([process.wait() for process in processes]):
        sys.exit(f"a rank failed, see {run}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    balances = [line["rank_balance"] for line in lines if "rank_balance" in line]
    return sum(balances) / len(balances)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("streamo")
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--micro-batches", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_dataset(folder)
        for ranks in arguments.ranks:
            in_order, by_cost = (
                train(os.path.abspath(arguments.streamo), folder, ranks, arguments.micro_batches, arguments.steps, way)
                for way in (True, False))
            print(f"{ranks} ranks: in order {100 * in_order:.1f} %, by cost {100 * by_cost:.1f} %", flush=True)


main()

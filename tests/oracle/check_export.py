"""Checks that transformers reads a directory Streamo wrote and computes the same logits.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.23.0 safetensors
    build/streamo score --model runs/example/final --data STREAM_FILE --out score.safetensors
    python tests/oracle/check_export.py runs/example/final score.safetensors

The second file holds input_ids [L], pixel_values, image_grid_thw, position_ids [3, L] and logits [L, V] as
`streamo score` writes them. Exit status 1 when the largest difference exceeds --tolerance times the largest
logit.
"""

import argparse
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model_dir")
    parser.add_argument("score_file")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()

    score = load_file(arguments.score_file)
    model, loading = AutoModelForImageTextToText.from_pretrained(
        arguments.model_dir, dtype=torch.float32, output_loading_info=True
    )
    wrong_keys = {kind: keys for kind, keys in loading.items() if keys}
    if wrong_keys:
        print(f"transformers found fault with the weights: {wrong_keys}")
        return 1

    ids = score["input_ids"].long().unsqueeze(0)
    types = (ids == model.config.image_token_id).int()
    pictures = {}
    if "pixel_values" in score:
        pictures = {"pixel_values": score["pixel_values"], "image_grid_thw": score["image_grid_thw"].long()}
        positions, _ = model.model.get_rope_index(ids, types, image_grid_thw=pictures["image_grid_thw"])
        if not torch.equal(positions[:, 0], score["position_ids"].long()):
            print("positions differ")
            return 1
    with torch.no_grad():
        expected = model.eval()(input_ids=ids, mm_token_type_ids=types, **pictures).logits[0]

    largest = expected.abs().max().item()
    difference = (score["logits"].float() - expected).abs().max().item()
    print(f"{ids.shape[1]} tokens: largest logit {largest:.4g}, largest difference {difference:.3g}")
    return 0 if difference <= arguments.tolerance * largest else 1


if __name__ == "__main__":
    sys.exit(main())

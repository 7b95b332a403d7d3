"""Writes tests/golden/qwen2_5_vl.safetensors: what transformers computes on a tiny random Qwen2.5-VL.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.23.0 safetensors
    python tests/oracle/qwen2_5_vl_golden.py

Every part of the architecture is there at a small size: grouped queries, three rotary sections of unequal
length, biases and norms away from 0 and 1, pictures that are no multiple of the attention window beside one
that is, full and windowed blocks, an untied head. Two samples are computed one by one; the reader of the file
packs them. All in fp32 on one CPU thread.

In the file: weight.<published name>, grad.<published name> (of the mean cross-entropy of both samples),
pictures, input_ids, targets, expectations; in its metadata the config in its two generations and the version.
"""

import copy
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor

OUT = pathlib.Path(__file__).parent.parent / "golden" / "qwen2_5_vl.safetensors"
IMAGE, VIDEO, VISION_START, VISION_END = 60, 61, 62, 63
PATCH, MERGE = 4, 2

HUB_CONFIG = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "initializer_range": 0.02,
    "image_token_id": IMAGE,
    "video_token_id": VIDEO,
    "vision_start_token_id": VISION_START,
    "vision_end_token_id": VISION_END,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "vision_config": {
        "model_type": "qwen2_5_vl",
        "depth": 3,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_heads": 2,
        "in_chans": 3,
        "out_hidden_size": 32,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    },
}


def published(name: str) -> str:
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def randomize(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if parameter.dim() >= 2:
            torch.nn.init.normal_(parameter, std=parameter.shape[1:].numel() ** -0.5)
        elif name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
        else:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.1)


def sample_tokens(sizes: list[tuple[int, int]], generator: torch.Generator) -> torch.Tensor:
    """Random text around the placeholders of pictures with these sizes (height, width in pixels)."""
    text = lambda n: torch.randint(2, 50, (n,), generator=generator).tolist()  # noqa: E731
    ids = text(5)
    for height, width in sizes:
        tokens = (height // PATCH // MERGE) * (width // PATCH // MERGE)
        ids += [VISION_START] + [IMAGE] * tokens + [VISION_END] + text(3)
    return torch.tensor([ids])


def run_sample(model, processor, pictures, ids, targets):
    batch = processor(pictures, do_resize=False, return_tensors="pt")
    types = (ids == IMAGE).int()
    positions, _ = model.model.get_rope_index(ids, types, image_grid_thw=batch["image_grid_thw"])
    features = model.model.get_image_features(batch["pixel_values"], batch["image_grid_thw"])
    logits = model(input_ids=ids, mm_token_type_ids=types, **batch).logits
    loss = torch.nn.functional.cross_entropy(logits[0], targets[0], reduction="sum")
    return {
        "input_ids": ids[0],
        "targets": targets[0],
        "position_ids": positions[:, 0],
        "image_grid_thw": batch["image_grid_thw"],
        "pixel_values": batch["pixel_values"],
        "image_embeds": torch.cat(tuple(features.pooler_output)),
        "logits": logits[0],
    }, loss


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    config = Qwen2_5_VLConfig(**copy.deepcopy(HUB_CONFIG))  # it edits what it is given
    model = Qwen2_5_VLForConditionalGeneration(config).float().eval()
    randomize(model)
    processor = Qwen2VLImageProcessor(patch_size=PATCH, merge_size=MERGE)

    # 3 x 5 and 3 x 1 tokens leave windows of 2 x 2 unfilled, 4 x 2 fills them.
    sizes = [[(24, 40), (32, 16)], [(24, 8), (32, 16)]]
    tensors, parts, losses = {}, [], []
    for number, shapes in enumerate(sizes):
        pictures = [torch.randint(0, 256, (3, h, w), generator=generator, dtype=torch.uint8) for h, w in shapes]
        ids = sample_tokens(shapes, generator)
        targets = torch.randint(0, 64, ids.shape, generator=generator)
        part, loss = run_sample(model, processor, pictures, ids, targets)
        parts.append(part)
        losses.append(loss)
        for i, picture in enumerate(pictures):
            tensors[f"picture.{number}.{i}"] = picture.permute(1, 2, 0).contiguous()

    for key in parts[0]:
        tensors[key] = torch.cat([part[key] for part in parts], dim=1 if key == "position_ids" else 0)
    tensors["sample_lengths"] = torch.tensor([len(part["input_ids"]) for part in parts])
    tensors["loss"] = sum(losses) / len(tensors["input_ids"])
    tensors["loss"].backward()
    for name, parameter in model.named_parameters():
        tensors["weight." + published(name)] = parameter
        tensors["grad." + published(name)] = parameter.grad

    OUT.parent.mkdir(exist_ok=True)
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        OUT,
        metadata={
            "config": json.dumps(HUB_CONFIG),
            "config_nested": config.to_json_string(use_diff=False),
            "made_by": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        },
    )
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB, loss {tensors['loss'].item():.6f}")


if __name__ == "__main__":
    main()

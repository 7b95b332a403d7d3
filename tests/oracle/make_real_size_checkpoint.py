"""Writes a random model directory of the size of Qwen2.5-VL-3B-Instruct, to measure loading and saving with.

    pip install numpy
    python tests/oracle/make_real_size_checkpoint.py OUT_DIR

7.5 GB: config.json with the published sizes in the published (flat) form, 3,754,622,976 parameters in bf16 in
two shards with an index. Weights are normal with a standard deviation of 0.02, norms 1, biases 0, a function of
the seed; no tokenizer. Never commit the result.
"""

import argparse
import json
import math
import pathlib
import struct

import numpy as np

PARAMETERS = 3_754_622_976
LAYERS, HIDDEN, KV, INTERMEDIATE, VOCABULARY = 36, 2048, 256, 11008, 151936
DEPTH, VISION_HIDDEN, VISION_INTERMEDIATE, PATCH_VALUES = 32, 1280, 3420, (3, 2, 14, 14)
SHARD_BYTES = 4_000_000_000
CHUNK = 1 << 22  # values drawn at once

CONFIG = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "vision_token_id": 151654,
    "image_token_id": 151655,
    "video_token_id": 151656,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": INTERMEDIATE,
    "max_position_embeddings": 128000,
    "max_window_layers": 70,
    "model_type": "qwen2_5_vl",
    "num_attention_heads": 16,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vision_config": {
        "depth": DEPTH,
        "hidden_act": "silu",
        "hidden_size": VISION_HIDDEN,
        "intermediate_size": VISION_INTERMEDIATE,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": HIDDEN,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
        "temporal_patch_size": 2,
    },
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vocab_size": VOCABULARY,
}


def weights():
    """Name and shape of every weight, in the order of the published files."""

    def linear(name, outputs, inputs, bias=True):
        yield f"{name}.weight", (outputs, inputs)
        if bias:
            yield f"{name}.bias", (outputs,)

    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        yield f"{layer}.input_layernorm.weight", (HIDDEN,)
        yield from linear(f"{layer}.mlp.down_proj", HIDDEN, INTERMEDIATE, bias=False)
        yield from linear(f"{layer}.mlp.gate_proj", INTERMEDIATE, HIDDEN, bias=False)
        yield from linear(f"{layer}.mlp.up_proj", INTERMEDIATE, HIDDEN, bias=False)
        yield f"{layer}.post_attention_layernorm.weight", (HIDDEN,)
        yield from linear(f"{layer}.self_attn.k_proj", KV, HIDDEN)
        yield from linear(f"{layer}.self_attn.o_proj", HIDDEN, HIDDEN, bias=False)
        yield from linear(f"{layer}.self_attn.q_proj", HIDDEN, HIDDEN)
        yield from linear(f"{layer}.self_attn.v_proj", KV, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    yield "visual.patch_embed.proj.weight", (VISION_HIDDEN, *PATCH_VALUES)
    for i in range(DEPTH):
        block = f"visual.blocks.{i}"
        yield from linear(f"{block}.attn.proj", VISION_HIDDEN, VISION_HIDDEN)
        yield from linear(f"{block}.attn.qkv", 3 * VISION_HIDDEN, VISION_HIDDEN)
        yield from linear(f"{block}.mlp.down_proj", VISION_HIDDEN, VISION_INTERMEDIATE)
        yield from linear(f"{block}.mlp.gate_proj", VISION_INTERMEDIATE, VISION_HIDDEN)
        yield from linear(f"{block}.mlp.up_proj", VISION_INTERMEDIATE, VISION_HIDDEN)
        yield f"{block}.norm1.weight", (VISION_HIDDEN,)
        yield f"{block}.norm2.weight", (VISION_HIDDEN,)
    yield "visual.merger.ln_q.weight", (VISION_HIDDEN,)
    yield from linear("visual.merger.mlp.0", 4 * VISION_HIDDEN, 4 * VISION_HIDDEN)
    yield from linear("visual.merger.mlp.2", HIDDEN, 4 * VISION_HIDDEN)


def bfloat16(values):
    """float32 -> the upper halves, rounded to nearest even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_values(file, random, name, shape):
    count = math.prod(shape)
    if len(shape) == 1:
        value = 0.0 if name.endswith(".bias") else 1.0
        file.write(bfloat16(np.full(count, value, np.float32)).tobytes())
        return
    for first in range(0, count, CHUNK):
        values = random.standard_normal(min(CHUNK, count - first), np.float32)
        file.write(bfloat16(values * np.float32(0.02)).tobytes())


def shards_of(all_weights):
    shards, size = [[]], 0
    for name, shape in all_weights:
        bytes_ = 2 * math.prod(shape)
        if size + bytes_ > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append((name, shape))
        size += bytes_
    return shards


def write_shard(path, shard, random):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shard:
        end = offset + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shard:
            write_values(file, random, name, shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    all_weights = list(weights())
    assert sum(math.prod(shape) for _, shape in all_weights) == PARAMETERS
    out = arguments.out_dir
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    random = np.random.default_rng(arguments.seed)
    shards, weight_map = shards_of(all_weights), {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_shard(out / file, shard, random)
        weight_map.update({name: file for name, _ in shard})
    index = {"metadata": {"total_size": 2 * PARAMETERS}, "weight_map": weight_map}
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    print(f"{PARAMETERS} parameters, {len(shards)} shards, {out}")


if __name__ == "__main__":
    main()

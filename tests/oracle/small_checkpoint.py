"""Small random Qwen2.5-VL directories as Hugging Face publishes them, with a tokenizer and a sample to score.

    python tests/oracle/small_checkpoint.py OUT_DIR --variant tied|untied [--seed N]

Both have grouped queries, unequal rotary sections, biases and norms away from 0 and 1, windows that pictures do
not fill, and one conversation with pictures of several sizes. `tied`: flat config, one file in float32, weights
named as on the hub. `untied`: nested config, shards in bfloat16, named as the modules of transformers 5 are.
"""

import argparse
import copy
import json
import pathlib

import numpy
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from qwen2_5_vl_golden import randomize
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
           "<|image_pad|>", "<|video_pad|>", "</Silence>", "</Standby>", "</Response>"]
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
TEXT = ["system\nuser\nassistant\nWatch the stream and speak when it is time. Tell me when the dog has left the "
        "kitchen; the man, who is cooking, turns to the window. <0s-1s>\n<12s-13s>\n A caf\u00e9 opens at 7:45."]
SIZES = [(56, 84), (140, 112), (28, 196), (112, 112), (84, 56)]  # height, width of the pictures


def write_tokenizer(folder: pathlib.Path) -> list[int]:
    """Byte-level BPE with Qwen's normalizer and expression; returns the ids of SPECIAL."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>",
                                                pad_token="<|endoftext|>")
    fast.save_pretrained(folder)
    return [tokenizer.token_to_id(token) for token in SPECIAL]


def config_of(ids: list[int], tied: bool) -> dict:
    special = dict(zip(SPECIAL, ids))
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "vocab_size": max(ids) + 6,  # rows without a token, as the published ones have
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6 if tied else 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "tie_word_embeddings": tied,
        "use_sliding_window": False,
        "image_token_id": special["<|image_pad|>"],
        "video_token_id": special["<|video_pad|>"],
        "vision_start_token_id": special["<|vision_start|>"],
        "vision_end_token_id": special["<|vision_end|>"],
        "vision_token_id": special["<|vision_pad|>"],
        "bos_token_id": special["<|endoftext|>"],
        "eos_token_id": special["<|im_end|>"],
        "vision_config": {"model_type": "qwen2_5_vl", "depth": 3, "hidden_size": 32, "intermediate_size": 48,
                          "num_heads": 2, "in_chans": 3, "out_hidden_size": 64, "patch_size": 14,
                          "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
                          "fullatt_block_indexes": [1]},
    }


def write_weights(model, folder: pathlib.Path, tied: bool) -> None:
    state = {name: tensor.detach() for name, tensor in model.named_parameters()}
    if tied:
        hub = {n.replace("model.language_model.", "model.").replace("model.visual.", "visual."): t.contiguous()
               for n, t in state.items()}
        save_file(hub, folder / "model.safetensors", metadata={"format": "pt"})
        return
    shards = [sorted(state)[i::3] for i in range(3)]
    weight_map = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file({n: state[n].to(torch.bfloat16) for n in names}, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(names, file))
    index = {"metadata": {"total_size": sum(2 * t.numel() for t in state.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_sample(folder: pathlib.Path, generator: numpy.random.Generator) -> None:
    """sample.json: a conversation about pictures; the last assistant turn is still open in its second record."""
    answers = ["</Silence>", "</Silence>", "</Standby>", "</Response> The dog has left.", "</Silence>"]
    messages, images = [{"role": "system", "content": "Watch the stream."}], []
    for turn, ((height, width), answer) in enumerate(zip(SIZES, answers)):
        path = folder / f"picture{turn}.png"
        coarse = generator.integers(0, 256, (height // 7 + turn, width // 7, 3), dtype=numpy.uint8)
        Image.fromarray(coarse).resize((width + 13 * turn, height + 5), Image.BICUBIC).save(path)
        images.append(path.name)
        question = "Tell me when the dog has left.\n" if turn == 1 else ""
        messages.append({"role": "user", "content": f"{question}<{turn}s-{turn + 1}s>\n<image>"})
        messages.append({"role": "assistant", "content": answer})
    records = [{"messages": messages, "images": images}, {"messages": messages[:-1], "images": images}]
    (folder / "sample.json").write_text(json.dumps(records, indent=1))


def make(folder: pathlib.Path, variant: str, seed: int) -> None:
    tied = variant == "tied"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    ids = write_tokenizer(folder)
    hub = config_of(ids, tied)
    config = transformers.Qwen2_5_VLConfig(**copy.deepcopy(hub))  # it edits what it is given
    model = transformers.Qwen2_5_VLForConditionalGeneration(config).float()
    randomize(model)
    if tied:
        hub["torch_dtype"] = "float32"
        (folder / "config.json").write_text(json.dumps(hub, indent=2))
    else:
        config.dtype = torch.bfloat16
        (folder / "config.json").write_text(config.to_json_string(use_diff=False))
    write_weights(model, folder, tied)
    processor = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor",
                 "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
                 "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    limits = {"min_pixels": 3136, "max_pixels": 12544}
    processor |= limits if tied else {"size": {"shortest_edge": 3136, "longest_edge": 12544}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2))
    write_sample(folder, numpy.random.default_rng(seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--variant", choices=["tied", "untied"], required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    make(arguments.out_dir, arguments.variant, arguments.seed)


if __name__ == "__main__":
    main()

"""Writes the name pairs (checkpoint layer -> diffusers layer) that diffusers' own converters give for an SD1.x file.

usage: python key_names.py sd15.safetensors > crates/weights/tests/golden/key_names.txt
       python key_names.py lierla.safetensors c3lier.safetensors > crates/weights/tests/golden/lora_modules.txt
The second form lists the modules of LoRA files that sd-scripts made (names only, sorted).
Every tensor becomes a distinct number, so that a converted tensor can be traced to its source whatever was done to it.
Made with diffusers 0.32.1.
"""

import json
import re
import sys

import diffusers
import torch
from diffusers.loaders import single_file_utils as convert
from safetensors import safe_open

PARTS = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text_encoder": "cond_stage_model.transformer.",
}


def main(path):
    with safe_open(path, "pt") as file:
        keys = sorted(file.keys())
    # The VAE's attention weights are squeezed on the way, which wants four dimensions.
    marked = {key: torch.full((1, 1, 1, 1), float(n)) for n, key in enumerate(keys)}
    converted = {
        "unet": convert.convert_ldm_unet_checkpoint(dict(marked), {"layers_per_block": 2, "class_embed_type": None}),
        "vae": convert.convert_ldm_vae_checkpoint(
            dict(marked), {"down_block_types": [0] * 4, "up_block_types": [0] * 4, "block_out_channels": [0] * 4}
        ),
        "text_encoder": convert.convert_ldm_clip_checkpoint(dict(marked), remove_prefix=PARTS["text_encoder"]),
    }
    print(f"# checkpoint layer, diffusers layer, w(eight) b(ias); by oracle/key_names.py, diffusers {diffusers.__version__}")
    for part, prefix in PARTS.items():
        pairs = {}
        for name, mark in converted[part].items():
            key = keys[int(mark.flatten()[0])]
            assert key.startswith(prefix), key
            layer, leaf = re.fullmatch(r"(.*)\.(weight|bias)", key[len(prefix):]).groups()
            other, same = name.rsplit(".", 1)
            assert leaf == same, (key, name)
            pairs.setdefault((layer, other), []).append(leaf[0])
        assert sum(map(len, pairs.values())) == sum(key.startswith(prefix) for key in keys)
        print(f"[{part} {prefix}]")
        for (layer, other), leaves in sorted(pairs.items()):
            print(layer, other, "".join(sorted(leaves, reverse=True)))


def lora_modules(*paths):
    print("# modules of sd-scripts' networks.lora for SD1.x; by oracle/key_names.py")
    for kind, path in zip(("lierla", "c3lier"), paths, strict=True):
        with safe_open(path, "pt") as file:
            keys = list(file.keys()) + list(json.loads((file.metadata() or {}).get("zero_tensors", "{}")))
        modules = {key.split(".")[0] for key in keys}
        for leaf in "lora_down.weight", "lora_up.weight", "alpha":
            assert modules == {key.split(".")[0] for key in keys if key.endswith("." + leaf)}
        print(f"[{kind}]", *sorted(modules), sep="\n")


if __name__ == "__main__":
    lora_modules(*sys.argv[1:]) if len(sys.argv) == 3 else main(sys.argv[1])

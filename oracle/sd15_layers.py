"""Writes shapes of the weight matrices of SD1.5's UNet and text encoder, and how large the LoRAs of sd-scripts on it are.

usage: python sd15_layers.py sd15.safetensors > crates/weights/tests/golden/sd15_layers.txt
The file is one of full_size.py. Which layers a LoRA has is read off golden/lora_modules.txt, which lists files that
sd-scripts made; their sizes follow from the shapes: a factor of (rank, inputs x kernel) and one of (outputs, rank).
"""

import json
import pathlib
import struct
import sys

GOLDEN = pathlib.Path(__file__).parent.parent / "crates/weights/tests/golden"
PREFIXES = {"unet": ("lora_unet_", "model.diffusion_model."), "text_encoder": ("lora_te_", "cond_stage_model.transformer.")}


def sections(name):
    found = {}
    for line in (GOLDEN / name).read_text().splitlines():
        if line.startswith("["):
            rows = found.setdefault(line.strip("[]").split(" ")[0], [])
        elif line and not line.startswith("#"):
            rows.append(line.split(" "))
    return found


def main(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    shapes = {key: entry["shape"] for key, entry in header.items() if key != "__metadata__"}
    by_module = {}
    for part, (lora, ldm) in PREFIXES.items():
        for original, diffusers, *_ in sections("key_names.txt")[part]:
            by_module[lora + diffusers.replace(".", "_")] = shapes[f"{ldm}{original}.weight"]
    print("# by oracle/sd15_layers.py; kind: modules, values of all factors at rank 1 (3x3 convolutions too)")
    for kind, rows in sections("lora_modules.txt").items():
        values = 0
        for (module,) in rows:
            outputs, *inputs = by_module[module]
            kernel = inputs[1:] or [1, 1]
            values += inputs[0] * kernel[0] * kernel[1] + outputs
        print(f"{kind}: {len(rows)} {values}")
    print("# key: shape")
    for key, shape in sorted(shapes.items()):
        # Norms and biases carry no LoRA.
        if len(shape) > 1 and key.startswith(tuple(ldm for _, ldm in PREFIXES.values())):
            print(f"{key}: {' '.join(map(str, shape))}")


if __name__ == "__main__":
    main(sys.argv[1])

"""LyCORIS on SDXL: which modules it makes and what they are called, and what a LoKr of the UNet does to a prediction.

    python oracle/lycoris_sdxl.py crates/train/tests/golden --sd-scripts SD_SCRIPTS --tiny models/tiny/sdxl_tiny.safetensors

LyCORIS 4.1.3, torch 2.8, diffusers 0.32.1. Names: `lycoris.kohya` on sd-scripts' own SDXL UNet, narrowed, and on
transformers' text encoders -> `lycoris_sdxl.txt`: those of the preset `full`, then what others leave out of them. Numbers: LyCORIS' modules with random values
on diffusers' UNet with the weights of TINY, f64 -> `lycoris_sdxl_lokr.safetensors`, renamed by sd-scripts' table, and
`lycoris_sdxl.safetensors`. Of the ten transformer layers of a block the first two are adapted, to keep the file small.
"""

import pathlib
import re
import sys

import torch
from lycoris.kohya import create_network
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

import family_golden
import ldm
import pack

F64 = torch.float64
PRESETS = ["full", "attn-mlp", "attn-only"]
UNET = family_golden.SDXL_UNET | {"transformer_layers_per_block": (1, 2, 10)}


def names(folder):
    """Modules of `full`, as lycoris-lora calls them in sd-scripts, and what each other preset leaves out."""
    from library import sdxl_original_unet as sdxl

    sdxl.MODEL_CHANNELS, sdxl.TIME_EMBED_DIM, sdxl.CONTEXT_DIM, sdxl.ADM_IN_CHANNELS = 32, 128, 16, 1544
    unet = sdxl.SdxlUNet2DConditionModel()
    texts = [
        CLIPTextModel(family_golden.text_config(12, "quick_gelu")),
        CLIPTextModelWithProjection(family_golden.text_config(32, "gelu")),
    ]
    lines, full = [], []
    for preset in PRESETS:
        network = create_network(1.0, 2, 1.0, None, texts, unet, algo="locon", conv_dim=2, conv_alpha=1, preset=preset)
        found = sorted(lora.lora_name for lora in network.text_encoder_loras + network.unet_loras)
        print(preset, len(found))
        full = full or found
        assert set(found) <= set(full)
        lines += [f"[{preset}]"] + (found if preset == "full" else [name for name in full if name not in set(found)])
    (folder / "lycoris_sdxl.txt").write_text("\n".join(lines) + "\n")


def trainers_name(name, table):
    """sd-scripts' path of a layer at a diffusers path."""
    for ours, theirs in table:
        if (name + ".").startswith(theirs):
            rest = (name + ".")[len(theirs) :].rstrip(".")
            for new, old in [("in_layers.2", "conv1"), ("out_layers.3", "conv2"), ("emb_layers.1", "time_emb_proj")]:
                rest = new if rest == old else rest
            rest = "skip_connection" if rest == "conv_shortcut" else rest
            return (ours + rest).rstrip(".")
    raise KeyError(name)


def numbers(folder, state):
    """A LoKr on diffusers' UNet."""
    from library.sdxl_model_util import make_unet_conversion_map

    unet = family_golden.unet(state, **UNET)
    paths = {"lora_unet_" + path.replace(".", "_"): path for path, _ in unet.named_modules()}
    few = []
    # `full` means other layers on diffusers' UNet than on sd-scripts'; these two mean the same.
    for preset in ["attn-mlp", "unet-convblock-only"]:
        options = {"algo": "lokr", "factor": "4", "conv_dim": 2, "conv_alpha": 1, "preset": preset}
        network = create_network(1.0, 2, 1.0, None, [], unet, **options)
        few += [lora for lora in network.unet_loras if not re.search(r"transformer_blocks_[2-9]", lora.lora_name)]
    table = make_unet_conversion_map()
    values = {}
    for lora in few:
        name = "lora_unet_" + trainers_name(paths[lora.lora_name], table).replace(".", "_")
        lora.double().eval()
        # Halves, so that the file holds what was computed with.
        for key, tensor in lora.named_parameters():
            drawn = pack.normal(f"{name}.{key}", tensor.shape, 0.3).half()
            tensor.data = drawn.double()
            values[f"{name}.{key}"] = drawn.contiguous()
        values[f"{name}.alpha"] = lora.alpha.half()
        lora.apply_to()
    golden = pack.Pack()
    sample = golden.put("unet.sample", pack.normal("unet.sample", (2, 4, 16, 24), dtype=F64)).double()
    context = golden.put("unet.context", pack.normal("unet.context", (2, 77, 16), dtype=F64)).double()
    pooled = golden.put("unet.pooled", pack.normal("unet.pooled", (2, 8), dtype=F64)).double()
    sizes = torch.tensor([[1024.0, 768, 0, 32, 1024, 768], [300, 400, 7, 0, 896, 1152]], dtype=F64)
    golden.put("unet.sizes", sizes)
    told = {"text_embeds": pooled, "time_ids": sizes}

    def predict():
        with torch.no_grad():
            return unet(sample, torch.tensor([37.0, 801.0]), context, added_cond_kwargs=told).sample

    with_lokr = golden.put("unet.lokr", predict())
    for lora in few:
        lora.restore()
    without = golden.put("unet.out", predict())
    print(len(few), "modules move the prediction by", float((with_lokr - without).norm() / without.norm()))
    save_file(values, folder / "lycoris_sdxl_lokr.safetensors", metadata={"ss_network_module": "lycoris.kohya"})
    (folder / "lycoris_sdxl_lokr.safetensors").chmod(0o644)
    golden.write(folder / "lycoris_sdxl.safetensors", {"oracle": "lycoris_sdxl.py", "dtype": "float64"})


def main():
    parser = pack.arguments(
        __doc__,
        sd_scripts={"required": True, "type": pathlib.Path, "help": "a working copy of sd-scripts"},
        tiny={"required": True, "type": pathlib.Path, "help": "the tiny SDXL checkpoint"},
    )
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.sd_scripts))
    names(arguments.out)
    torch.set_default_dtype(F64)
    numbers(arguments.out, ldm.read(arguments.tiny))


if __name__ == "__main__":
    main()

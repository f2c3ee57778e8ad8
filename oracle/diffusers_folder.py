"""A toy SD1 in both forms: one file in the original layout, and the folder that diffusers saves of the same weights.

Usage: python oracle/diffusers_folder.py        writes crates/weights/tests/golden/diffusers
The keys are those of models/tiny; diffusers' own converters say which tensor of its models each one is. The UNet is saved
in pieces as the variant fp16, the VAE as .bin, the text encoder as one .safetensors. Made with diffusers 0.32.1.
"""

import pathlib
import re
import shutil

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as convert
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

import pack

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "crates/weights/tests/golden/diffusers"
WIDTHS = (2, 3, 4, 4)


def models():
    unet = UNet2DConditionModel(block_out_channels=WIDTHS, norm_num_groups=1, cross_attention_dim=2, attention_head_dim=1)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=WIDTHS,
        layers_per_block=2,
        norm_num_groups=1,
    )
    config = CLIPTextConfig(
        vocab_size=20, hidden_size=2, intermediate_size=4, num_hidden_layers=2, num_attention_heads=1, hidden_act="quick_gelu"
    )
    return {"unet": unet, "vae": vae, "text_encoder": CLIPTextModel(config)}


def converted(state, models):
    """diffusers' names for the tensors of a single file."""
    return {
        "unet": convert.convert_ldm_unet_checkpoint(dict(state), dict(models["unet"].config)),
        "vae": convert.convert_ldm_vae_checkpoint(dict(state), dict(models["vae"].config)),
        "text_encoder": convert.convert_ldm_clip_checkpoint(dict(state)),
    }


def main():
    with safe_open(ROOT / "models/tiny/sd15_tiny.safetensors", "pt") as file:
        keys = sorted(key for key in file.keys() if not re.search(r"encoder\.layers\.([2-9]|1\d)\.", key))
    parts = models()
    marks = {key: torch.full((1, 1, 1, 1), float(n)) for n, key in enumerate(keys)}
    single = {}
    for part, names in converted(marks, parts).items():
        own = parts[part].state_dict()
        for name, mark in names.items():
            key = keys[int(mark.flatten()[0])]
            shape = own[name].shape
            if ".attn_1." in key and len(shape) == 2:
                shape = (*shape, 1, 1)
            single[key] = pack.normal(key, shape, dtype=torch.float16)
    assert set(single) == set(keys)
    for part, state in converted(single, parts).items():
        parts[part].load_state_dict(state, strict=True)
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "folder").mkdir(parents=True)
    save_file(single, OUT / "single.safetensors")
    scheduler = DDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True)
    pipe = StableDiffusionPipeline(
        **parts, tokenizer=None, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    folder = OUT / "folder"
    pipe.save_pretrained(folder)
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
    parts["unet"].half().save_pretrained(folder / "unet", variant="fp16", max_shard_size="8KB")
    parts["vae"].save_pretrained(folder / "vae", safe_serialization=False)
    for path in sorted(OUT.rglob("*")):
        if path.is_file():
            path.chmod(0o644)
            print(path.relative_to(OUT), path.stat().st_size)


if __name__ == "__main__":
    main()

"""Which tensor of a single file each tensor of a diffusers folder is, for SD2.x and SDXL, by diffusers' own converters.

Usage: python oracle/family_names.py --tiny FOLDER > crates/weights/tests/golden/family_names.txt
FOLDER holds what `cargo run --release -p lorabake-testkit --example tiny_checkpoints FOLDER` writes. Every number of the
file becomes its own place in it, so that a converted tensor can be traced whatever was done to it: taken whole, as
one third of the rows (q, k, v), or turned (t). Made with diffusers 0.32.1.
"""

import argparse
import pathlib

import diffusers
import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from safetensors import safe_open

import family_golden as family


def marked(path):
    """All tensors with their shapes; numbers count on from tensor to tensor. With them, key and shape by first number."""
    state, at, first = {}, 0, {}
    with safe_open(path, "pt") as file:
        for key in sorted(file.keys()):
            shape = file.get_slice(key).get_shape()
            count = torch.Size(shape).numel()
            state[key] = torch.arange(at, at + count, dtype=torch.float64).reshape(shape)
            first[key] = at
            at += count
    assert at < 2**24, "f32 must hold every place"
    return state


def trace(name, value, state):
    """Key in the single file and what was done to it."""
    start = value.flatten()[0]
    for key, source in state.items():
        if not source.numel() or not source.flatten()[0] <= start <= source.flatten()[-1]:
            continue
        if value.numel() == source.numel():
            if torch.equal(value.flatten(), source.flatten()):
                return key, ""
            assert torch.equal(value, source.t()), name
            return key, " t"
        for third, part in zip("qkv", source.chunk(3)):
            if torch.equal(value, part):
                return key, " " + third
    raise AssertionError(name)


def vae(state):
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        layers_per_block=1,
        latent_channels=4,
    )
    weights = convert_ldm_vae_checkpoint(dict(state), dict(model.config))
    model.load_state_dict(weights, strict=True)
    return model.double()


def section(title, model, state):
    print(f"[{title}]")
    pairs = {}
    for name, value in model.double().state_dict().items():
        if name.endswith("position_ids"):
            continue
        key, how = trace(name, value, state)
        stem, leaf = name.rsplit(".", 1)
        own, same = key.rsplit(".", 1) if key.endswith("." + leaf) else (key, "")
        if how in (" q", " k", " v"):
            assert key.endswith("in_proj_" + leaf), key
            own, same = key[: -len(leaf) - 1], leaf
        if same:
            pairs.setdefault((own, stem, how), []).append(leaf[0])
        else:
            pairs[(key, name, how)] = ["-"]
    for (key, name, how), leaves in pairs.items():
        print(key, name, "".join(sorted(leaves, reverse=True)) + how)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", type=pathlib.Path, required=True)
    tiny = parser.parse_args().tiny
    print("# checkpoint layer, layer in the folder, w(eight) b(ias) or - for whole names, what was done to it;")
    print(f"# by oracle/family_names.py, diffusers {diffusers.__version__}")
    state = marked(tiny / "tiny_sd2.safetensors")
    section("sd2 unet", family.unet(state, **family.SD2_UNET), state)
    section("sd2 vae", vae(state), state)
    section("sd2 text_encoder", family.open_clip(state, "cond_stage_model.model.", 23, False), state)
    state = marked(tiny / "tiny_sdxl.safetensors")
    section("sdxl unet", family.unet(state, **family.SDXL_UNET), state)
    section("sdxl vae", vae(state), state)
    section("sdxl text_encoder", family.clip(state, "conditioner.embedders.0.transformer.", 3), state)
    section("sdxl text_encoder_2", family.open_clip(state, "conditioner.embedders.1.model.", 4, True), state)


if __name__ == "__main__":
    main()

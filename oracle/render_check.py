"""A picture by diffusers' own pipeline, with our LoRA loaded by diffusers and peft: the check on `lorabake generate`.

Usage: python oracle/render_check.py CHECKPOINT LORA PROMPT OUT.png [--latent START.safetensors] [--steps 30] ...
LORA is a kohya-format .safetensors, or `none`. Beside OUT.png a file OUT.safetensors is written, f32: `start`, `latent`
(the last one, still scaled) and `image` (1,3,H,W) as decoded, before it is clamped to [-1,1].
The start: a safetensors file with a tensor `latent` (1,4,H/8,W/8), unit normal;
without --latent it is drawn from --seed.
Samplers: ddim (SD1.5's settings, eta 0) takes no further randomness, so that two programs can be compared.
"""

import argparse
import pathlib
import sys

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

import clip_bpe
import ldm


def arguments(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="SD1.x single-file checkpoint, any widths")
    parser.add_argument("lora", help="kohya-format LoRA, or `none`")
    parser.add_argument("prompt")
    parser.add_argument("out", type=pathlib.Path, help="PNG to write; the tensors go beside it")
    parser.add_argument("--negative", default="")
    parser.add_argument("--latent", help="safetensors file with `latent` (1,4,h,w), unit normal")
    parser.add_argument("--width", type=int, default=128, help="used without --latent")
    parser.add_argument("--height", type=int, default=128, help="used without --latent")
    parser.add_argument("--seed", type=int, default=0, help="used without --latent")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--cfg", type=float, default=7.5, help="guidance scale; 1 = none")
    parser.add_argument("--multiplier", type=float, default=1.0, help="strength of the LoRA")
    parser.add_argument("--clip-skip", type=int, default=1, help="kohya's counting: 1 = last layer, 2 = the one before")
    parser.add_argument("--v-prediction", action="store_true")
    parser.add_argument("--text-heads", type=int, help="heads of the text encoder, if not one per 64 channels")
    return parser.parse_args(argv)


def pipeline(checkpoint, prediction="epsilon", text_heads=None):
    """StableDiffusionPipeline in f32 from a single file, built part by part."""
    state = ldm.read(checkpoint)
    sizes = ldm.sizes_of(state, text_heads)
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
    pipe = StableDiffusionPipeline(
        vae=ldm.load_vae(state, sizes),
        text_encoder=ldm.load_text(state, sizes),
        tokenizer=clip_bpe.clip_tokenizer(),
        unet=ldm.load_unet(state, sizes),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def add_lora(pipe, path, multiplier=1.0):
    """Loads a kohya-format LoRA or LoCon through diffusers; returns how many layers of UNet and text encoder took part.

    diffusers 0.32.1 forgets the file's alphas where ranks differ (LoCon with conv_dim != dim) and takes alpha = rank
    (`_maybe_adjust_config`); they are put back here from the file, with a notice.
    """
    path = pathlib.Path(path)
    pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="ours")
    weights = load_file(str(path))
    counts, corrected = [], 0
    for prefix, part in (("lora_unet_", pipe.unet), ("lora_te_", pipe.text_encoder)):
        layers = {name: m for name, m in part.named_modules() if hasattr(m, "lora_A")}
        for name, layer in layers.items():
            alpha = weights.get(prefix + name.replace(".", "_") + ".alpha", torch.tensor(float(layer.r["ours"]))).item()
            corrected += layer.lora_alpha["ours"] != alpha
            layer.lora_alpha["ours"] = alpha
        counts.append(len(layers))
    if corrected:
        print(f"diffusers had the wrong alpha in {corrected} layers; the file's were put back")
    modules = {key.split(".")[0] for key in weights}
    if sum(counts) != len(modules):
        raise SystemExit(f"{path}: {len(modules)} modules in the file, but diffusers attached {counts}")
    pipe.set_adapters(["ours"], [multiplier])
    return counts


@torch.no_grad()
def render(pipe, start, options):
    """Last latent (scaled) and decoded image, unclamped."""
    latent = pipe(
        options.prompt,
        negative_prompt=options.negative,
        height=start.shape[2] * 8,
        width=start.shape[3] * 8,
        num_inference_steps=options.steps,
        guidance_scale=options.cfg,
        eta=0.0,
        latents=start.clone(),
        clip_skip=None if options.clip_skip == 1 else options.clip_skip - 1,  # diffusers counts skipped layers
        output_type="latent",
    ).images
    return latent, pipe.vae.decode(latent / ldm.LATENT_SCALE).sample


def start_latent(options):
    """The given start, or one drawn from the seed."""
    if options.latent:
        return load_file(options.latent)["latent"].float()
    generator = torch.Generator().manual_seed(options.seed)
    return torch.randn((1, 4, options.height // 8, options.width // 8), generator=generator)


def write(out, start, latent, image):
    """OUT.png and OUT.safetensors."""
    out.parent.mkdir(parents=True, exist_ok=True)
    pixels = ((image[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0)
    Image.fromarray(pixels.numpy()).save(out)
    tensors = {"start": start, "latent": latent, "image": image}
    save_file({name: t.contiguous() for name, t in tensors.items()}, str(out.with_suffix(".safetensors")))
    print(f"wrote {out} {tuple(pixels.shape)} and {out.with_suffix('.safetensors').name}")


def main(argv=None):
    options = arguments(argv if argv is not None else sys.argv[1:])
    prediction = "v_prediction" if options.v_prediction else "epsilon"
    pipe = pipeline(options.checkpoint, prediction, options.text_heads)
    start = start_latent(options)
    plain = render(pipe, start, options)
    if options.lora == "none":
        write(options.out, start, *plain)
        return
    counts = add_lora(pipe, options.lora, options.multiplier)
    adapted = render(pipe, start, options)
    change = ((adapted[0] - plain[0]).norm() / plain[0].norm()).item()
    print(f"LoRA on {counts[0]} layers of the UNet and {counts[1]} of the text encoder")
    print(f"it moves the latent by {change:.2%} of its norm")
    if change == 0:
        raise SystemExit(f"{options.lora}: the LoRA does not change the picture")
    write(options.out, start, *adapted)


if __name__ == "__main__":
    main()

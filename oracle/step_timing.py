"""Seconds per LoRA training step of PyTorch: what lorabake's speed is compared with.

Usage: python oracle/step_timing.py [--checkpoint SD15.safetensors] [--dtype f32 bf16] [--size 512] [--threads 2] ...
       python oracle/step_timing.py --device cuda [--compile] --channels-last --dtype bf16 --warmup 5 --steps 10 ...
One step as sd-scripts does it with cached latents: text encoder, noising, UNet (SDPA), MSE, backward, clipping, AdamW
on rank-16 LoRA of all Linear and 1x1 convolutions in UNet attention blocks and CLIP layers. f32 = everything in f32;
bf16 = frozen weights in bf16, LoRA in f32, autocast. Each dtype runs in a process of its own, for its peak memory.
Without --checkpoint the weights are random, which costs the same time. --sdxl is SDXL's UNet alone. Run it on an idle
machine. Where diffusers is not installed, or with --plain, the UNet is that of plain_unet.py, which computes the same.
--tiny are narrow networks, to try the program out.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import gc
import json
import statistics
import subprocess
import sys
import time

import torch

import lora_bypass
import plain_unet

try:
    import ldm
    import sdxl
except ImportError:
    ldm = sdxl = None


def arguments(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="SD1.x single file; without it, random weights of SD1.5's size")
    parser.add_argument("--dtype", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    parser.add_argument("--size", type=int, default=512, help="pixels, square")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3, help="timed steps")
    parser.add_argument("--unet-only", action="store_true", help="no LoRA on the text encoder, states computed once")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--channels-last", action="store_true", help="the UNet's images in that layout")
    parser.add_argument("--sdxl", action="store_true", help="SDXL's UNet, without text encoders")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", nargs="?", const="inductor", metavar="BACKEND", help="by torch.compile")
    parser.add_argument("--plain", action="store_true", help="without diffusers, even if it is there")
    parser.add_argument("--tiny", action="store_true", help="narrow networks")
    parser.add_argument("--json", help="also write the results here")
    return parser.parse_args(argv)


def plain_models(options, dtype):
    """The same without diffusers."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = plain_unet.SDXL if options.sdxl else plain_unet.SD15
    if options.tiny:
        config = dataclasses.replace(config, channels=(32, 64, 96, 96)[: len(config.channels)], heads=(2,) * 4)
    with torch.device(options.device):
        unet = plain_unet.UNet(config).eval().requires_grad_(False)
        if options.sdxl:
            return unet.to(dtype), None
        layers = 2 if options.tiny else 12
        text = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=layers,
                                            num_attention_heads=12, vocab_size=49408)).eval().requires_grad_(False)
    return unet.to(dtype), text.to(options.device, dtype)


def models(options, dtype):
    """UNet and text encoder, frozen; SDXL has the UNet only."""
    checkpoint, is_sdxl = options.checkpoint, options.sdxl
    if ldm is None or options.plain or options.tiny:
        if checkpoint:
            sys.exit("--checkpoint: needs diffusers, full width and no --plain; leave it out")
        return plain_models(options, dtype)
    if is_sdxl:
        return sdxl.new_unet().to(options.device, dtype).requires_grad_(False), None
    if checkpoint:
        state = ldm.read(checkpoint)
        sizes = ldm.sizes_of(state)
        unet, text = ldm.load_unet(state, sizes), ldm.load_text(state, sizes)
    else:
        unet, text = (new(ldm.Sizes()).requires_grad_(False) for new in (ldm.new_unet, ldm.new_text))
    return unet.to(options.device, dtype), text.to(options.device, dtype)


def attach_lora(model, where, rank):
    """LoRA as sd-scripts initialises it on every Linear and 1x1 convolution under a path that has `where` in it."""
    parameters = []
    for path, layer in model.named_modules():
        adapted = isinstance(layer, torch.nn.Linear) or getattr(layer, "kernel_size", None) == (1, 1)
        if where not in path or not adapted:
            continue
        down_shape, up_shape = lora_bypass.shapes(layer, rank)
        down = torch.nn.Parameter(torch.empty(down_shape, device=layer.weight.device))
        torch.nn.init.kaiming_uniform_(down, a=5**0.5)
        up = torch.nn.Parameter(torch.zeros(up_shape, device=layer.weight.device))
        lora_bypass.attach(layer, down, up, 1.0)
        parameters += [down, up]
    return parameters


def train_step(unet, text, batch, optimizer, cast):
    """Forward, backward and update; returns the loss."""
    latents, ids, alphas, states, added = batch
    noise = torch.randn_like(latents)
    timesteps = torch.randint(0, 1000, (latents.shape[0],), device=latents.device)
    alpha = alphas[timesteps].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    with cast():
        context = text(ids).last_hidden_state if states is None else states
        predicted = unet(noisy, timesteps, context, added_cond_kwargs=added).sample
    loss = torch.nn.functional.mse_loss(predicted.float(), noise)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def peak_gib():
    """Largest resident size since `forget_peak` (Linux)."""
    with open("/proc/self/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) / 2**20


def forget_peak():
    """Returns what loading left over to the system and lets the peak start anew, so that only training counts."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def measure(options):
    """One dtype: medians and peak memory."""
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    half = options.dtype == ["bf16"]
    unet, text = models(options, torch.bfloat16 if half else torch.float32)
    if options.channels_last:
        unet = unet.to(memory_format=torch.channels_last)
    parameters = attach_lora(unet, "attentions", options.rank)
    if not options.unet_only and text is not None:
        parameters += attach_lora(text, "encoder.layers", options.rank)
    if options.gradient_checkpointing:
        unet.train().enable_gradient_checkpointing()
        if text is not None:
            text.train().gradient_checkpointing_enable({"use_reentrant": False})
    if options.compile:
        unet = torch.compile(unet, backend=options.compile)
        text = text if text is None else torch.compile(text, backend=options.compile)
    cast = (lambda: torch.autocast(options.device, torch.bfloat16)) if half else contextlib.nullcontext
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    side = options.size // 8
    there = {"device": options.device}
    ids = torch.randint(0, 49406, (options.batch, 77), **there)
    alphas = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, **there) ** 2).cumprod(0)
    states, added = None, None
    if options.sdxl:
        states = torch.randn(options.batch, 77, plain_unet.SDXL.context, **there)
        sizes = torch.tensor([[options.size, options.size, 0, 0, options.size, options.size]] * options.batch, **there)
        added = {"text_embeds": torch.randn(options.batch, plain_unet.POOLED, **there), "time_ids": sizes}
    elif options.unet_only:
        with torch.no_grad(), cast():
            states = text(ids).last_hidden_state
    latents = torch.randn(options.batch, 4, side, side, **there)
    if options.channels_last:
        latents = latents.contiguous(memory_format=torch.channels_last)
    batch = (latents, ids, alphas, states, added)
    peak_loading = peak_gib()
    forget_peak()
    resting = peak_gib()
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(options.warmup + options.steps):
        start = time.perf_counter()
        # It reads the loss, so the device has finished.
        loss = train_step(unet, text, batch, optimizer, cast)
        seconds.append(time.perf_counter() - start)
        print(f"  {seconds[-1]:.2f} s, loss {loss:.4f}", file=sys.stderr, flush=True)
    timed = seconds[options.warmup :]
    return {
        "dtype": options.dtype[0],
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "compiled": options.compile,
        "size": options.size,
        "batch": options.batch,
        "rank": options.rank,
        "threads": options.threads,
        "text_encoder": not (options.unet_only or options.sdxl),
        "gradient_checkpointing": options.gradient_checkpointing,
        "channels_last": options.channels_last,
        "lora_parameters": sum(p.numel() for p in parameters),
        "lora_layers": len(parameters) // 2,
        "median_seconds": round(statistics.median(timed), 3),
        "min_seconds": round(min(timed), 3),
        "all_seconds": [round(s, 3) for s in seconds],
        "peak_while_loading_gib": round(peak_loading, 2),
        "rss_before_step_gib": round(resting, 2),
        "peak_rss_gib": round(peak_gib(), 2),
        "peak_device_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if options.device == "cuda" else None,
        "torch": torch.__version__,
    }


def main(argv):
    options = arguments(argv)
    if len(options.dtype) == 1:
        print(json.dumps(measure(options)), flush=True)
        return
    results = []
    at = argv.index("--dtype") if "--dtype" in argv else None
    rest = argv if at is None else argv[:at] + argv[at + 1 + len(options.dtype) :]
    for dtype in options.dtype:
        command = [sys.executable, __file__, *rest, "--dtype", dtype]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        results.append(json.loads(output.strip().splitlines()[-1]))
        r = results[-1]
        peak = r["peak_device_gib"] or r["peak_rss_gib"]
        print(f"{dtype}: median {r['median_seconds']} s/step, peak {peak} GiB ({r['lora_layers']} layers)")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])

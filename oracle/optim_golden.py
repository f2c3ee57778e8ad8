"""Golden runs for crates/optim: every optimizer but AdamW against its author's package.

Writes crates/optim/tests/golden/OPTIMIZER.safetensors: one or more runs of 25 updates over seven tensors in two groups.
Values of a run: `RUN.init.I`, `RUN.bias.I`, `RUN.noise.I` for tensor I. The gradient of update `step` is not stored:
it is bias + roll(noise, 37 * step) / 2**(step % 5), in f32, so that both sides make the same one; no gradient where
`has_grad` says so. `RUN.lr` (steps, 2) f64, `RUN.d` (steps) f64: d before each update, for adaptive optimizers.
`RUN.value.STEP.I`: values after some of the updates. 8-bit optimizers also have `RUN.codes.J.I` and `RUN.absmax.J.I` at
the end (J = 0 first, 1 second state). `blockwise.safetensors` has bitsandbytes' two maps and a block-wise quantized
tensor. Arguments as typed after --optimizer_args stand in the metadata.

bitsandbytes 0.50.2 runs its own 8-bit optimizers on the CPU. python oracle/optim_golden.py [NAME...]
"""

import json
import math
import sys
import zlib
from pathlib import Path

import bitsandbytes as bnb
import dadaptation
import lion_pytorch
import prodigyopt
import torch
import transformers
from dadaptation import experimental
from safetensors.torch import save_file

OUT = Path(__file__).parent.parent / "crates/optim/tests/golden"
SHAPES = [(7,), (3, 5), (1,), (4, 16), (6, 2, 3, 3), (8, 4, 1, 1), (33,)]
LARGE = (68, 64)  # more than 4096 values: kept in 8 bits by default
STEPS = 25
KEPT = (0, 1, 4, 9, 14, 19, 24)
SPLIT = 3  # tensors of the first group

ADAM_ARGS = {"decouple": True, "weight_decay": 0.01, "betas": (0.9, 0.999)}
PRODIGY_ARGS = {**ADAM_ARGS, "d_coef": 2, "use_bias_correction": True, "safeguard_warmup": False}
# The first group has no rate, but weight decay apart from the gradient.
FROZEN = ({"decouple": True, "weight_decay": 0.5, "d0": 1e-2, "growth_rate": 1.1}, (0.0, 1.0))
# name -> (class, [(settings, rate)]); a rate is one number for both groups, a pair, or "warmup" (from 0 up to 1).
RUNS = {
    "Lion": (lion_pytorch.Lion, [({"weight_decay": 0.01}, (1e-3, 5e-4)), ({"betas": (0.8, 0.95)}, 1e-3),
             ({"weight_decay": 1e-3, "decoupled_weight_decay": True}, (1e-3, 5e-4))]),
    "SGDNesterov": (torch.optim.SGD, [({"momentum": 0.9}, (0.25, 0.5)), ({"momentum": 0.7, "weight_decay": 0.1}, 0.1)]),
    "DAdaptAdamPreprint": (experimental.DAdaptAdamPreprint, [(ADAM_ARGS, 1.0), ({}, "warmup"),
             ({"weight_decay": 0.1, "growth_rate": 1.5, "d0": 1e-4}, (0.0, 1.0)), FROZEN]),
    "DAdaptAdam": (dadaptation.DAdaptAdam, [(ADAM_ARGS, 1.0), ({"use_bias_correction": True}, "warmup"),
             ({"weight_decay": 0.1, "growth_rate": 1.5, "d0": 1e-4, "eps": 1e-6}, (0.0, 1.0)), FROZEN]),
    "DAdaptAdaGrad": (dadaptation.DAdaptAdaGrad, [({}, 1.0), ({"momentum": 0.9, "weight_decay": 0.1, "d0": 0.1}, "warmup"),
             ({"growth_rate": 1.02, "d0": 1e-7}, 2.0)]),
    "DAdaptAdan": (dadaptation.DAdaptAdan, [({}, 1.0), ({"weight_decay": 0.1, "no_prox": True}, "warmup"),
             ({"betas": (0.9, 0.8, 0.95), "growth_rate": 1.5, "d0": 1e-4}, 0.5)]),
    "DAdaptSGD": (dadaptation.DAdaptSGD, [({}, 1.0), ({"momentum": 0.9, "weight_decay": 0.1, "d0": 1e-2}, 1.0),
             ({"growth_rate": 1.5, "d0": 1e-3}, (0.0, 1.0))]),
    "DAdaptLion": (dadaptation.DAdaptLion, [({"weight_decay": 0.01}, 1.0), ({"betas": (0.8, 0.95), "d0": 1e-4}, "warmup")]),
    "AdaFactor": (transformers.optimization.Adafactor, [
             ({"relative_step": True, "scale_parameter": True, "warmup_init": True}, None), ({"relative_step": True}, None),
             ({"relative_step": False, "scale_parameter": False, "weight_decay": 0.1, "beta1": 0.9}, (1e-2, 1e-3)),
             ({"relative_step": False, "clip_threshold": 0.5, "decay_rate": -0.6, "eps": (1e-20, 1e-2)}, 1e-2)]),
    "Prodigy": (prodigyopt.Prodigy, [(PRODIGY_ARGS, 1.0), ({"safeguard_warmup": True, "weight_decay": 0.1}, "warmup"),
             ({"decouple": False, "weight_decay": 0.1, "growth_rate": 1.5, "beta3": 0.99, "d0": 1e-4}, (0.0, 1.0)),
             ({"slice_p": 3, "betas": (0.8, 0.99)}, 0.5), FROZEN]),
    "AdamW8bit": (bnb.optim.AdamW8bit, [({}, (1e-2, 5e-3)), ({"min_8bit_size": 30, "weight_decay": 0.1, "eps": 1e-6}, 1e-2)]),
    "Lion8bit": (bnb.optim.Lion8bit, [({}, (1e-3, 5e-4)), ({"min_8bit_size": 30, "weight_decay": 0.1, "betas": (0.8, 0.95)}, 1e-3)]),
    "SGDNesterov8bit": (bnb.optim.SGD8bit, [({"momentum": 0.9}, (0.05, 0.1)),
             ({"momentum": 0.7, "min_8bit_size": 30, "weight_decay": 0.1}, 0.1)]),
}


def has_grad(step, index):
    """Tensor 1 misses every third update, tensor 2 its first six, the last one (index 6) all of them."""
    return not ((index == 1 and step % 3 == 2) or (index == 2 and step < 6) or index == 6)


def rates(rate, step):
    if rate is None:
        return None
    if rate == "warmup":
        return [min(step / 5, 1.0)] * 2
    pair = rate if isinstance(rate, tuple) else (rate, rate)
    return [base * (0.6 + 0.4 * math.cos(step / 4)) for base in pair]


def typed(settings):
    show = lambda v: ",".join(map(str, v)) if isinstance(v, tuple) else str(v)
    return [f"{key}={show(value)}" for key, value in settings.items()]


def run(name, label, optimizer_class, settings, rate, out):
    generator = torch.Generator().manual_seed(zlib.crc32(f"{name} {label}".encode()))
    draw = lambda shape, scale: torch.randn(shape, generator=generator) * scale
    eight = "8bit" in name
    shapes = SHAPES + ([LARGE] if eight and label == "a" else [])
    params = [torch.nn.Parameter(draw(s, 0.5)) for s in shapes]
    params[5].data.zero_()  # as the up factor of a LoRA
    bias, noise = [draw(s, 0.02) for s in shapes], [draw(s, 0.05) for s in shapes]
    for i, p in enumerate(params):
        if shapes[i] == LARGE:  # kept small in the file: it starts at a hundredth of its noise
            p.data.copy_(noise[i] * 0.0078125)
            bias[i].zero_()
        else:
            out[f"{label}.init.{i}"] = p.detach().clone()
            out[f"{label}.bias.{i}"] = bias[i]
        out[f"{label}.noise.{i}"] = noise[i]
    first = rates(rate, 3)
    groups = [{"params": params[:SPLIT]}, {"params": params[SPLIT:]}]
    extra = {"nesterov": True} if name.startswith("SGDNesterov") else {}
    lr = {} if first is None else {"lr": 1.0 if rate == "warmup" else max(rate) if isinstance(rate, tuple) else rate}
    optimizer = optimizer_class(groups, **lr, **settings, **extra)
    lrs, ds = [], []
    for step in range(STEPS):
        now = rates(rate, step)
        for i, group in enumerate(optimizer.param_groups):
            if now is not None:
                group["lr"] = now[i]
        lrs.append(now or [0.0, 0.0])
        if "d" in optimizer.param_groups[0]:
            ds.append(optimizer.param_groups[0]["d"])
        optimizer.zero_grad(set_to_none=True)
        for i, p in enumerate(params):
            if has_grad(step, i):
                shifted = torch.roll(noise[i].flatten(), 37 * step).reshape(p.shape)
                p.grad = bias[i] + shifted * 2.0 ** -(step % 5)
        optimizer.step()
        for i, p in enumerate(params):
            if step in KEPT and (shapes[i] != LARGE or step == STEPS - 1):
                out[f"{label}.value.{step}.{i}"] = p.detach().clone()
    for i, p in enumerate(params):
        for j in (1, 2):
            if optimizer.state[p].get(f"state{j}", torch.zeros(1)).dtype == torch.uint8:
                out[f"{label}.codes.{j - 1}.{i}"] = optimizer.state[p][f"state{j}"].clone()
                out[f"{label}.absmax.{j - 1}.{i}"] = optimizer.state[p][f"absmax{j}"].clone()
    out[f"{label}.lr"] = torch.tensor(lrs, dtype=torch.float64)
    if ds:
        out[f"{label}.d"] = torch.tensor(ds, dtype=torch.float64)
        print(f"{name} {label}: d {ds[0]:.2e} -> {ds[-1]:.3e}, {len(set(ds))} values")


def save(tensors, path, runs):
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata={"runs": json.dumps(runs)})
    path.chmod(0o644)
    print(path.name, path.stat().st_size)


def blockwise():
    generator = torch.Generator().manual_seed(8)
    values = torch.randn(600, generator=generator) * torch.logspace(-6, 1, 600)
    out = {"values": values}
    for name, signed in (("signed", True), ("unsigned", False)):
        code = bnb.functional.create_dynamic_map(signed=signed)
        given = values if signed else values.abs()
        codes, absmax = torch.ops.bitsandbytes.quantize_blockwise(given, code, 256)
        back = torch.ops.bitsandbytes.dequantize_blockwise(codes, absmax, code, 256, torch.float32)
        out |= {f"{name}.map": code, f"{name}.codes": codes, f"{name}.absmax": absmax, f"{name}.back": back}
    save(out, OUT / "blockwise.safetensors", {})


if __name__ == "__main__":
    for optimizer_name, (cls, runs) in RUNS.items():
        if sys.argv[1:] and optimizer_name not in sys.argv[1:]:
            continue
        tensors, described = {}, {}
        for run_label, (run_settings, run_rate) in zip("abcde", runs):
            run(optimizer_name, run_label, cls, run_settings, run_rate, tensors)
            large = run_label == "a" and "8bit" in optimizer_name
            described[run_label] = {"args": typed(run_settings), "tensors": len(SHAPES) + large}
            if isinstance(run_rate, tuple):
                described[run_label]["learning_rate"] = max(run_rate)
        save(tensors, OUT / f"{optimizer_name}.safetensors", described)
    blockwise()

"""Golden runs for crates/optim: torch.optim.AdamW, and torch.nn.utils.clip_grad_norm_.

Writes crates/optim/tests/golden/adamw.safetensors. Two runs of 25 updates over five tensors in two groups. Names:
`RUN.init.I`, `RUN.grad.STEP.I` (absent where the parameter had no gradient), `RUN.value.STEP.I` (after the update),
`RUN.exp_avg.I`, `RUN.exp_avg_sq.I` and `RUN.steps` at the end, `RUN.lr` (steps, 2). Run b clips its gradients:
`b.grad` is from before clipping, `b.clipped.STEP.I` from after, `b.norm` has the norms from before. The settings of
the runs stand in the metadata.

python oracle/optim_adamw.py
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent.parent / "crates/optim/tests/golden/adamw.safetensors"
SHAPES = [(7,), (3, 5), (1,), (4, 16), (33,)]
STEPS = 25
RUNS = {
    "a": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "group_1_weight_decay": None, "max_norm": 0.0},
    "b": {"betas": (0.85, 0.99), "eps": 1e-6, "weight_decay": 0.1, "group_1_weight_decay": 0.0, "max_norm": 0.7},
}


def has_grad(step, index):
    """Tensor 1 misses every third step, tensor 2 its first six, tensor 4 all of them."""
    return not ((index == 1 and step % 3 == 2) or (index == 2 and step < 6) or index == 4)


def run(name, settings, out):
    generator = torch.Generator().manual_seed(ord(name))
    params = [torch.nn.Parameter(torch.randn(s, generator=generator)) for s in SHAPES]
    for i, p in enumerate(params):
        out[f"{name}.init.{i}"] = p.detach().clone()
    groups = [{"params": params[:2], "lr": 1e-3}, {"params": params[2:], "lr": 5e-4}]
    if settings["group_1_weight_decay"] is not None:
        groups[1]["weight_decay"] = settings["group_1_weight_decay"]
    optimizer = torch.optim.AdamW(
        groups, betas=settings["betas"], eps=settings["eps"], weight_decay=settings["weight_decay"]
    )
    lrs, norms = [], []
    for step in range(STEPS):
        for group, base in zip(optimizer.param_groups, (1e-2, 5e-3)):
            group["lr"] = base * (0.6 + 0.4 * math.cos(step / 4))
        lrs.append([g["lr"] for g in optimizer.param_groups])
        optimizer.zero_grad(set_to_none=True)
        for i, p in enumerate(params):
            if has_grad(step, i):
                # Sizes from 1e-9 to 1: small enough for eps to matter in some tensors.
                p.grad = torch.randn(p.shape, generator=generator) * 10.0 ** -(3 * i * (step % 4) / 4)
                out[f"{name}.grad.{step}.{i}"] = p.grad.clone()
        if settings["max_norm"]:
            norms.append(torch.nn.utils.clip_grad_norm_(params, settings["max_norm"]).item())
            for i, p in enumerate(params):
                if p.grad is not None:
                    out[f"{name}.clipped.{step}.{i}"] = p.grad.clone()
        optimizer.step()
        for i, p in enumerate(params):
            out[f"{name}.value.{step}.{i}"] = p.detach().clone()
    for i, p in enumerate(params[:4]):
        out[f"{name}.exp_avg.{i}"] = optimizer.state[p]["exp_avg"].clone()
        out[f"{name}.exp_avg_sq.{i}"] = optimizer.state[p]["exp_avg_sq"].clone()
    out[f"{name}.steps"] = torch.tensor([optimizer.state[p]["step"].item() for p in params[:4]], dtype=torch.float64)
    out[f"{name}.lr"] = torch.tensor(lrs, dtype=torch.float64)
    if norms:
        out[f"{name}.norm"] = torch.tensor(norms, dtype=torch.float64)


if __name__ == "__main__":
    tensors = {}
    for run_name, run_settings in RUNS.items():
        run(run_name, run_settings, tensors)
    metadata = {"torch": torch.__version__, "runs": json.dumps(RUNS)}
    save_file(tensors, OUT, metadata=metadata)
    print(OUT, OUT.stat().st_size)

"""Averaged weights by diffusers' EMAModel, whose rule `--ema_decay` follows.

Usage: python oracle/ema_golden.py crates/train/tests/golden/ema.safetensors
`walk.N` are the weights after update N (from 0, the first values), `DECAY.N` the average after it.
"""

import torch
from diffusers.training_utils import EMAModel

import pack

STEPS = 60
DECAYS = ("0.5", "0.8", "0.9999")


def main():
    out = pack.arguments(__doc__).parse_args().out
    golden = pack.Pack()
    walk = [pack.normal(f"walk.{step}", (5,)) for step in range(STEPS + 1)]
    for step in range(STEPS + 1):
        golden.put(f"walk.{step}", walk[step])
    for decay in DECAYS:
        weights = torch.nn.Parameter(walk[0].clone())
        average = EMAModel([weights], decay=float(decay))
        for step in range(1, STEPS + 1):
            weights.data.copy_(walk[step])
            average.step([weights])
            if step in (1, 2, 3, 10, STEPS):
                golden.put(f"{decay}.{step}", average.shadow_params[0])
    golden.write(out)


main()

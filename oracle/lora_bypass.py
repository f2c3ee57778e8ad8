"""LoRA as a bypass, y = base(x) + alpha/rank * up(down(x)), attached by forward hooks.

Not peft and not a trainer: the smallest independent statement of what lorabake computes. A convolution's `down` has the
base's kernel, stride and padding, its `up` is 1x1 (kohya's LoCon layout).
"""

import torch
import torch.nn.functional as F


def shapes(base, rank):
    """Shapes of (down, up) for a Linear or Conv2d."""
    if isinstance(base, torch.nn.Linear):
        return (rank, base.in_features), (base.out_features, rank)
    return (rank, base.in_channels, *base.kernel_size), (base.out_channels, rank, 1, 1)


def attach(base, down, up, scale):
    """Adds the bypass to `base`; returns the handle that removes it."""

    def bypass(module, inputs, output):
        x = inputs[0]
        if isinstance(module, torch.nn.Linear):
            return output + F.linear(F.linear(x, down), up) * scale
        return output + F.conv2d(F.conv2d(x, down, None, module.stride, module.padding), up) * scale

    return base.register_forward_hook(bypass)

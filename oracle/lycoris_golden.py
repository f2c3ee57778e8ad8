"""Golden file of the adapters: LyCORIS' own modules on small layers, forward and backward.

    python oracle/lycoris_golden.py crates/adapter/tests/golden/lycoris.safetensors

LyCORIS 4.1.3, torch 2.8, float32 on the CPU. Each case is named after the settings that `adapter/tests/adapter/lycoris.rs` lists.
Trained values are filled with random numbers, so that no factor is zero. Recorded are the frozen layer, the input, the
trained tensors by their names in files, the output, and the gradients of sum(output * g).
"""

import sys

import torch
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.locon import LoConModule
from safetensors.torch import save_file

LAYERS = {
    "linear": (lambda: torch.nn.Linear(12, 8), (2, 5, 12)),
    "conv3": (lambda: torch.nn.Conv2d(6, 8, 3, 1, 1), (2, 6, 5, 4)),
    "conv3s2": (lambda: torch.nn.Conv2d(6, 8, 3, 2, 1), (2, 6, 6, 4)),
    "conv1": (lambda: torch.nn.Conv2d(6, 8, 1), (2, 6, 3, 4)),
}
EVERY = list(LAYERS)
WIDE = ["conv3", "conv3s2"]
CASES = [
    ("locon", LoConModule, {}, EVERY),
    ("locon_tucker", LoConModule, {"use_tucker": True}, WIDE),
    ("locon_dora", LoConModule, {"weight_decompose": True}, EVERY),
    ("locon_dora_in", LoConModule, {"weight_decompose": True, "wd_on_out": False}, EVERY),
    ("locon_rs", LoConModule, {"rs_lora": True}, ["linear"]),
    ("loha", LohaModule, {}, EVERY),
    ("loha_tucker", LohaModule, {"use_tucker": True}, WIDE),
    ("loha_dora", LohaModule, {"weight_decompose": True}, ["linear", "conv3"]),
    ("lokr", LokrModule, {"lora_dim": 1}, EVERY),
    ("lokr_factor2", LokrModule, {"lora_dim": 1, "factor": 2}, EVERY),
    ("lokr_both", LokrModule, {"lora_dim": 1, "factor": 4, "decompose_both": True}, EVERY),
    ("lokr_tucker", LokrModule, {"lora_dim": 1, "use_tucker": True}, WIDE),
    ("lokr_unbalanced", LokrModule, {"lora_dim": 1, "factor": 2, "unbalanced_factorization": True}, EVERY),
    ("lokr_full", LokrModule, {"full_matrix": True}, EVERY),
    ("lokr_dora", LokrModule, {"lora_dim": 1, "weight_decompose": True}, ["linear", "conv3"]),
    ("ia3", IA3Module, {}, EVERY),
    ("ia3_in", IA3Module, {"train_on_input": True}, EVERY),
]


def main(path):
    tensors = {}
    for index, (name, kind, settings, layers) in enumerate(CASES):
        for layer in layers:
            torch.manual_seed(100 * index + EVERY.index(layer))
            record(tensors, f"{name}.{layer}", kind, settings, *LAYERS[layer])
    save_file({key: value.detach().contiguous() for key, value in tensors.items()}, path)


def record(tensors, case, kind, settings, make, shape):
    base = make()
    settings = {"lora_dim": 2, "alpha": 1.0, "bypass_mode": False, **settings}
    module = kind("m", base, **settings)
    trained = dict(module.named_parameters())
    for name, value in trained.items():
        if name == "dora_scale":
            tensors[f"{case}.norms"] = value.detach().clone()
        with torch.no_grad():
            value.copy_(torch.randn_like(value) * 0.5 + (1.0 if name == "dora_scale" else 0.0))
    x = torch.randn(shape, requires_grad=True)
    module.apply_to()
    y = base(x)
    g = torch.randn_like(y)
    (y * g).sum().backward()
    tensors[f"{case}.base.weight"], tensors[f"{case}.base.bias"] = base.weight, base.bias
    tensors[f"{case}.x"], tensors[f"{case}.y"], tensors[f"{case}.g"], tensors[f"{case}.dx"] = x, y, g, x.grad
    for name, value in trained.items():
        tensors[f"{case}.value.{name}"], tensors[f"{case}.grad.{name}"] = value, value.grad
    if hasattr(module, "alpha"):
        tensors[f"{case}.alpha"] = module.alpha.float().reshape(1)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How far PyTorch's own bf16 leads away from the recorded f32 runs: the measure for lorabake's bf16 bounds.

Usage: python oracle/bf16_traces.py PACK TRACE...
Replays traces of plain LoRAs on SD1.x (same noise, timesteps, tokens) as sd-scripts does with --mixed_precision bf16:
frozen weights in bf16, autocast, LoRA and optimizer in f32. Prints the cosine between the change of the weights and the
recorded one (1 - cosine, as `cargo xtask conformance` prints it) and the largest relative error of a prediction, first in
f32 as a check on the replay itself.
"""

import json
import pathlib
import sys

import torch
from diffusers import DDPMScheduler
from safetensors import safe_open
from safetensors.torch import load_file

import ldm

# Parts of the keys that a trace with `final_keys: some` keeps.
SOME = "down_blocks_1_attentions_0 down_blocks_1_resnets_0 mid_block_attentions_0 up_blocks_3_resnets_2 layers_0_".split()
SOME += "layers_11_ conv_in downsamplers time_embedding input_blocks_4_1 middle_block_1_transformer_blocks_0".split()


class Branch(torch.nn.Module):
    """What a LoRA adds to the output of a frozen layer."""

    def __init__(self, down, up, scale):
        super().__init__()
        self.down, self.up, self.scale = torch.nn.Parameter(down), torch.nn.Parameter(up), scale

    def forward(self, layer, x):
        if self.down.dim() == 2:
            linear = torch.nn.functional.linear
            return linear(linear(x, self.down), self.up) * self.scale
        conv = torch.nn.functional.conv2d
        return conv(conv(x, self.down, stride=layer.stride, padding=layer.padding), self.up) * self.scale


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, arXiv 2302.06675."""

    def __init__(self, groups, betas=(0.9, 0.99)):
        super().__init__(groups, {"betas": betas, "lr": 0.0, "weight_decay": 0.01})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * (average * first + p.grad * (1 - first)).sign())
                average.mul_(second).add_(p.grad, alpha=1 - second)


def read_init(path):
    """All tensors, those of zeros included."""
    with safe_open(path, "pt") as file:
        zeros = json.loads((file.metadata() or {}).get("zero_tensors", "{}"))
        tensors = {key: file.get_tensor(key).float() for key in file.keys()}
    return tensors | {key: torch.zeros(shape) for key, shape in zeros.items()}


def attach(model, prefix, init):
    """Hooks a branch to every layer that the LoRA has one for; returns {module: branch}."""
    branches = {}
    for path, layer in model.named_modules():
        name = prefix + path.replace(".", "_")
        if name + ".lora_down.weight" in init:
            down, up = init[name + ".lora_down.weight"], init[name + ".lora_up.weight"]
            branch = Branch(down.clone(), up.clone(), float(init[name + ".alpha"]) / down.shape[0])
            layer.register_forward_hook(lambda layer, args, out, branch=branch: out + branch(layer, args[0]))
            branches[name] = branch
    return branches


@torch.no_grad()
def limit_norms(branches, limit):
    """sd-scripts' --scale_weight_norms."""
    for branch in branches.values():
        if branch.down.dim() == 4 and branch.down.shape[2] == 3:
            raise SystemExit("--scale_weight_norms with 3x3 convolutions is not replayed")
        norm = (branch.up.flatten(1) @ branch.down.flatten(1) * branch.scale).norm().clamp(min=limit / 2)
        if norm > limit:
            branch.up.mul_((limit / norm) ** 0.5)
            branch.down.mul_((limit / norm) ** 0.5)


def replay(pack, name, half):
    """1 - cosine of one trace, and the largest relative error of a recorded prediction."""
    folder = pack / "open" / "traces" / name
    meta = json.loads((folder / "meta.json").read_text())
    tensors = load_file(folder / "trace.safetensors") | load_file(pack / "shared" / "latents.safetensors")
    state = ldm.read(pack / "models" / meta["model"])
    sizes = ldm.sizes_of(state)
    unet, text = ldm.load_unet(state, sizes), ldm.load_text(state, sizes)
    if half:
        unet, text = unet.bfloat16(), text.bfloat16()
    init = read_init(pack / "inits" / meta["init"])
    groups = [attach(text, "lora_te_", init), attach(unet, "lora_unet_", init)]
    branches = groups[0] | groups[1]
    assert len(branches) * 3 == len(init), "modules that no layer belongs to"
    schedule = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, clip_sample=False
    )
    parameters = [{"params": [p for b in group.values() for p in b.parameters()]} for group in groups]
    lion = "Lion" in meta["optimizer"]
    optimizer = Lion(parameters) if lion else torch.optim.AdamW(parameters, weight_decay=0.01)
    limit = next((float(a.split("=")[1]) for a in meta["args"] if a.startswith("--scale_weight_norms")), None)
    error = 0.0
    for step in meta["micro_steps"]:
        assert step["opt_step"] == step["micro"], "accumulation is not replayed"
        noise = tensors[f"step.{step['micro']:03}.noise"]
        latents = torch.stack([tensors[latent] for latent in step["latents"]])
        ids = torch.cat([tensors[name] for name in step["input_ids_0"]])
        times = torch.tensor(step["timesteps"])
        noisy = schedule.add_noise(latents, noise, times)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            states = text(ids.long())[0]
            predicted = unet(noisy, times, states).sample
        if (recorded := tensors.get(f"step.{step['micro']:03}.noise_pred")) is not None:
            error = max(error, float((predicted.detach().float() - recorded).norm() / recorded.norm()))
        loss = torch.nn.functional.mse_loss(predicted.float(), noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for group in parameters for p in group["params"]], 1.0)
        for group, rate in zip(optimizer.param_groups, meta["opt_steps"][step["opt_step"]]["lr"]):
            group["lr"] = rate
        optimizer.step()
        if limit:
            limit_norms(branches, limit)
    kept = [key for key in sorted(init) if not key.endswith(".alpha")]
    if meta["final_keys"] == "some":
        kept = [key for key in kept if any(part in key for part in SOME)]
    ours = [getattr(branches[key.split(".")[0]], key.split(".")[1].removeprefix("lora_")).detach() for key in kept]
    flat = [torch.cat([tensor.flatten() for tensor in part]).double() for part in (ours, [init[key] for key in kept])]
    own, change = flat[0] - flat[1], tensors["final.flat"].double() - flat[1]
    return 1 - float(torch.nn.functional.cosine_similarity(own, change, 0)), error


if __name__ == "__main__":
    torch.manual_seed(0)
    pack = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:]:
        exact, half = replay(pack, name, False), replay(pack, name, True)
        print(f"{name:<20} f32 {exact[0]:.1e} {exact[1]:.1e}   bf16 {half[0]:.1e} {half[1]:.1e}", flush=True)

"""Cuts what this crate's tests need out of the conformance pack (recorded from kohya sd-scripts 48d368fa).

Usage: python crates/diffusion/tests/golden/pick_traces.py CONFORMANCE_DIR OUT.safetensors
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file

# Two batches with everything (i_reg: B=2, one of them a regularization image at weight 0.5).
BATCHES = {"epsilon": "i_reg", "v": "l_vpred_sd2"}
# Weighted losses of every step: min-SNR 5 with epsilon, min-SNR 5 with v, loss weights.
WEIGHTED = {"epsilon_snr": "b_minsnr_offset_225", "v_snr": "l_vpred_sd2_snr", "epsilon_reg": "i_reg"}
TABLES = ["alphas_cumprod", "snr", "min_snr_eps_gamma1", "min_snr_eps_gamma5", "min_snr_v_gamma1", "min_snr_v_gamma5"]


def main(pack, out):
    golden = {}
    table = json.loads((pack / "open/tables/snr.json").read_text())
    for name in TABLES:
        golden["table." + name] = torch.tensor(table[name], dtype=torch.float32)
    pool = load_file(pack / "shared/latents.safetensors")
    for name, trace in BATCHES.items():
        step = steps(pack, trace)[0]
        tensors = load_file(pack / "open/traces" / trace / "trace.safetensors")
        golden[name + ".latents"] = torch.stack([pool[latent] for latent in step["latents"]])
        for part in ("noise", "noisy_latents", "target", "noise_pred"):
            golden[f"{name}.{part}"] = tensors["step.000." + part]
        golden[name + ".timesteps"] = torch.tensor(step["timesteps"], dtype=torch.int32)
        for part in ("loss_weights", "mse_per_sample", "loss"):
            golden[f"{name}.{part}"] = torch.tensor(step[part], dtype=torch.float32).reshape(-1)
    for name, trace in WEIGHTED.items():
        for part in ("timesteps", "loss_weights", "mse_per_sample", "loss_after_snr_weight"):
            values = [value for step in steps(pack, trace) for value in step[part]]
            golden[f"{name}.{part}"] = torch.tensor(values, dtype=torch.int32 if part == "timesteps" else torch.float32)
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out, {"generator": "pick_traces.py"})


def steps(pack, trace):
    return json.loads((pack / "open/traces" / trace / "meta.json").read_text())["micro_steps"]


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])

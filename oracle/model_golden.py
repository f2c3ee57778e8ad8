"""Golden outputs and gradients of CLIP text encoder, VAE and UNet (diffusers, transformers) for sd15_tiny, f32.

Usage: python oracle/model_golden.py OUT.safetensors --checkpoint .../models/sd15_tiny.safetensors
What the tensors are: README.md beside this file.
"""

import copy

import torch

import ldm
import lora_bypass
import pack

RANK, ALPHA = 2, 1.0
ATTENTION = "down_blocks.1.attentions.0"
UNET_CONVS = ["down_blocks.1.resnets.0.conv1", "down_blocks.0.downsamplers.0.conv"]
TEXT_LINEARS = ["text_model.encoder.layers.3.self_attn.q_proj", "text_model.encoder.layers.3.mlp.fc1"]
PROMPT_IDS = [
    [2257, 1125, 539, 320, 2368, 267, 1215, 2390, 267, 4919, 1746],
    [320, 1929, 525, 518, 4906] + [1000 + 97 * i for i in range(70)],  # all 77 places taken
]


def prompt_ids():
    """(2, 77): BOS, ids, EOS, padded with EOS as SD1.5 does; the second is full."""
    rows = [[49406] + ids[:75] + [49407] for ids in PROMPT_IDS]
    return torch.tensor([row + [49407] * (77 - len(row)) for row in rows], dtype=torch.int32)


def adapted_layers(model, names):
    """{path: layer} of the Linear and Conv2d layers at or under `names`."""
    layers = {}
    for path, layer in model.named_modules():
        under = any(path == name or path.startswith(name + ".") for name in names)
        if under and isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
            layers[path] = layer
    return layers


def with_lora(prefix, layers, dtype, run, record):
    """Attaches a random LoRA to `layers`, lets `run` do forward and backward, records factors and gradients."""
    factors, handles = {}, []
    for path, layer in layers.items():
        down_shape, up_shape = lora_bypass.shapes(layer, RANK)
        fan_in = torch.Size(down_shape[1:]).numel()
        down = pack.normal(f"{prefix}.{path}.down", down_shape, fan_in**-0.5, dtype).requires_grad_()
        up = pack.normal(f"{prefix}.{path}.up", up_shape, 0.5, dtype).requires_grad_()
        factors[path] = (down, up)
        handles.append(lora_bypass.attach(layer, down, up, ALPHA / RANK))
    run()
    for path, (down, up) in factors.items():
        record(f"{prefix}.{path}.down", down)
        record(f"{prefix}.{path}.up", up)
        record(f"{prefix}.{path}.ddown", down.grad)
        record(f"{prefix}.{path}.dup", up.grad)
    for handle in handles:
        handle.remove()


def text_case(model, dtype, record):
    """Hidden states, gradient of the embeddings, and a LoRA on two layers."""
    ids = prompt_ids()
    record("text.ids", ids)
    grad_out = pack.normal("text.grad_out", (2, 77, model.config.hidden_size), dtype=dtype)
    record("text.grad_out", grad_out)
    embeddings = {}

    def catch(_module, _inputs, output):  # token + position embedding, before the first layer
        embeddings["out"] = output.detach().requires_grad_()
        return embeddings["out"]

    handle = model.text_model.embeddings.register_forward_hook(catch)
    states = model(ids.long(), output_hidden_states=True)
    record("text.hidden.last", states.last_hidden_state)
    record("text.hidden.skip2", model.text_model.final_layer_norm(states.hidden_states[-2]))
    (states.last_hidden_state * grad_out).sum().backward()
    record("text.dembed", embeddings["out"].grad)
    handle.remove()

    def run():
        last = model(ids.long()).last_hidden_state
        record("tlora.hidden.last", last)
        (last * grad_out).sum().backward()

    with_lora("tlora", adapted_layers(model, TEXT_LINEARS), dtype, run, record)


def vae_case(model, dtype, record):
    """Encoder moments (unscaled latents) and decoder."""
    image = pack.uniform("vae.image", (1, 3, 64, 96)).to(dtype)
    latent = pack.normal("vae.latent", (1, 4, 8, 12), dtype=dtype)
    record("vae.image", image)
    record("vae.latent", latent)
    moments = model.encode(image).latent_dist
    record("vae.mean", moments.mean)
    record("vae.logvar", moments.logvar)
    record("vae.decoded", model.decode(latent).sample)


def unet_case(model, dtype, record):
    """Prediction, gradients of both inputs, an odd size, and a LoRA."""
    sample = pack.normal("unet.sample", (2, 4, 16, 24), dtype=dtype)
    timesteps = torch.tensor([37.0, 801.0], dtype=dtype)
    context = pack.normal("unet.context", (2, 77, model.config.cross_attention_dim), dtype=dtype)
    grad_out = pack.normal("unet.grad_out", (2, 4, 16, 24), dtype=dtype)
    for name, tensor in [("sample", sample), ("timesteps", timesteps), ("context", context), ("grad_out", grad_out)]:
        record("unet." + name, tensor)
    sample.requires_grad_(), context.requires_grad_()
    out = model(sample, timesteps, context).sample
    record("unet.out", out)
    (out * grad_out).sum().backward()
    record("unet.dsample", sample.grad)
    record("unet.dcontext", context.grad)

    odd = pack.normal("unet.odd.sample", (1, 4, 9, 13), dtype=dtype)
    record("unet.odd.sample", odd)
    with torch.no_grad():
        record("unet.odd.out", model(odd, timesteps[1:], context[:1].detach()).sample)

    sample, context = sample.detach().requires_grad_(), context.detach().requires_grad_()

    def run():
        adapted = model(sample, timesteps, context).sample
        record("lora.out", adapted)
        (adapted * grad_out).sum().backward()
        record("lora.dsample", sample.grad)
        record("lora.dcontext", context.grad)

    with_lora("lora", adapted_layers(model, [ATTENTION, *UNET_CONVS]), dtype, run, record)


def main():
    parser = pack.arguments(__doc__, checkpoint={"required": True, "help": "sd15_tiny.safetensors"})
    arguments = parser.parse_args()
    torch.manual_seed(0)
    state = ldm.read(arguments.checkpoint)
    sizes = ldm.sizes_of(state)
    golden, exact = pack.Pack(), pack.Pack()
    for load, case in [(ldm.load_text, text_case), (ldm.load_vae, vae_case), (ldm.load_unet, unet_case)]:
        model = load(state, sizes)
        case(model, torch.float32, golden.put)
        torch.set_default_dtype(torch.float64)  # transformers builds its causal mask in the default type
        case(copy.deepcopy(model).double(), torch.float64, lambda n, t: exact.put(n, t, torch.float64))
        torch.set_default_dtype(torch.float32)
    golden.write(arguments.out, {"oracle": "model_golden.py", "dtype": "float32"})
    print("relative L2 distance of the f32 values from the same computation in f64 (how much f32 itself errs):")
    for name, tensor in golden.items():
        reference = exact[name].double()
        print(f"  {name:72s} {((tensor.double() - reference).norm() / reference.norm()).item():.1e}")


if __name__ == "__main__":
    main()

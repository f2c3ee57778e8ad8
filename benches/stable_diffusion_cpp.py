"""A picture by stable-diffusion.cpp (PyPI's cyllama carries it) beside one by lorabake: seconds of a step and of decoding.

Usage: python benches/stable_diffusion_cpp.py LORABAKE CHECKPOINT [--steps 3] [--size 512] [--threads 2]
LORABAKE is the program, CHECKPOINT a .safetensors file of SD1.5's size (oracle/full_size.py). Both paint the same prompt with
Euler and guidance in 16-bit weights, one after the other; stable-diffusion.cpp with flash attention, its fastest settings.
A step is the median of those after the first; decoding is all from the last step to the end.
"""

import argparse
import statistics
import time

import cyllama.sd as sd
import pictures


def theirs(args):
    """Seconds of a step and from the last step to the end."""
    params = sd.SDContextParams()
    params.model_path = args.checkpoint
    params.n_threads = args.threads
    params.diffusion_flash_attn = True
    params.vae_decode_only = True
    times = []
    # The callback also tells of loading and decoding; those of the steps have their number.
    sd.set_progress_callback(lambda step, steps, seconds: times.append((step, steps, time.perf_counter())))
    context = sd.SDContext(params)
    times.clear()
    context.generate("a fox", width=args.size, height=args.size, seed=1, sample_steps=args.steps, cfg_scale=7.0,
                     sample_method=sd.SampleMethod.EULER)  # fmt: skip
    end = time.perf_counter()
    moments = [moment for step, steps, moment in times if steps == args.steps and step > 0]
    gaps = [after - before for before, after in zip(moments, moments[1:])]
    return {"step": statistics.median(gaps), "end": end - moments[-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lorabake")
    parser.add_argument("checkpoint")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    ours = pictures.lorabake_picture(args, "bf16")
    other = theirs(args)
    print(f"{args.size} x {args.size}, {args.threads} threads\n")
    print("| | lorabake s | stable-diffusion.cpp s | lorabake / stable-diffusion.cpp |\n|---|---|---|---|")
    for name, key in (("a step", "step"), ("from the last step to the end", "end")):
        print(f"| {name} | {ours[key]:.2f} | {other[key]:.2f} | {ours[key] / other[key]:.2f} |")


if __name__ == "__main__":
    main()

"""Does GACHAMAX help? From one drawing of Penny three rounds without a person's help, beside one bake of as many steps.

Usage: LORABAKE=target/release/lorabake python oracle/pocket/gachamax.py FOLDER [SEEDS]
Bakes and paints into FOLDER what is not there yet: SEED/run is `lorabake gachamax --pick best`, four bakes of STEPS;
SEED/once is one bake of 4 x STEPS from the same drawing. Then every LoRA paints examples/penny.prompts.txt, which none of
them has seen, and the pictures are measured: with verdict.py's measures of Penny, by how far they are from the drawing
that it began with, and by how far the pictures of different prompts are from each other.
"""

import os
import pathlib
import subprocess
import sys

import torch

import verdict

LORABAKE = os.environ.get("LORABAKE", "lorabake")
EXAMPLES = verdict.EXAMPLES
DRAWING = EXAMPLES / "penny/10_penny/00.png"
STEPS, ROUNDS = 40, 3
# Penny's recipe (examples/penny.toml) at a smaller rank, without the 120 pictures of reg.
RECIPE = """
caption_extension = ".txt"
resolution = 128
shuffle_caption = true
keep_tokens = 1
caption_tag_dropout_rate = 0.25
flip_aug = true
cache_latents = true
train_batch_size = 4
network_module = "networks.lora"
network_dim = 16
network_alpha = 16
unet_lr = 3e-3
text_encoder_lr = 1e-3
lr_scheduler = "cosine"
debiased_estimation_loss = true
min_timestep = 200
mixed_precision = "bf16"
"""
# Two candidates of each. Poses and backgrounds are the drawings', in pairs that they and the test prompts do not have.
CANDIDATES = (
    "penny, waving, yellow background",
    "penny, sitting, hat, blue background",
    "penny, running, white background",
    "penny, jumping, grey background",
    "penny, from side, hat, purple background",
    "penny, portrait, hat, green background",
    "penny, arms up, blue background",
    "penny, standing, scarf, pink background",
)


def run(*words):
    done = subprocess.run([LORABAKE, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stderr}")


def bake(folder, seed):
    """The two ways from one drawing; finished parts are left as they are."""
    recipe = folder / "recipe.toml"
    folder.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE)
    prompts = [word for prompt in CANDIDATES for word in ("--prompt", prompt)]
    run("gachamax", recipe, "--image", DRAWING, "--out", folder / "run", "--pick", "best", "--rounds", ROUNDS,
        "--candidates", 2 * len(CANDIDATES), "--cfg_scale", 5, "--seed", seed, "--max_train_steps", STEPS, *prompts)
    once = folder / "once"
    if not (once / "once.safetensors").exists():
        images = folder / "images/40_penny"
        images.mkdir(parents=True, exist_ok=True)
        for file in (DRAWING, DRAWING.with_suffix(".txt")):
            (images / file.name).write_bytes(file.read_bytes())
        run("train", recipe, "--train_data_dir", images.parent, "--output_dir", once, "--output_name", "once",
            "--seed", seed, "--max_train_steps", (ROUNDS + 1) * STEPS)


def loras(folder):
    """(label, LoRA) of all that was baked."""
    for number in range(1, ROUNDS + 2):
        label = f"after round {number - 1}" if number > 1 else "round 1"
        yield label, folder / f"run/round-{number}/penny-round{number}.safetensors"
    yield "one bake", folder / "once/once.safetensors"


def paint(folder, lora, seed):
    """Pictures of the test prompts with a LoRA, or with none."""
    if folder.exists():
        return
    use = f" <lora:{lora.stem}:1>" if lora else ""
    prompts = [line for line in (EXAMPLES / "penny.prompts.txt").read_text().splitlines() if line[:1] not in ("", "#")]
    text = folder.with_suffix(".txt")
    text.write_text("".join(f"{prompt}{use}\n" for prompt in prompts))
    unfinished = folder.with_suffix(".part")
    run("generate", "--from_file", text, "--out", unfinished, "--seed", seed, "--steps", 30, "--cfg_scale", 3,
        "--mixed_precision", "bf16", "--lora_dir", lora.parent if lora else folder.parent)
    unfinished.rename(folder)


def measures():
    """What is measured, as a function of pictures."""
    penny = verdict.penny(None)
    first = verdict.small(verdict.mirrored(verdict.read(DRAWING.parent).pixels[:1]))

    def measure(pictures):
        flat = verdict.small(pictures.pixels)
        found = penny(pictures)
        found["distance to the drawing that it began with"] = (
            torch.cdist(flat, first).amin(1) / first.shape[1] ** 0.5
        ).tolist()
        apart = torch.cdist(flat, flat) / flat.shape[1] ** 0.5
        found["distance between prompts"] = (apart.sum(1) / (len(flat) - 1)).tolist()
        return found

    return measure


def main():
    folder = pathlib.Path(sys.argv[1])
    seeds = range(1, int(sys.argv[2]) + 1 if len(sys.argv) > 2 else 5)
    measure, columns = measures(), {}
    for seed in seeds:
        here = folder / str(seed)
        bake(here, seed)
        for label, lora in (("without LoRA", None), *loras(here)):
            pictures = here / f"pictures/{label.replace(' ', '_')}"
            pictures.parent.mkdir(exist_ok=True)
            paint(pictures, lora, seed)
            found = measure(verdict.read(pictures))
            values, owners = columns.setdefault(label, ({}, []))
            for row, numbers in found.items():
                values.setdefault(row, []).extend(numbers)
            owners.extend([seed] * len(next(iter(found.values()))))
    title = f"penny from one drawing: {len(seeds)} seeds, {ROUNDS + 1} bakes of {STEPS} steps"
    rows = list(next(iter(columns.values()))[0])
    verdict.table(title, [(label, *found) for label, found in columns.items()], rows)


if __name__ == "__main__":
    main()

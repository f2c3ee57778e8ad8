#!/usr/bin/env bash
# Bakes a demonstration by its recipe, paints its prompts without and with it, measures, and draws the picture in docs/.
# Usage, in the repository's folder: LORABAKE=target/release/lorabake oracle/pocket/measure.sh penny|style|sticker EMOJI.npz
# FOLDER [TRAIN OPTIONS]. SEEDS (4), STRENGTH (1) and PYTHON may be set; a FOLDER that has the LoRA is not baked again.
set -euo pipefail
name=$1 emoji=$2 out=$3
shift 3
lorabake=${LORABAKE:-lorabake} python=${PYTHON:-python} use="<lora:$name:${STRENGTH:-1}>"
mkdir -p "$out"
[ -f "$out/$name.safetensors" ] ||
  "$lorabake" train --config_file "examples/$name.toml" --output_dir "$out" "$@"
paint() { # PROMPTS FOLDER [OPTIONS]: the pictures of a file of prompts, by what the demo paints with
  "$lorabake" generate --from_file "$1" --out "$2" --seed 1 --count "${SEEDS:-4}" --steps 30 --cfg_scale 3 \
    --mixed_precision bf16 --lora_dir "$out" "${@:3}"
}
for kind in prompts plain.prompts; do
  sed "/^#/!s/\$/ $use/" "examples/$name.$kind.txt" > "$out/$kind.txt"
  paint "examples/$name.$kind.txt" "$out/$kind.base"
  paint "$out/$kind.txt" "$out/$kind.lora"
done
rows=("$out/prompts.base" "$out/prompts.lora")
more=()
if [ "$name" = penny ]; then
  paint "$out/prompts.txt" "$out/no_hat" --negative_prompt hat
  more=(--no_hat "$out/no_hat")
  rows+=("$out/no_hat")
fi
plain=("$out/plain.prompts.base" "$out/plain.prompts.lora")
"$python" oracle/pocket/verdict.py "$name" "$emoji" "${rows[@]:0:2}" --plain "${plain[@]}" "${more[@]}"
"$python" oracle/pocket/demo_grid.py "$out/demo_$name.png" "${rows[@]}" "${plain[@]}"

#!/usr/bin/env bash
# Measurements on a machine with an NVIDIA card, in one command of under 10 minutes; each part under its own timeout
# with its own log, and one table at the end, whatever failed. $OUT then holds table.txt and logs.tar.gz, which is written
# anew after each part.
#
#   bash kernels/gpu_run.sh pack    here: builds what has to travel, into kernels/run (ignored by git)
#   bash kernels/gpu_run.sh 1       there: run 1, kernels and whole steps beside PyTorch
#   PROGRAM=… bash kernels/gpu_run.sh pack 2   here: packs a lorabake that was built with `cuda` (cargo xtask release)
#   bash kernels/gpu_run.sh 2       there: run 2, lorabake itself: right, fast beside PyTorch, within 4 and 8 GB
#   bash kernels/gpu_run.sh --dry [2]  here: packs, unpacks into a folder of its own, runs all parts with tiny sizes on the
#                                   processor (PYTHON=: a Python with torch, transformers, safetensors, Pillow, numpy, Triton)
#
# Run 1 needs nothing of lorabake itself but this folder and oracle/{step_timing,plain_unet,lora_bypass}.py, all of which
# git has, and kernels/run. There: Python 3.10 or newer with torch, Triton 3.6 or newer, transformers, numpy; a driver of
# 525 or newer. No diffusers, no checkpoint: networks have random weights, made on the card.
#
# Run 2 reads kernels/ and oracle/ alone; everything that it trains on is made there (Python with safetensors, Pillow).
#
# A machine that takes 64 MiB of working tree: the repository alone is larger. Move models/ away before (35 MB, nothing
# here reads it), and put it back afterwards: git mv is not needed, `mv models ../models-away`. For run 2, whose program alone
# is some 40 MB, move crates/, conformance/, conformance-gen/, docs/ and examples/ away too.
set -uo pipefail
cd "$(dirname "$0")/.."
run=kernels/run
logs=$run/logs
python=${PYTHON:-python3}

pack() {
    mkdir -p $run
    CUDARC_CUDA_VERSION=12000 cargo build --release --manifest-path kernels/smallest/Cargo.toml \
        --target-dir "${SMALLEST_TARGET:-kernels/smallest/target}" || return 1
    cp "${SMALLEST_TARGET:-kernels/smallest/target}/release/smallest" $run/smallest
    ls -l $run
}

# The program, packed; it is the larger half of what travels.
pack_2() {
    mkdir -p $run
    xz -T0 -9 -c "${PROGRAM:?a lorabake with cuda, such as target/dist-build/dist/lorabake}" > $run/lorabake.xz || return 1
    ls -l $run/lorabake.xz
}

# part NAME SECONDS COMMAND..: runs it, keeps its output in $logs, says how it ended.
part() {
    local name=$1 limit=$(($2 * slack)) start=$SECONDS
    shift 2
    printf '== %s\n' "$name"
    PYTHONUNBUFFERED=1 timeout --kill-after=5 "$limit" "$@" > "$logs/$name.log" 2>&1
    local code=$?
    tail -n 4 "$logs/$name.log"
    printf '%-28s exit %3d %4d s of %d\n' "$name" $code $((SECONDS - start)) "$limit" | tee -a "$logs/ends.txt"
    tar -czf "$OUT/logs.tar.gz" -C "$logs" .
}

step() {
    local name=$1 limit=$2
    shift 2
    part "step-$name" "$limit" "$python" oracle/step_timing.py --plain --dtype bf16 --channels-last "${device[@]}" "$@"
}

# All that came out, in one table.
table() {
    printf '\n==== %s\n' "$(date -u +%F)"
    "$python" kernels/gpu_table.py "$logs" 2>&1 | tee "$OUT/table.txt"
}

run_1() {
    rm -rf "$logs" && mkdir -p "$OUT" "$logs"
    nvidia-smi > "$logs/card.txt" 2>&1
    part record 40 "$python" kernels/record.py $run/launches "${few[@]}"
    part smallest 60 ./$run/smallest kernels/ptx $run/launches
    part bench 150 "$python" kernels/bench.py "${bench[@]}" --json "$logs/bench.json"
    step sd15-1 40 "${sd15[@]}" --batch 1
    step sd15-8 40 "${sd15[@]}" --batch 8
    step sdxl-1 50 "${sdxl[@]}" --batch 1
    step sd15-1-compiled 75 "${sd15[@]}" --batch 1 "${compiled[@]}"
    step sdxl-1-compiled 90 "${sdxl[@]}" --batch 1 "${compiled[@]}"
    step sd15-8-compiled 50 "${sd15[@]}" --batch 8 "${compiled[@]}"
    table
}

# train NAME SECONDS OPTIONS..: lorabake for a few steps, with the card's memory looked at beside it.
train() {
    local name=$1 limit=$2 out=$run/trained/$1
    shift 2
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits --loop-ms=200 > "$logs/train-$name.used" 2> /dev/null &
    local watcher=$!
    part "train-$name" "$limit" "$program" train --output_dir "$out" --output_name lora --logging_dir "$out/log" \
        --network_module networks.lora --network_dim 16 --cache_latents --mixed_precision bf16 --save_precision fp16 \
        --max_train_steps "$steps" "${on[@]}" "$@"
    kill $watcher 2> /dev/null
    find "$out/log" -name steps.jsonl -exec cp {} "$logs/train-$name.jsonl" \; 2> /dev/null
}

# capped NAME GB OPTIONS..: the same on a card of which so many GB are free.
capped() {
    local name=$1 gb=$2
    shift 2
    "$python" kernels/fill_card.py "$gb" --seconds 60 > "$logs/hold-$name.log" 2>&1 &
    local holder=$!
    for _ in $(seq 40); do grep -q holding "$logs/hold-$name.log" && break; sleep 0.5; done
    steps=3 train "$name" 50 "$@"
    kill $holder 2> /dev/null
    wait $holder 2> /dev/null
}

run_2() {
    rm -rf "$logs" $run/trained && mkdir -p "$OUT" "$logs"
    nvidia-smi > "$logs/card.txt" 2>&1
    "$python" -c "import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())" $run/lorabake.xz > $run/lorabake
    chmod +x $run/lorabake
    program=./$run/lorabake
    made=$run/made
    part doctor 60 "$program" doctor
    part made 60 "$python" kernels/checkpoints.py $made "${checkpoints[@]}"
    part thorough 120 "$program" doctor --thorough "${on[@]}"
    train sd15-1 60 "${sd15_trained[@]}" --train_batch_size 1
    step sd15-1 30 "${sd15[@]}" --batch 1
    train sd15-8 60 "${sd15_trained[@]}" --train_batch_size 8
    step sd15-8 30 "${sd15[@]}" --batch 8
    train sdxl-1 75 "${sdxl_trained[@]}" --train_batch_size 1
    step sdxl-1 40 "${sdxl[@]}" --batch 1
    if [ "$has_card" = yes ]; then
        capped sd15-in-4 4 "${sd15_trained[@]}" --train_batch_size 1
        capped sdxl-in-8 8 "${sdxl_trained[@]}" --train_batch_size 1 --fp8_base_unet
    fi
    table
}

# What travels, unpacked into a folder of its own, which becomes the current one.
unpacked() {
    there=$(mktemp -d)
    trap 'rm -rf "$there"' EXIT
    # What git has or would have, without what is moved away, and the one ignored folder.
    git ls-files --cached --others --exclude-standard | grep -Ev "$1" > "$there/list"
    find $run -maxdepth 1 -type f >> "$there/list"
    tar -cf "$there/tree.tar" -T "$there/list" || exit 1
    size=$(stat -c %s "$there/tree.tar")
    printf 'what travels: %d MiB of 64\n' $((size / 1048576))
    if [ "$size" -ge 67108864 ]; then
        echo "kernels/gpu_run.sh: more than 64 MiB would travel; move more away" >&2
        exit 1
    fi
    mkdir "$there/tree"
    tar -xf "$there/tree.tar" -C "$there/tree" && cd "$there/tree" || exit 1
    export OUT=$there/out
}

# Ends a dry run: the logs of what failed.
told() {
    failed=$(grep -v 'exit   0' "$logs/ends.txt" | cut -d ' ' -f 1)
    for name in $failed; do
        printf '\n-- %s\n' "$name" >&2
        tail -n 30 "$logs/$name.log" >&2
    done
    [ -z "$failed" ] || exit 1
}

case ${1:-} in
pack)
    if [ "${2:-1}" = 2 ]; then pack_2; else pack; fi
    ;;
1)
    OUT=${OUT:-$run/out}
    few=()
    device=(--device cuda --warmup 5 --steps 10)
    bench=(--sweep --seconds 120)
    sd15=(--size 512)
    sdxl=(--sdxl --size 1024)
    compiled=(--compile)
    slack=1
    run_1
    ;;
2)
    OUT=${OUT:-$run/out}
    device=(--device cuda --warmup 5 --steps 10)
    on=(--device cuda)
    has_card=yes
    steps=12
    checkpoints=(sd15 sdxl --device cuda --images 512 1024)
    sd15=(--size 512)
    sdxl=(--sdxl --size 1024)
    sd15_trained=(--pretrained_model_name_or_path $run/made/sd15.safetensors --train_data_dir $run/made/images-512)
    sd15_trained+=(--resolution 512)
    sdxl_trained=(--pretrained_model_name_or_path $run/made/sdxl --train_data_dir $run/made/images-1024 --resolution 1024)
    sdxl_trained+=(--network_train_unet_only --cache_text_encoder_outputs --gradient_checkpointing)
    slack=1
    run_2
    ;;
--dry)
    device=(--device cpu --tiny --warmup 1 --steps 1)
    sd15=(--size 128)
    sdxl=(--sdxl --size 128)
    slack=15
    if [ "${2:-1}" = 2 ]; then
        [ -f $run/lorabake.xz ] || pack_2 || exit 1
        unpacked '^(models|crates|conformance|conformance-gen|docs|examples)/'
        on=(--device cpu)
        has_card=no
        steps=2
        checkpoints=(--images 128)
        # The model inside the program.
        sd15_trained=(--train_data_dir $run/made/images-128 --resolution 128)
        sdxl_trained=("${sd15_trained[@]}" --network_train_unet_only --cache_text_encoder_outputs)
        run_2
        told
        exit 0
    fi
    [ -x $run/smallest ] || pack || exit 1
    unpacked '^models/'
    few=(--only gelu)
    bench=(--dry --seconds 600)
    # Traced and differentiated, but no code is generated, which takes a processor minutes.
    compiled=(--compile aot_eager)
    run_1
    told
    ;;
*)
    echo "kernels/gpu_run.sh: give pack, 1, 2 or --dry" >&2
    exit 2
    ;;
esac

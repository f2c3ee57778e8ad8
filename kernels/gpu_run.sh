#!/usr/bin/env bash
# Measurements on a machine with an NVIDIA card, in one command of under 10 minutes; each part under its own timeout
# with its own log, and one table at the end, whatever failed. $OUT then holds table.txt and logs.tar.gz, which is written
# anew after each part.
#
#   bash kernels/gpu_run.sh pack    here: builds what has to travel, into kernels/run (ignored by git)
#   bash kernels/gpu_run.sh 1       there: run 1, kernels and whole steps beside PyTorch
#   bash kernels/gpu_run.sh --dry   here: packs, unpacks into a folder of its own, runs all parts with tiny sizes on the
#                                   processor (PYTHON=: a Python with torch, transformers, numpy, Triton)
#
# Run 1 needs nothing of lorabake itself but this folder and oracle/{step_timing,plain_unet,lora_bypass}.py, all of which
# git has, and kernels/run. There: Python 3.10 or newer with torch, Triton 3.6 or newer, transformers, numpy; a driver of
# 525 or newer. No diffusers, no checkpoint: networks have random weights, made on the card.
#
# A machine that takes 64 MiB of working tree: the repository alone is larger. Move models/ away before (35 MB, nothing
# here reads it), and put it back afterwards: git mv is not needed, `mv models ../models-away`.
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

case ${1:-} in
pack)
    pack
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
--dry)
    [ -x $run/smallest ] || pack || exit 1
    there=$(mktemp -d)
    trap 'rm -rf "$there"' EXIT
    # What travels: what git has or would have, without models/, and the one ignored folder.
    git ls-files --cached --others --exclude-standard | grep -v '^models/' > "$there/list"
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
    few=(--only gelu)
    device=(--device cpu --tiny --warmup 1 --steps 1)
    bench=(--dry --seconds 600)
    sd15=(--size 128)
    sdxl=(--sdxl --size 128)
    # Traced and differentiated, but no code is generated, which takes a processor minutes.
    compiled=(--compile aot_eager)
    slack=15
    run_1
    failed=$(grep -v 'exit   0' "$logs/ends.txt" | cut -d ' ' -f 1)
    for name in $failed; do
        printf '\n-- %s\n' "$name" >&2
        tail -n 30 "$logs/$name.log" >&2
    done
    [ -z "$failed" ] || exit 1
    ;;
*)
    echo "kernels/gpu_run.sh: give pack, 1 or --dry" >&2
    exit 2
    ;;
esac

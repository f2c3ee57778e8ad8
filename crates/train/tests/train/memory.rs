//! The memory that is predicted for a run, against what was measured (benches/RESULTS.md).

use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_train::estimate::memory_model::{Demands, Memory, ParameterCounts};

use crate::sandbox::{checkpoint, recipe};

const LAYERS: &str = include_str!("../../../weights/tests/golden/sd15_layers.txt");

/// Measured as [`Memory`] says; the allocator makes it differ by some percent from run to run.
#[test]
fn memory_is_about_what_was_measured() {
    let norms_and_biases = 859_520_964 + 123_060_480 - matrices();
    let sizes = ParameterCounts {
        matrices: matrices(),
        others: norms_and_biases,
        unet: 859_520_964,
        texts: 122_920_704,
        embeddings: 38_004_480,
        encoder: 34_163_664,
        vae_width: 128,
        file: 2_132_625_150,
    };
    for (options, measured) in [
        ("", 5.73),
        ("--train_batch_size=2", 7.28),
        ("--resolution=384", 5.07),
        ("--mixed_precision=bf16", 3.48),
        ("--mixed_precision=bf16 --gradient_checkpointing", 2.73),
    ] {
        let memory = Memory::of(sizes, 16 * 589_824, &recipe(&format!("--resolution=512 {options}")), ALL);
        let ratio = memory.training() as f64 / 1e9 / measured;
        assert!((0.9..1.1).contains(&ratio), "{options}: {} for {measured} GB", memory.training());
    }
}

/// SD2 with its text encoder, SDXL without.
#[test]
fn memory_of_larger_models_is_about_what_was_measured() {
    let (encoder, vae_width, file) = (34_163_664, 128, 0);
    let sd2 = ParameterCounts {
        matrices: 1_205_546_496,
        others: 752_068,
        unet: 865_910_724,
        texts: 340_079_616,
        embeddings: 50_672_640,
        ..ParameterCounts { encoder, vae_width, file, ..ParameterCounts::default() }
    };
    let sdxl = ParameterCounts {
        matrices: 3_382_944_256,
        others: 2_239_748,
        unet: 2_567_463_684,
        texts: 817_063_936,
        embeddings: 101_345_280,
        ..sd2
    };
    let lokr = "--gradient_checkpointing --network_module=lycoris.kohya --network_args algo=lokr";
    for (sizes, trained, options, measured) in [
        (sd2, 13_697_024, "--resolution=768 --mixed_precision=bf16 --gradient_checkpointing", 3.82),
        (sdxl, 42_557_440, "--resolution=1024 --fp8_base_unet --gradient_checkpointing", 5.67),
        (sdxl, 6_214_112, &format!("--resolution=1024 --fp8_base_unet {lokr}"), 6.22),
    ] {
        let demands = Demands { texts: sizes == sd2, ..ALL };
        let memory = Memory::of(sizes, trained, &recipe(options), demands);
        let ratio = memory.peak() as f64 / 1e9 / measured;
        assert!((0.9..1.1).contains(&ratio), "{options}: {} for {measured} GB", memory.peak());
    }
}

/// Nothing is left in the file.
const ALL: Demands = Demands { texts: true, unet: 1.0, picture: 0 };

fn matrices() -> u64 {
    let mut values = 0;
    for line in LAYERS.lines().filter(|line| line.contains(".weight: ")) {
        let (_, shape) = line.split_once(": ").unwrap();
        values += shape.split(' ').map(|side| side.parse::<u64>().unwrap()).product::<u64>();
    }
    values
}

#[test]
fn memory_grows_with_what_takes_it() {
    let sizes = ParameterCounts::of(&checkpoint());
    let demanding = |options: &str, demands: Demands| {
        Memory::of(sizes, 1000, &recipe(&format!("--resolution=128 {options}")), demands)
    };
    let of = |options: &str| demanding(options, ALL);
    let plain = of("");
    assert_eq!(of("--train_batch_size=3").step / plain.step, 3);
    assert_eq!(of("--resolution=256").step / plain.step, 4);
    assert!(of("--gradient_checkpointing").step < of("--gradient_checkpointing_blocks=9").step);
    assert!(of("--gradient_checkpointing_blocks=9").step < plain.step);
    assert_eq!((plain.trained, of("--optimizer_type=Prodigy").trained), (16_000, 24_000));
    let without = demanding("", Demands { texts: false, unet: 0.5, picture: 0 });
    assert_eq!(plain.frozen - without.frozen, 4 * sizes.texts + 2 * (sizes.matrices - sizes.texts));
    assert!(sizes.embeddings > 49_408 && sizes.embeddings < sizes.texts && sizes.texts < sizes.matrices);
    let [bf16, unet, all] =
        ["--mixed_precision=bf16", "--fp8_base_unet", "--fp8_base"].map(|options| plain.frozen - of(options).frozen);
    let texts = sizes.texts - sizes.embeddings;
    assert_eq!(bf16, 2 * (sizes.matrices - sizes.embeddings));
    assert_eq!([unet - bf16, all - unet], [sizes.matrices - sizes.texts, texts].map(|values| values - values / 32));
    let painting = |side: u64| demanding("--gradient_checkpointing", Demands { picture: side * side, ..ALL });
    assert_eq!(painting(512).picture, 4 * painting(256).picture);
    assert_eq!(painting(1024).training() - painting(512).training(), 3 * painting(512).picture);
    assert_eq!(painting(8).training(), of("--gradient_checkpointing").training());
    // Two images of the tiny VAE's 32 channels, and a tenth more.
    let larger = of("--resolution=256").preparing - plain.preparing;
    assert_eq!(larger, (8.8 * 32.0 * (256.0 * 256.0 - 128.0 * 128.0)) as u64);
    assert!(of("--mixed_precision=bf16").preparing < of("--mixed_precision=bf16 --no_half_vae").preparing);
}

#[test]
fn every_optimizer_has_a_size() {
    for name in Optimizer::NAMES {
        let optimizer = Optimizer::named(name).unwrap();
        let bytes = optimizer.state_bytes();
        assert_eq!(bytes == 0.0, matches!(optimizer, Optimizer::AdaFactor(_)), "{name}");
        assert_eq!(bytes.fract() != 0.0, name.ends_with("8bit"), "{name}");
    }
}

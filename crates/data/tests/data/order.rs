//! Laws of the order of training and of buckets, over many seeds and sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lorabake_data::bucket::{Layout, Rule, moved_limits};
use lorabake_data::epoch_order::{Batch, EpochOrder, Length};
use lorabake_data::problem::BucketLimit;
use lorabake_data::scan::regularization::balanced_uses;
use lorabake_data::{Dataset, Item, Problem};
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::data::{Buckets, Data, RegPairing};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;
use rand::Rng;

fn data(batch_size: usize, flip_aug: bool) -> Data {
    Data {
        train_dir: PathBuf::new(),
        reg_dir: None,
        caption_extension: None,
        resolution: (128, 128),
        buckets: Some(Buckets { min: 64, max: 256, step: 64, no_upscale: false }),
        batch_size,
        captions: CaptionRules { shuffle: true, keep_tokens: 1, ..CaptionRules::default() },
        flip_aug,
        random_crop: false,
        color_aug: false,
        face_crop: None,
        reg_pairing: RegPairing::Count,
        mask: None,
        cache_latents: true,
        hold_out: Default::default(),
        config: None,
    }
}

/// Items of random sizes and uses; nothing on disk.
fn random_dataset(seed: u64) -> Dataset {
    let mut rng = Seed(seed).stream("test", &[]);
    let mut dataset = Dataset::default();
    for index in 0..rng.random_range(1..40) {
        dataset.items.push(Item {
            path: PathBuf::from(format!("{index}.png")),
            caption: String::new(),
            caption_file: Some(PathBuf::from(format!("{index}.txt"))),
            mask: None,
            repeats: 1,
            uses: rng.random_range(0..6),
            is_reg: false,
            held_out: false,
            size: (rng.random_range(20..400), rng.random_range(20..400)),
            folder: 0,
        });
    }
    dataset
}

fn epoch_order(dataset: &Dataset, data: &Data, seed: u64) -> EpochOrder {
    let layout = Layout::new(dataset, data).unwrap();
    EpochOrder::new(dataset, &layout, data, Seed(seed))
}

fn uses_by_item(batches: &[Batch]) -> BTreeMap<usize, u32> {
    let mut counts = BTreeMap::new();
    for entry in batches.iter().flat_map(|batch| &batch.entries) {
        *counts.entry(entry.item).or_default() += 1;
    }
    counts
}

#[test]
fn every_use_is_in_exactly_one_batch_of_its_bucket() {
    for seed in 0..60 {
        let dataset = random_dataset(seed);
        let data = data(1 + seed as usize % 5, seed % 2 == 0);
        let layout = Layout::new(&dataset, &data).unwrap();
        let order = EpochOrder::new(&dataset, &layout, &data, Seed(seed));
        let batches = order.epoch(seed);
        let mut expected = BTreeMap::new();
        for (index, item) in dataset.items.iter().enumerate().filter(|(_, item)| item.uses > 0) {
            expected.insert(index, item.uses);
        }
        assert_eq!(uses_by_item(&batches), expected);
        assert_eq!(batches.len() as u64, order.batches_per_epoch());
        for (entry, position) in batches.iter().flat_map(|batch| &batch.entries).zip(0..) {
            assert_eq!(entry.position, position);
        }
        let mut smaller: BTreeMap<_, usize> = BTreeMap::new();
        for batch in &batches {
            assert!(batch.entries.iter().all(|entry| layout.placements[entry.item].bucket == batch.bucket));
            assert!((1..=data.batch_size).contains(&batch.entries.len()));
            *smaller.entry(batch.bucket).or_default() += usize::from(batch.entries.len() < data.batch_size);
        }
        assert!(smaller.values().all(|count| *count <= 1), "one smaller batch per bucket at most");
    }
}

#[test]
fn the_order_follows_from_seed_and_epoch_only() {
    let dataset = random_dataset(3);
    let data = data(2, true);
    let order = epoch_order(&dataset, &data, 7);
    let again = epoch_order(&dataset, &data, 7);
    again.epoch(0);
    again.epoch(4);
    assert_eq!(order.epoch(5), again.epoch(5));
    assert_ne!(order.epoch(5), order.epoch(6));
    assert_ne!(order.epoch(5), epoch_order(&dataset, &data, 8).epoch(5));
    let fifth = items_of_batches(&order.epoch(5));
    assert_ne!(fifth, items_of_batches(&order.epoch(6)), "batches are mixed anew, not only reordered");
}

fn items_of_batches(batches: &[Batch]) -> BTreeSet<Vec<usize>> {
    batches.iter().map(|batch| batch.entries.iter().map(|entry| entry.item).collect()).collect()
}

#[test]
fn about_half_is_mirrored_if_asked_and_none_otherwise() {
    let dataset = random_dataset(11);
    assert_eq!(mirrored_share(&dataset, false), 0.0);
    let share = mirrored_share(&dataset, true);
    assert!((0.45..0.55).contains(&share), "{share}");
}

fn mirrored_share(dataset: &Dataset, flip_aug: bool) -> f64 {
    let order = epoch_order(dataset, &data(1, flip_aug), 1);
    let mut uses = 0;
    let mut flipped = 0;
    for batch in (0..40).flat_map(|epoch| order.epoch(epoch)) {
        for entry in batch.entries {
            uses += 1;
            flipped += u32::from(entry.flipped);
        }
    }
    f64::from(flipped) / f64::from(uses)
}

#[test]
fn regularization_is_cut_or_repeated_to_the_number_of_training_uses() {
    // sd-scripts' trace i_reg: 6 × 4 against 4 × 2.
    assert_eq!(balanced_uses(24, &[2; 4]), [6, 6, 6, 6]);
    assert_eq!(balanced_uses(5, &[1, 1]), [3, 2]);
    assert_eq!(balanced_uses(5, &[4, 4, 4]), [4, 4, 0]);
    assert_eq!(balanced_uses(5, &[]), [0; 0]);
    // By the letter of sd-scripts: take with repeats, then one more each in turn.
    for seed in 0..200 {
        let mut rng = Seed(seed).stream("reg", &[]);
        let goal: u32 = rng.random_range(1..50);
        let repeats: Vec<u32> = (0..rng.random_range(1..8)).map(|_| rng.random_range(1..6)).collect();
        let mut expected = vec![0; repeats.len()];
        let mut taken = 0;
        let mut first = true;
        while taken < goal {
            for (uses, repeats) in expected.iter_mut().zip(&repeats) {
                let more = if first { *repeats } else { 1 };
                *uses += more;
                taken += more;
                if taken >= goal {
                    break;
                }
            }
            first = false;
        }
        assert_eq!(balanced_uses(u64::from(goal), &repeats), expected, "{goal} {repeats:?}");
    }
}

#[test]
fn lengths_are_those_of_the_recorded_runs() {
    let length = |batches, accumulation, duration| {
        let length = Length::new(batches, accumulation, duration);
        (length.steps_per_epoch, length.epochs, length.steps)
    };
    assert_eq!(length(24, 1, Duration::Steps(12)), (24, 1, 12)); // b_minsnr_offset_225
    assert_eq!(length(12, 2, Duration::Steps(6)), (6, 1, 6)); // j_accum
    assert_eq!(length(24, 1, Duration::Epochs(10)), (24, 10, 240));
    assert_eq!(length(7, 2, Duration::Epochs(3)), (4, 3, 12));
    assert_eq!(length(7, 2, Duration::Steps(9)), (4, 3, 9));
}

#[test]
fn every_image_covers_its_bucket() {
    for seed in 0..400 {
        let mut rng = Seed(seed).stream("bucket", &[]);
        let step = [8, 32, 64][rng.random_range(0..3)];
        let side = step * rng.random_range(4..16);
        let buckets = Buckets { min: side / 2, max: side * 2, step, no_upscale: rng.random_bool(0.5) };
        let rule = Rule::new((side, side), Some(&buckets)).unwrap();
        for _ in 0..20 {
            let image = (rng.random_range(step..3000), rng.random_range(step..3000));
            let Some(placement) = rule.place(image) else { continue };
            assert!(placement.resized.0 >= placement.bucket.0 && placement.resized.1 >= placement.bucket.1);
            assert!(
                placement.bucket.0 % step == 0
                    && placement.bucket.1 % step == 0
                    && placement.bucket.0 > 0
                    && placement.bucket.1 > 0
            );
            assert!((0.0..1.0).contains(&placement.cropped_share()));
            if buckets.no_upscale {
                assert!(placement.resized.0 <= image.0 && placement.resized.1 <= image.1);
            } else {
                // With no_upscale, rounding may exceed the area a little, in sd-scripts too.
                assert!(u64::from(placement.bucket.0) * u64::from(placement.bucket.1) <= u64::from(side).pow(2));
            }
        }
    }
}

#[test]
fn limits_move_to_the_step_and_contradictions_are_refused() {
    let buckets = Buckets { min: 100, max: 250, step: 64, no_upscale: false };
    let rule = Rule::new((128, 128), Some(&buckets)).unwrap();
    let problems = moved_limits(&buckets).unwrap();
    assert!(
        matches!(rule, Rule::Nearest(sizes) if sizes.first() == Some(&(64, 192)) && sizes.last() == Some(&(256, 64)))
    );
    let moved = |limit, from, to| Problem::BucketLimitMoved { limit, from, to, step: 64 };
    assert_eq!(problems, [moved(BucketLimit::Min, 100, 64), moved(BucketLimit::Max, 250, 256)]);
    let told = "--min_bucket_reso 100 is not a multiple of --bucket_reso_steps 64: 64 is used";
    assert_eq!(problems[0].to_string(), told);
    assert!(problems[1].to_string().starts_with("--max_bucket_reso 250 is"), "{}", problems[1]);
    let refused = |min, max, step, resolution| {
        Rule::new(resolution, Some(&Buckets { min, max, step, no_upscale: false })).unwrap_err().to_string()
    };
    assert!(refused(256, 1024, 64, (128, 512)).starts_with("--min_bucket_reso 256 is larger than"));
    assert!(refused(64, 256, 64, (512, 512)).starts_with("--max_bucket_reso 256 is smaller than"));
    assert!(refused(64, 256, 0, (128, 128)).starts_with("--bucket_reso_steps must be at least 1"));
    assert!(refused(32, 256, 64, (128, 128)).starts_with("--min_bucket_reso 32 and the resolution"));
}

#[test]
fn without_buckets_every_image_becomes_the_resolution() {
    let rule = Rule::new((96, 64), None).unwrap();
    for (image, resized, crop) in
        [((96, 64), (96, 64), (0, 0)), ((50, 50), (96, 96), (0, 16)), ((400, 100), (256, 64), (80, 0))]
    {
        let placement = rule.place(image).unwrap();
        assert_eq!((placement.bucket, placement.resized, placement.crop), ((96, 64), resized, crop));
    }
}

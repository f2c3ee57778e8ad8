//! `set.buckets`: images that are spread over many buckets at random.

use std::collections::BTreeMap;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.buckets",
        scope: Scope::Set,
        what: "images in many buckets of different fill, and buckets with fewer images than a batch",
        thresholds: &[
            Threshold::new("top", 0.6, "it is fine if this share is in one bucket"),
            Threshold::new("ratio", 2.0, "or the fullest has at most so many times the uses of the emptiest"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut buckets: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    let mut uses: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut batch = 1;
    for index in set.learnt() {
        let Some(placement) = set.images[index].placement else { continue };
        let own = u64::from(set.images[index].item.uses);
        if own > 0 {
            buckets.entry(placement.bucket).or_default().push(index);
            *uses.entry(placement.bucket).or_default() += own;
            batch = batch.max(set.settings(index).batch_size);
        }
    }
    let all: u64 = uses.values().sum();
    let most = uses.values().copied().max().unwrap_or(0);
    let least = uses.values().copied().min().unwrap_or(0);
    let top = most as f64 / all.max(1) as f64;
    let ratio = most as f64 / least.max(1) as f64;
    if uses.len() > 1 && top < found.limit("top") && ratio > found.limit("ratio") {
        let mut lone = Vec::new();
        let mut names = Vec::new();
        for (bucket, images) in &buckets {
            if images.len() == 1 {
                lone.extend(images);
                names.push(format!("{} × {}", bucket.0, bucket.1));
            }
        }
        let alone = if names.is_empty() { String::new() } else { format!("; alone in theirs: {}", names.join(", ")) };
        found.add(Told {
            level: Level::Warning,
            subject: "buckets".to_owned(),
            number: top,
            threshold: found.limit("top"),
            sentence: format!(
                "{} of different fill, the fullest with {:.0} % of the uses and {ratio:.1} times the emptiest{alone}",
                uses.len(),
                100.0 * top
            ),
            remedy:
                "crop a few images to the shape of the others; --min_bucket_reso=320 --max_bucket_reso=768 make fewer \
                     buckets at a resolution of 512"
                    .to_owned(),
            images: lone,
            ..Told::default()
        });
    }
    unfilled(found, &buckets, &uses, batch);
}

/// Buckets that do not fill one batch.
fn unfilled(
    found: &mut Found<'_>,
    buckets: &BTreeMap<(u32, u32), Vec<usize>>,
    uses: &BTreeMap<(u32, u32), u64>,
    batch: usize,
) {
    for (bucket, uses) in uses {
        if *uses < batch as u64 {
            found.add(Told {
                subject: format!("{} × {}", bucket.0, bucket.1),
                number: *uses as f64,
                threshold: batch as f64,
                sentence: format!("{uses} of {batch} places of a batch are filled in this bucket"),
                remedy: "crop its images to the shape of a fuller bucket, or give a smaller --train_batch_size"
                    .to_owned(),
                images: buckets[bucket].clone(),
                ..Told::default()
            });
        }
    }
}

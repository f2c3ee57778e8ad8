//! Other things that verdicts must hold to: the law of strengths, LoRAs that do nothing or something else, other noise, and
//! what each measure is worth.

use anyhow::{Context, Result, bail, ensure};
use half::f16;
use lorabake_judge::Report;
use lorabake_judge::measure::Measures;
use lorabake_judge::strength::Response;
use lorabake_judge::verdict::{Finding, Verdict};

use super::kitchen::{Kitchen, Look, judge_again};
use super::matrix::{is_right, share};
use super::sets::Set;
use super::spoil::{Bake, Kind};
use super::{Options, Outcome};

/// How near to its law a best strength must be.
const NEAR: f64 = 0.15;
/// By what LoRAs are scaled.
const FACTORS: [f64; 2] = [0.4, 2.5];

/// A LoRA whose changes are k times as large is best at s* / k.
///
/// # Errors
/// When something cannot be judged.
pub fn scale_law(kitchen: &Kitchen, outcomes: &[Outcome]) -> Result<String> {
    let mut near = 0;
    let mut all = 0;
    for Outcome { bake, report, .. } in outcomes.iter().filter(|outcome| outcome.bake.kind == Kind::Good) {
        let last = report.measures.snapshots.last().and_then(|last| last.whole.as_ref());
        let own = last.context("strengths were measured")?.best;
        for factor in FACTORS {
            let scaled = scaled(kitchen, bake, factor)?;
            let found = scaled.measures.snapshots[0].whole.as_ref().context("strengths were measured")?.best;
            let off = found * factor / own - 1.0;
            let law = own / factor;
            println!("{:<18} x{factor}: s* {found:.2}, by the law {law:.2} ({:+.0} %)", bake.name(), off * 100.0);
            all += 1;
            near += usize::from(off.abs() <= NEAR);
        }
    }
    Ok(share("s* of a scaled LoRA within 15 % of the law", near, all))
}

/// LoRAs that do nothing, and those of another subject, are undercooked; captions of other images are noticed.
///
/// # Errors
/// When something cannot be judged.
pub fn controls(kitchen: &Kitchen, bakes: &[Bake]) -> Result<String> {
    let mut counts = [[0; 2]; 3];
    for bake in bakes.iter().filter(|bake| bake.kind == Kind::Good) {
        let nothing = scaled(kitchen, bake, 0.0)?.judgement.verdict == Verdict::Undercooked;
        let other = of_another(kitchen, bake)?.judgement.verdict;
        let shuffled = format!("{}-badtags", bake.data());
        let json = kitchen.place(bake).join("shuffled.json");
        let look = Look { run: &kitchen.place(bake), data: &shuffled, json: &json, more: &["--budget", "quick"] };
        let report = kitchen.judge(&look)?;
        let is_noticed = finds(&report, |finding| matches!(finding, Finding::CaptionsDoNotFit(_)));
        println!("{:<18} nothing undercooked {nothing}, another's {other:?}, captions {is_noticed}", bake.name());
        for (count, is_right) in counts.iter_mut().zip([nothing, other != Verdict::Fine, is_noticed]) {
            count[0] += usize::from(is_right);
            count[1] += 1;
        }
    }
    let [nothing, other, captions] = counts;
    Ok([
        share("a LoRA of zeros is undercooked", nothing[0], nothing[1]),
        share("a LoRA of another subject is not fine", other[0], other[1]),
        share("shuffled captions are noticed", captions[0], captions[1]),
    ]
    .join("\n"))
}

/// The same bake measured with other noise has the same verdict.
///
/// # Errors
/// When something cannot be judged.
pub fn other_noise(kitchen: &Kitchen, outcomes: &[Outcome]) -> Result<String> {
    let mut same = 0;
    for Outcome { bake, report, .. } in outcomes {
        let json = kitchen.place(bake).join("noise.json");
        let more = ["--budget", "quick", "--judge_seed", "1"];
        let again = kitchen.judge(&Look { run: &kitchen.place(bake), data: &bake.data(), json: &json, more: &more })?;
        if again.judgement.verdict == report.judgement.verdict {
            same += 1;
        } else {
            println!("{:<18} {:?}, then {:?}", bake.name(), report.judgement.verdict, again.judgement.verdict);
        }
    }
    Ok(share("the same verdict with other noise", same, outcomes.len()))
}

/// A measure taken out of a report.
type Removal = fn(&mut Report);

/// The share of right verdicts without each of the measures.
pub fn ablation(outcomes: &[Outcome]) -> String {
    let removals: [(&str, Removal); 7] = [
        ("all measures", |_| {}),
        ("without strengths", |report| each(report, |own| own.whole = Some(as_it_should_be()))),
        ("without held-out losses", |report| each(report, |own| own.held_out.fill(-0.2))),
        ("without training losses", |report| each(report, |own| own.training.fill(-0.7))),
        ("without drift", |report| each(report, |own| own.drift.plain = own.drift.plain.min(0.02))),
        ("without text drift", |report| each(report, |own| own.text_drift = None)),
        ("without pictures", |report| report.pictures.clear()),
    ];
    let mut lines = Vec::new();
    for (name, remove) in removals {
        let mut right = 0;
        for Outcome { bake, report, .. } in outcomes {
            let mut report = report.clone();
            remove(&mut report);
            judge_again(&mut report);
            right += usize::from(is_right(bake.kind, &report));
        }
        lines.push(share(name, right, outcomes.len()));
    }
    lines.join("\n")
}

/// A response that says nothing against a LoRA.
fn as_it_should_be() -> Response {
    Response { points: Vec::new(), best: 1.0, interval: [0.9, 1.1], still_falling: false }
}

fn each(report: &mut Report, change: impl Fn(&mut lorabake_judge::measure::SnapshotMeasures)) {
    let Measures { snapshots, .. } = &mut report.measures;
    snapshots.iter_mut().for_each(change);
}

/// Spoilt bakes made again with the recipe that the judge wrote.
///
/// # Errors
/// When something cannot be baked or judged.
pub fn advice_followed(kitchen: &Kitchen, outcomes: &[Outcome], options: &Options) -> Result<String> {
    let mut fine = 0;
    let mut all = 0;
    for Outcome { bake, report, .. } in outcomes {
        let verdict = report.judgement.verdict;
        if !bake.kind.can_be_mended() || verdict == Verdict::Fine {
            continue;
        }
        let place = kitchen.place(bake);
        let next = place.join("next");
        if !super::kitchen::has_loras(&next) {
            if !options.bakes() {
                continue;
            }
            let recipe = place.join("next.toml");
            if !recipe.is_file() {
                let json = place.join("next.json");
                let recipe = recipe.to_str().context("a name is text")?;
                let more = ["--budget", "quick", "--apply", recipe];
                kitchen.judge(&Look { run: &place, data: &bake.data(), json: &json, more: &more })?;
            }
            kitchen.bake(&next, &[], recipe.to_str().context("a name is text")?, false)?;
        }
        let json = next.join("judge.json");
        let look = Look { run: &next, data: &bake.data(), json: &json, more: &["--budget", "quick"] };
        let again = kitchen.judge(&look)?.judgement.verdict;
        println!("{:<18} {verdict:?}, then {again:?}", bake.name());
        all += 1;
        fine += usize::from(again == Verdict::Fine);
    }
    Ok(share("fine after the advice was followed once", fine, all))
}

fn finds(report: &Report, wanted: impl Fn(&Finding) -> bool) -> bool {
    report.judgement.keep.is_some_and(|keep| report.judgement.snapshots[keep].findings.iter().any(wanted))
}

/// The kept LoRA of a good bake with changes `factor` times as large, judged.
fn scaled(kitchen: &Kitchen, bake: &Bake, factor: f64) -> Result<Report> {
    let place = kitchen.place(bake).join(format!("scaled-{factor}"));
    let json = place.join("judge.json");
    let lora = place.join("x.safetensors");
    if !lora.is_file() {
        std::fs::create_dir_all(&place)?;
        std::fs::write(&lora, with_alpha(&std::fs::read(kitchen.place(bake).join("x.safetensors"))?, factor)?)?;
    }
    kitchen.judge(&Look { run: &place, data: &bake.data(), json: &json, more: &["--budget", "quick"] })
}

/// A LoRA judged by the images of another set.
fn of_another(kitchen: &Kitchen, bake: &Bake) -> Result<Report> {
    let other = match bake.set {
        Set::Penny => Set::Style,
        Set::Style => Set::Sticker,
        Set::Sticker => Set::Penny,
    };
    let json = kitchen.place(bake).join("another.json");
    let data = format!("sets/{}", other.name());
    kitchen.judge(&Look { run: &kitchen.place(bake), data: &data, json: &json, more: &["--budget", "quick"] })
}

/// A LoRA file whose alphas are `factor` times as large, and so all of its changes.
fn with_alpha(file: &[u8], factor: f64) -> Result<Vec<u8>> {
    let (length, _) = file.split_first_chunk().context("a file has a header")?;
    let start = 8 + u64::from_le_bytes(*length) as usize;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&file[8..start])?;
    let mut scaled = file.to_vec();
    let mut count = 0;
    for (name, tensor) in header.iter().filter(|(name, _)| name.ends_with(".alpha")) {
        let at = start + tensor["data_offsets"][0].as_u64().context("an offset is a number")? as usize;
        match tensor["dtype"].as_str() {
            Some("F16") => {
                let alpha = f16::from_le_bytes([scaled[at], scaled[at + 1]]).to_f64() * factor;
                scaled[at..at + 2].copy_from_slice(&f16::from_f64(alpha).to_le_bytes());
            }
            Some("F32") => {
                let (bytes, _) = scaled[at..].split_first_chunk().context("a number has four bytes")?;
                let alpha = f64::from(f32::from_le_bytes(*bytes)) * factor;
                scaled[at..at + 4].copy_from_slice(&(alpha as f32).to_le_bytes());
            }
            other => bail!("{name}: {other:?} is no type for an alpha"),
        }
        count += 1;
    }
    ensure!(count > 0, "there is no alpha in the file");
    Ok(scaled)
}

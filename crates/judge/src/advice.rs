//! What the next bake should change: the guide's sentences as options with values.
//!
//! A new rate is the old one times the best strength, at most four times as much or as little at once, rounded to one digit:
//! if a LoRA works at UNet 0.5 and TE 1, halve the UNet's rate (the guide, "Overfitting").

use serde::{Deserialize, Serialize};

use crate::facts::RunFacts;
use crate::measure::Measures;
use crate::strength::Response;
use crate::verdict::{Finding, Judged, Judgement, Verdict};

/// Most pieces of advice at once: what is changed together cannot be told apart.
const MOST: usize = 3;
/// How much a rate changes at once.
const STEP: f64 = 4.0;
/// What the UNet's rate is divided by when pictures are noise.
const MUCH: f64 = 8.0;
/// The guide's usual rate of the UNet, and that of the demonstrations of the model inside the program.
const USUAL: [f64; 2] = [1e-4, 3e-3];
/// A noise offset above this is more than anybody means.
const MUCH_OFFSET: f64 = 0.2;
/// What the guide gives for a noise offset.
const USUAL_OFFSET: f64 = 0.1;
/// "Rank 64 does most characters; 16 to 32 simple ones."
const RANKS: [u32; 2] = [64, 32];

/// A change of one option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The option.
    pub option: String,
    /// What it was.
    pub from: String,
    /// What it should be.
    pub to: String,
}

/// A piece of advice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// Why.
    pub reason: Reason,
    /// What to change; empty where no option does it.
    pub changes: Vec<Change>,
}

/// Why something should be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// An earlier snapshot is fine: there is nothing else to do.
    KeepEarlier,
    /// Pictures are noise: the UNet's rate was far too high.
    FarTooHigh,
    /// Alpha is above the rank.
    AlphaAboveRank,
    /// The rank is larger than most things need, and it is overcooked.
    RankTooLarge,
    /// It is best below strength 1.
    RateTooHigh,
    /// It is best above strength 1 and has not been trained to its end.
    MoreSteps,
    /// It is best above strength 1 by far.
    RateTooLow,
    /// It knows its images by heart.
    ByHeart,
    /// The text encoders were trained too much.
    TextTooHigh,
    /// The text encoders were trained too little.
    TextTooLow,
    /// It acts without its trigger.
    Bleeds,
    /// Captions are all alike, or tags are in nearly all of them.
    Tags,
    /// Captions lack the trigger.
    MissingTrigger,
    /// Captions have no word in common that calls it up.
    NoTrigger,
    /// Captions do not fit their images.
    Captions,
    /// A tag is no longer heeded.
    Deaf,
    /// The set's looks come along without the trigger.
    LooksAlong,
    /// Pictures are saturated, and the noise offset was on.
    NoiseOffset,
    /// Pictures of a prompt are all alike.
    Rigid,
    /// Nothing was held out, so that less can be told.
    HoldOut,
}

/// What to change after `judgement`; none for a run that is fine.
pub fn advise(measures: &Measures, judgement: &Judgement, facts: &RunFacts) -> Vec<Advice> {
    let Some(keep) = judgement.keep else { return Vec::new() };
    let last = judgement.snapshots.len() - 1;
    let mut advice = Vec::new();
    let judged = &judgement.snapshots[keep];
    let kept = &measures.snapshots[keep];
    let response = kept.unet.as_ref().or(kept.whole.as_ref());
    match judged.verdict {
        Verdict::Fine if keep < last && judgement.snapshots[last].verdict == Verdict::Overcooked => {
            advice.push(plain(Reason::KeepEarlier));
        }
        Verdict::Fine | Verdict::CannotTell => {}
        Verdict::Broken => broken(facts, &mut advice),
        Verdict::Overcooked => overcooked(judged, response, facts, &mut advice),
        Verdict::Undercooked => undercooked(judged, response, facts, &mut advice),
    }
    if facts.alpha > f64::from(facts.rank) {
        advice.push(alpha_to_rank(facts));
    }
    // Whatever else is wrong may come from captions.
    for finding in &judged.findings {
        advice.extend(of_captions(finding));
    }
    for finding in &judged.findings {
        // What was trained far too much acts everywhere, and noise is all alike.
        let is_sign = match judged.verdict {
            Verdict::Broken => false,
            Verdict::Overcooked => !matches!(finding, Finding::Bleeds(_) | Finding::Moved(_)),
            _ => true,
        };
        if is_sign {
            advice.extend(of_note(finding, facts));
        }
    }
    if facts.has_trigger && measures.tags.without_trigger > 0.2 {
        advice.push(plain(Reason::MissingTrigger));
    } else if !measures.tags.fused.is_empty() || measures.tags.variety < 0.3 {
        advice.push(plain(Reason::Tags));
    }
    let mut seen = Vec::new();
    advice.retain(|piece| {
        let is_new = !seen.contains(&piece.reason);
        seen.push(piece.reason);
        is_new
    });
    advice.truncate(MOST);
    advice
}

fn plain(reason: Reason) -> Advice {
    Advice { reason, changes: Vec::new() }
}

fn changed(reason: Reason, changes: Vec<Change>) -> Advice {
    Advice { reason, changes }
}

fn broken(facts: &RunFacts, advice: &mut Vec<Advice>) {
    let by_alpha = facts.alpha / f64::from(facts.rank.max(1));
    if by_alpha > 1.0 {
        advice.push(alpha_to_rank(facts));
    }
    // Changes grow with alpha, so that much of the eighth may be done by that.
    if by_alpha < MUCH {
        advice.push(rates_by(by_alpha.max(1.0) / MUCH, Reason::FarTooHigh, facts));
    }
}

fn overcooked(judged: &Judged, response: Option<&Response>, facts: &RunFacts, advice: &mut Vec<Advice>) {
    let mut is_by_heart = false;
    let mut is_too_strong = false;
    let mut is_text_lost = false;
    for finding in &judged.findings {
        is_by_heart |= matches!(finding, Finding::ByHeart(_) | Finding::Copies(_));
        is_text_lost |= matches!(finding, Finding::TextLost(_));
        is_too_strong |=
            matches!(finding, Finding::BestBelow(..) | Finding::WorseThanBase(_) | Finding::PastItsBest(..));
    }
    if facts.noise_offset > MUCH_OFFSET {
        // It has learned the offset, which no rate mends.
        let lower = change("noise_offset", facts.noise_offset, USUAL_OFFSET);
        advice.push(changed(Reason::NoiseOffset, vec![lower]));
    } else if facts.alpha > f64::from(facts.rank) {
        // As good as a rate so many times as high; both at once would be too much.
        advice.push(alpha_to_rank(facts));
    } else if is_too_strong {
        advice.push(rates_by(weaker(response), Reason::RateTooHigh, facts));
    } else if is_text_lost {
        let to = rounded(facts.text_encoder_lr / STEP);
        let lower = change("text_encoder_lr", rate(facts.text_encoder_lr), rate(to));
        advice.push(changed(Reason::TextTooHigh, vec![lower]));
    }
    if is_by_heart {
        let mut changes = Vec::new();
        if let Some(epochs) = facts.epochs.filter(|epochs| *epochs > 1) {
            changes.push(change("max_train_epochs", epochs, epochs.div_ceil(2)));
        }
        advice.push(changed(Reason::ByHeart, changes));
    }
    let enough = RANKS[usize::from(is_by_heart)];
    if facts.rank > enough {
        let mut changes = vec![change("network_dim", facts.rank, enough)];
        if facts.alpha > f64::from(enough) {
            changes.push(change("network_alpha", facts.alpha, enough));
        }
        advice.push(changed(Reason::RankTooLarge, changes));
    }
}

/// By how much a rate is lowered: to the best strength. Where that is as good as none, it says only that the rate is far
/// too high, and the guide's eighth is taken.
fn weaker(response: Option<&Response>) -> f64 {
    match response {
        Some(response) if response.best < 1.0 / MUCH => 1.0 / MUCH,
        Some(response) => response.best.clamp(1.0 / STEP, 1.0),
        None => 1.0 / STEP,
    }
}

fn undercooked(judged: &Judged, response: Option<&Response>, facts: &RunFacts, advice: &mut Vec<Advice>) {
    let mut is_far = response.is_none_or(|response| response.still_falling);
    for finding in &judged.findings {
        is_far |= matches!(finding, Finding::HardlyLearned(_) | Finding::HardlyActs(_));
    }
    let factor = match response {
        Some(response) if !is_far => response.best.clamp(1.25, STEP),
        _ => STEP,
    };
    let usual = USUAL[usize::from(facts.is_embedded)];
    if !facts.finds_rates && facts.unet_lr < usual / 2.0 {
        advice.push(rates_by(factor, Reason::RateTooLow, facts));
        return;
    }
    let mut changes = Vec::new();
    if let Some(epochs) = facts.epochs {
        changes.push(change("max_train_epochs", epochs, (epochs as f64 * factor).ceil() as u64));
    } else if let Some(steps) = facts.steps {
        changes.push(change("max_train_steps", steps, (steps as f64 * factor).ceil() as u64));
    }
    advice.push(changed(Reason::MoreSteps, changes));
}

/// Advice on what captions lack.
fn of_captions(finding: &Finding) -> Option<Advice> {
    match finding {
        Finding::CaptionsDoNotFit(_) => Some(plain(Reason::Captions)),
        Finding::NoTrigger => Some(plain(Reason::NoTrigger)),
        _ => None,
    }
}

/// Advice on a finding that is beside the verdict.
fn of_note(finding: &Finding, facts: &RunFacts) -> Option<Advice> {
    match finding {
        // With its trigger it acts more, which is enough to be told and too little to train otherwise.
        Finding::Bleeds(selectivity) if *selectivity > 1.0 => None,
        Finding::TextStrength(best, _) => {
            let reason = if *best < 1.0 { Reason::TextTooHigh } else { Reason::TextTooLow };
            let to = rounded(facts.text_encoder_lr * best.clamp(1.0 / STEP, STEP));
            Some(changed(reason, vec![change("text_encoder_lr", rate(facts.text_encoder_lr), rate(to))]))
        }
        Finding::TextMoved(_) => {
            let to = rate(rounded(facts.text_encoder_lr / 2.0));
            Some(changed(Reason::TextTooHigh, vec![change("text_encoder_lr", rate(facts.text_encoder_lr), to)]))
        }
        Finding::Bleeds(_) | Finding::Moved(_) if !facts.keeps_prior => {
            let mut changes = vec![change("prior_prediction", false, true)];
            if let Some(trigger) = &facts.trigger {
                changes.push(change("trigger_word", "", trigger));
                changes.push(change("trigger_dropout_rate", 0, 0.2));
            }
            Some(changed(Reason::Bleeds, changes))
        }
        Finding::Bleeds(_) | Finding::Moved(_) => Some(plain(Reason::Bleeds)),
        Finding::LooksAlong(_) => Some(plain(Reason::LooksAlong)),
        Finding::Deaf(..) => Some(plain(Reason::Deaf)),
        Finding::Fried(..) if facts.noise_offset > 0.0 => Some(changed(
            Reason::NoiseOffset,
            vec![change("noise_offset", facts.noise_offset, rounded(facts.noise_offset / 2.0))],
        )),
        Finding::Rigid(_) | Finding::Posed(_) => Some(plain(Reason::Rigid)),
        Finding::NothingHeldOut => Some(changed(Reason::HoldOut, vec![change("validation_split", 0, 0.15)])),
        _ => None,
    }
}

fn alpha_to_rank(facts: &RunFacts) -> Advice {
    changed(Reason::AlphaAboveRank, vec![change("network_alpha", facts.alpha, facts.rank)])
}

/// Both rates times `factor`; alpha where the optimizer finds rates itself.
fn rates_by(factor: f64, reason: Reason, facts: &RunFacts) -> Advice {
    if facts.finds_rates {
        // Its estimate of the rate is multiplied by what is given for the rate, usually 1.
        return changed(reason, vec![change("unet_lr", rate(facts.unet_lr), rate(rounded(facts.unet_lr * factor)))]);
    }
    let mut changes = vec![change("unet_lr", rate(facts.unet_lr), rate(rounded(facts.unet_lr * factor)))];
    let is_drastic = factor <= 1.0 / STEP || factor >= STEP;
    if is_drastic && facts.text_encoder_lr > 0.0 {
        let to = rounded(facts.text_encoder_lr * factor);
        changes.push(change("text_encoder_lr", rate(facts.text_encoder_lr), rate(to)));
    }
    changed(reason, changes)
}

fn change(option: &str, from: impl ToString, to: impl ToString) -> Change {
    Change { option: option.to_owned(), from: from.to_string(), to: to.to_string() }
}

/// As people write rates: 0.0003 is 3e-4.
pub fn rate(value: f64) -> String {
    format!("{value:e}")
}

/// To one digit.
fn rounded(value: f64) -> f64 {
    format!("{value:.0e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_as_people_write_them() {
        assert_eq!(rate(rounded(0.0003 * 0.52)), "2e-4");
        assert_eq!(rate(0.00025), "2.5e-4");
        assert_eq!(rate(rounded(0.0)), "0e0");
    }
}

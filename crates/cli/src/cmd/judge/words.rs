//! Verdicts, findings and advice in words, as the guide says them.

use std::path::Path;

use lorabake_judge::advice::{Advice, Change, Reason};
use lorabake_judge::measure::{Measures, SnapshotMeasures};
use lorabake_judge::progress::Work;
use lorabake_judge::runs::Saved;
use lorabake_judge::verdict::{Finding, Judgement, Verdict};
use lorabake_recipe::count;

/// One word.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Broken => "broken",
        Verdict::Undercooked => "undercooked",
        Verdict::Fine => "fine",
        Verdict::Overcooked => "overcooked",
        Verdict::CannotTell => "can't tell",
    }
}

/// When a snapshot was saved.
pub fn moment(saved: Saved) -> String {
    match saved {
        Saved::Step(step) => format!("step {step}"),
        Saved::Epoch(epoch) => format!("epoch {epoch}"),
        Saved::End => "end".to_owned(),
    }
}

/// What is being done.
pub fn work(work: Work) -> String {
    match work {
        Work::Reading => "reading images".to_owned(),
        Work::Plain => "pictures of other things, without the LoRA".to_owned(),
        Work::Checkpoint => "errors of the checkpoint alone".to_owned(),
        Work::Losses(saved) => format!("errors with {}", moment(saved)),
        Work::Strengths(saved) => format!("strengths of {}", moment(saved)),
        Work::Apart(saved) => format!("UNet and text encoder of {} apart", moment(saved)),
        Work::PaintingAlone => "painting without the LoRA".to_owned(),
        Work::Painting(saved) => format!("painting with {}", moment(saved)),
        Work::Comparing => "comparing pictures".to_owned(),
    }
}

fn file(snapshot: &SnapshotMeasures) -> String {
    name(&snapshot.path)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What the run is, and which file to keep.
pub fn summary(measures: &Measures, judgement: &Judgement) -> Vec<String> {
    let Some(keep) = judgement.keep else { return vec!["There is nothing to judge.".to_owned()] };
    let last = judgement.snapshots.len() - 1;
    let kept = &measures.snapshots[keep];
    let mut lines = Vec::new();
    let at_end = judgement.snapshots[last].verdict;
    let what = match judgement.verdict {
        Verdict::Fine if keep != last && at_end != Verdict::Fine => {
            format!("Fine, at {}; {} at the end.", moment(kept.saved), verdict(at_end))
        }
        Verdict::Fine => "Fine.".to_owned(),
        Verdict::Broken => "Broken: it paints noise, not pictures.".to_owned(),
        Verdict::Undercooked => "Undercooked: it needs more.".to_owned(),
        Verdict::Overcooked => "Overcooked, from the first snapshot on.".to_owned(),
        Verdict::CannotTell => "Can't tell from what was measured.".to_owned(),
    };
    lines.push(what);
    if judgement.verdict != Verdict::Broken {
        let ties: Vec<String> = judgement.ties.iter().map(|tie| moment(measures.snapshots[*tie].saved)).collect();
        let equal = if ties.is_empty() {
            String::new()
        } else {
            format!("; {} no worse by the measures, the earliest is the least cooked", are(&ties))
        };
        lines.push(format!("Keep {}{equal}.", file(kept)));
    }
    lines
}

fn are(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

/// A finding as a sentence without its full stop.
pub fn finding(finding: &Finding, measures: &Measures) -> String {
    match finding {
        Finding::Unusable(why) => why.clone(),
        Finding::NotFinite => "what it computes is not a number".to_owned(),
        Finding::Noise(drift) => {
            format!(
                "without its trigger it changes what is predicted by {}: nothing of the picture is left",
                percent(*drift)
            )
        }
        Finding::NoisyPictures(share) => format!("{} of its pictures look like noise", percent(*share)),
        Finding::WorseThanBase(score) => {
            format!(
                "the checkpoint alone knows the held-out images better: errors are {} larger with it",
                times(*score)
            )
        }
        Finding::BestBelow(best, interval) => format!("it is best at strength {best:.2} ({})", range(*interval)),
        Finding::BestAbove(best, interval) => format!("it is best at strength {best:.2} ({})", range(*interval)),
        Finding::StillFalling(best) => format!("it still gets better at strength {best:.1}"),
        Finding::HardlyActs(score) => {
            format!("it hardly does anything: errors on held-out images are {} smaller with it", less(*score))
        }
        Finding::HardlyLearned(score) => {
            format!("it has hardly learned its own images: errors on them are {} smaller with it", less(*score))
        }
        Finding::PastItsBest(number, more) => {
            let before = moment(measures.snapshots[*number].saved);
            format!("held-out images were known better at {before}: errors have grown by {} since", times(*more))
        }
        Finding::ByHeart(score) => {
            format!("it knows its training images by heart: errors on them are {} smaller with it", less(*score))
        }
        Finding::Copies(share) => format!("{} of its pictures are copies of training images", percent(*share)),
        Finding::Fried(what, z) => {
            format!("{what} of its pictures is {z:.1} spreads beyond the checkpoint's and the set's")
        }
        Finding::BestNear(best, interval) => format!("it is best at strength {best:.2} ({})", range(*interval)),
        Finding::Alike(likeness) => {
            format!("its pictures are {} of the way from the checkpoint's to the set's", percent(*likeness))
        }
        Finding::NotAlike(likeness) => {
            format!("its pictures are {} of the way from the checkpoint's to the set's", percent(likeness.max(0.0)))
        }
        Finding::FewImages(images) => format!("{} held out decide little; hold out five or more", are_images(*images)),
        Finding::NothingHeldOut => {
            "nothing was held out of training, so that mirror images of the training images stood in".to_owned()
        }
        Finding::TextLost(_) | Finding::TextMoved(_) | Finding::TextStrength(..) => beside(finding),
        Finding::Bleeds(_) | Finding::Moved(_) | Finding::LooksAlong(_) | Finding::Posed(_) => beside(finding),
        Finding::Rigid(_) | Finding::Deaf(..) | Finding::CaptionsDoNotFit(_) | Finding::NoTrigger => beside(finding),
    }
}

/// A finding on texts, captions, and what is there beside the subject.
fn beside(finding: &Finding) -> String {
    match finding {
        Finding::TextLost(moved) | Finding::TextMoved(moved) => {
            format!(
                "texts without its trigger mean something else to the text encoder: they have moved by {} of the distance \
                 between two texts",
                percent(*moved)
            )
        }
        Finding::TextStrength(best, interval) => {
            format!("the text encoder is best at strength {best:.2} ({})", range(*interval))
        }
        Finding::Bleeds(selectivity) => {
            format!("it acts without its trigger, too: only {selectivity:.1} times as much with it")
        }
        Finding::Moved(moved) => {
            format!("pictures without its trigger have moved, {moved:.1} times as far as with another seed")
        }
        Finding::LooksAlong(way) => {
            format!("pictures without its trigger have gone {} of the way to the set's looks", percent(*way))
        }
        Finding::Posed(more) => {
            format!("composition and poses are those of the training images ({} more than by chance)", percent(*more))
        }
        Finding::Deaf(tag, share) => {
            format!("`{tag}` is hardly heeded any more: {} of what it does without it", percent(share.max(0.0)))
        }
        Finding::CaptionsDoNotFit(_) => {
            "captions explain their images no better than those of other images do, to the checkpoint".to_owned()
        }
        Finding::NoTrigger => {
            "captions have no word in common: nothing calls it up, it acts in every picture".to_owned()
        }
        Finding::Rigid(diversity) => {
            format!("pictures of one prompt are all alike: {} of the checkpoint's variety", percent(*diversity))
        }
        _ => String::new(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn are_images(images: usize) -> String {
    count(images as u64, "image")
}

fn range([low, high]: [f64; 2]) -> String {
    format!("between {low:.2} and {high:.2}")
}

/// A difference of logarithms as a share.
fn times(score: f64) -> String {
    format!("{:.0} %", (score.exp() - 1.0) * 100.0)
}

/// A score as the share by which errors are smaller.
fn less(score: f64) -> String {
    format!("{:.0} %", (1.0 - score.exp()) * 100.0)
}

/// A piece of advice as a sentence.
pub fn advice(advice: &Advice, measures: &Measures) -> String {
    let what = match advice.reason {
        Reason::KeepEarlier => "An earlier snapshot is done; there is nothing else to do.".to_owned(),
        Reason::FarTooHigh => {
            "The UNet's rate was far too high: divide it by at least 8; a zero may be missing.".to_owned()
        }
        Reason::AlphaAboveRank => "Alpha should never be higher than the rank.".to_owned(),
        Reason::RankTooLarge => {
            "Rank 64 does most characters, 16 to 32 simple ones: less rank learns less by heart.".to_owned()
        }
        Reason::RateTooHigh => {
            "The rate was too high for this set, or take an adaptive optimizer (--optimizer_type Prodigy). If that does \
             not help and the checkpoint is a mix, train on the one that mixes come from."
                .to_owned()
        }
        Reason::MoreSteps => {
            "It still gets better: train longer, or go on from this one (--network_weights FILE).".to_owned()
        }
        Reason::RateTooLow => "It hardly learns: the rate is low.".to_owned(),
        Reason::ByHeart => {
            "It has learned its images by heart: more or more varied images, mirrored ones (--flip_aug), fewer repeats or \
             epochs, regularization images."
                .to_owned()
        }
        Reason::TextTooHigh => "The text encoder was trained too much, which brings unwanted objects: lower its rate.".to_owned(),
        Reason::TextTooLow => "The text encoder could do with more, so that things need no weight in the prompt: raise its rate.".to_owned(),
        Reason::Bleeds => {
            "Keep what the model knew: prior prediction or regularization images, trigger dropout, or fewer steps."
                .to_owned()
        }
        Reason::Tags => tags(measures),
        Reason::MissingTrigger => {
            format!(
                "The trigger is missing in {:.0} % of the captions: put it first in all of them.",
                measures.tags.without_trigger * 100.0
            )
        }
        Reason::NoTrigger => {
            "Put one word that the checkpoint does not know first in all captions, or say --trigger_word WORD.".to_owned()
        }
        Reason::Captions => {
            "Look whether captions lie beside the images that they belong to, and are in words that the checkpoint knows."
                .to_owned()
        }
        Reason::Deaf => "Tag it where it is there, and show it in more images; or train fewer steps.".to_owned(),
        Reason::LooksAlong => {
            "The set's style comes along. For a character: try the OUT blocks lower in a picture, then train so \
             (--block_lr_weight)."
                .to_owned()
        }
        Reason::NoiseOffset => "The noise offset is too much for this set: lower it.".to_owned(),
        Reason::Rigid => "Pictures are all alike: more poses and scenes, with tags for them.".to_owned(),
        Reason::HoldOut => "Hold a few images out, so that more can be told next time.".to_owned(),
    };
    let changes: Vec<String> = advice.changes.iter().map(change).collect();
    if changes.is_empty() { what } else { format!("{what} {}", changes.join(" ")) }
}

/// A change as an option to type.
pub fn change(change: &Change) -> String {
    let Change { option, from, to } = change;
    match (from.as_str(), to.as_str()) {
        (_, "true") => format!("--{option}"),
        ("", to) => format!("--{option} {}", crate::words::quoted(to)),
        (from, to) => format!("--{option} {} (was {from})", crate::words::quoted(to)),
    }
}

fn tags(measures: &Measures) -> String {
    let tags = &measures.tags;
    match tags.fused.first() {
        Some(first) => format!(
            "`{}` is in {:.0} % of the captions and so has become one with the trigger: leave the tag out, or add images \
             without it.",
            first.tag,
            first.share * 100.0
        ),
        None => format!(
            "Only {:.0} % of the captions differ from each other: tag what changes from image to image.",
            tags.variety * 100.0
        ),
    }
}

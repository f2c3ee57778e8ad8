//! What a run is found to be, as plain data: verdicts, what points to them, which snapshot to keep.

use serde::{Deserialize, Serialize};

/// What a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It paints noise, or nothing that is a number.
    Broken,
    /// It needs more training.
    Undercooked,
    /// It is good at strength 1.
    Fine,
    /// It reproduces its images, or is good only when it is weakened.
    Overcooked,
    /// What was measured does not decide.
    CannotTell,
}

impl Verdict {
    /// Its place among verdicts, the best first.
    pub fn rank(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::CannotTell => 1,
            Self::Undercooked => 2,
            Self::Overcooked => 3,
            Self::Broken => 4,
        }
    }
}

/// Something that points to a verdict, or is to be known beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Finding {
    /// The file cannot be used; why.
    Unusable(String),
    /// Something that was computed is not finite.
    NotFinite,
    /// It changes predictions for texts without its trigger by more than their own size; drift.
    Noise(f64),
    /// This share of its pictures looks like noise.
    NoisyPictures(f64),
    /// Held-out images are known worse than by the checkpoint alone; the score.
    WorseThanBase(f64),
    /// It is best below strength 1: the best strength, and from where to where it may lie.
    BestBelow(f64, [f64; 2]),
    /// It is best above strength 1.
    BestAbove(f64, [f64; 2]),
    /// The score still falls at the largest strength that was tried.
    StillFalling(f64),
    /// It hardly changes anything; the score.
    HardlyActs(f64),
    /// It has hardly learned its own images; the score over them.
    HardlyLearned(f64),
    /// Held-out images were known better before; score then and now, and the snapshot's number.
    PastItsBest(usize, f64),
    /// Training images are known by heart; the score over them.
    ByHeart(f64),
    /// This share of pictures is a copy of a training image.
    Copies(f64),
    /// Pictures are less saturated or contrasted than fits: the measure's name, and z.
    Fried(String, f64),
    /// It is best near strength 1: the best strength, and its range.
    BestNear(f64, [f64; 2]),
    /// A likeness that is enough.
    Alike(f64),
    /// Texts without the trigger have moved so far, in units of the distance between two texts.
    TextLost(f64),
    /// The same, where it is less.
    TextMoved(f64),
    /// The text encoders are best at this strength.
    TextStrength(f64, [f64; 2]),
    /// It acts without its trigger, too: how much more it acts with it.
    Bleeds(f64),
    /// Pictures without the trigger have moved so far, beside two seeds of the checkpoint.
    Moved(f64),
    /// Pictures without the trigger have gone this share of the way to the set's looks.
    LooksAlong(f64),
    /// All pictures of a prompt are alike; diversity beside the checkpoint's.
    Rigid(f64),
    /// Compositions are those of training images, by this share more than in pictures that were never trained on.
    Posed(f64),
    /// A tag that is hardly heeded any more: its name, and what is left of what it explains.
    Deaf(String, f64),
    /// Captions explain their images no better than those of other images do; the gain.
    CaptionsDoNotFit(f64),
    /// No word calls it up.
    NoTrigger,
    /// A likeness this low, 0 = none, 1 = as alike as the set itself.
    NotAlike(f64),
    /// Fewer held-out images than this decide little.
    FewImages(usize),
    /// Nothing was held out, so that mirror images stood in, or training images.
    NothingHeldOut,
}

/// The verdict on a snapshot with what points to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// What points to it first, then the rest.
    pub findings: Vec<Finding>,
}

/// The verdict on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Of each snapshot, in their order.
    pub snapshots: Vec<Judged>,
    /// The number of the snapshot to keep.
    pub keep: Option<usize>,
    /// Snapshots that are as good by the measures; the earliest is kept, which is the least cooked.
    pub ties: Vec<usize>,
    /// The run's verdict: that of the snapshot to keep.
    pub verdict: Verdict,
}

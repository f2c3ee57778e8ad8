//! Where verdicts change: the one table of thresholds.
//!
//! They were fitted on bakes of the model inside the program that were spoilt on purpose; docs/judging.md has the numbers.
//! Those on strengths and ratios to the checkpoint's own losses should carry over to other models.

/// Where verdicts change.
pub(crate) struct Thresholds {
    /// Drift without trigger from which a LoRA paints noise.
    pub noise: f64,
    /// Share of its pictures that look like noise.
    pub noisy_pictures: f64,
    /// Score from which it is no better than nothing, and clearly so.
    pub worse: f64,
    /// Best strength below which it is overcooked …
    pub overcooked: f64,
    /// … or below this, if alpha is above the rank …
    pub overcooked_by_alpha: f64,
    /// … if the interval ends below this, too, …
    pub overcooked_end: f64,
    /// … and errors at strength 1 are larger than at the best one by more than this.
    pub cost: f64,
    /// How far texts without trigger have moved, in units of the distance between two texts.
    pub text_lost: f64,
    /// The same, from which it is mentioned.
    pub text_moved: f64,
    /// Best strength above which it is undercooked …
    pub undercooked: f64,
    /// … if the interval begins above this, too.
    pub undercooked_begin: f64,
    /// Score above which it hardly acts.
    pub idle: f64,
    /// Score over training images above which it has hardly learned them. How far errors can fall depends on the model,
    /// and was fitted for the one inside the program only.
    pub hardly_learned: f64,
    /// The same, if drift without trigger, which grows with all that is learned, is below the next one, too.
    pub little_learned: f64,
    /// See the one before.
    pub little: f64,
    /// Score over training images below which it knows them by heart, whatever else.
    pub by_heart: f64,
    /// The same, for a LoRA whose pictures are all alike.
    pub alike_by_heart: f64,
    /// Share of pictures that are copies.
    pub copies: f64,
    /// z of saturation, contrast, clipping and sharpness.
    pub fried: f64,
    /// How much more a LoRA should act with its trigger.
    pub selectivity: f64,
    /// Drift without trigger up to which a LoRA hardly acts there.
    pub acts: f64,
    /// How far pictures without trigger may move, beside two seeds of the checkpoint: as far as another seed. Seeds change
    /// little in pictures of the model inside the program, which has the second one.
    pub moved: [f64; 2],
    /// Share of the way to the set's looks that pictures without trigger may go.
    pub looks_along: f64,
    /// Diversity beside the checkpoint's.
    pub rigid: f64,
    /// Share by which compositions are more copied than in other pictures.
    pub posed: f64,
    /// Share of what a tag explains below which it is not heeded.
    pub deaf: f64,
    /// Captions below which their number says nothing.
    pub captions: usize,
    /// Standard errors from which a gain of captions is one.
    pub sure: f64,
    /// Likeness below which it is not there yet.
    pub alike: f64,
    /// Likenesses that differ by no more are the same.
    pub as_alike: f64,
    /// Best strength of the text encoders outside of which a note is made, …
    pub text: [f64; 2],
    /// … if errors at strength 1 are larger than at the best one by more than this.
    pub text_cost: f64,
    /// Held-out images below which their number is mentioned.
    pub few: usize,
    /// Held-out images from which they tell something.
    pub enough: usize,
}

pub(crate) const AT: Thresholds = Thresholds {
    noise: 1.0,
    noisy_pictures: 0.3,
    worse: 0.05,
    overcooked: 0.65,
    overcooked_by_alpha: 0.8,
    overcooked_end: 0.85,
    cost: 0.1,
    text_lost: 0.3,
    text_moved: 0.1,
    undercooked: 1.3,
    undercooked_begin: 1.05,
    idle: -0.03,
    hardly_learned: -0.41,
    little_learned: -0.5,
    little: 0.01,
    by_heart: -2.0,
    alike_by_heart: -1.2,
    copies: 0.5,
    fried: 3.0,
    selectivity: 2.0,
    acts: 0.002,
    moved: [1.0, 3.0],
    looks_along: 0.3,
    rigid: 0.35,
    posed: 0.7,
    deaf: 0.3,
    captions: 5,
    sure: 2.0,
    alike: 0.2,
    as_alike: 0.05,
    text: [0.6, 1.6],
    text_cost: 0.05,
    few: 3,
    enough: 5,
};

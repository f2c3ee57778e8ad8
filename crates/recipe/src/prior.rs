//! What the LoRA must leave as it is: regularization images, and what the model itself predicts without the LoRA.

use serde::Serialize;

use crate::caches::Caches;
use crate::report::Report;

/// How what the model knew is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// Loss weight of whatever keeps it: regularization images, captions that lost their trigger (`--prior_loss_weight`).
    pub loss_weight: f64,
    /// Regularization images teach what the model without the LoRA predicts, not their noise (`--prior_prediction`).
    pub prediction: bool,
    /// The words without which the LoRA is to do nothing.
    pub trigger: Option<Trigger>,
}

impl Default for Prior {
    /// As in sd-scripts.
    fn default() -> Self {
        Self { loss_weight: 1.0, prediction: false, trigger: None }
    }
}

/// Words of captions that call the LoRA up. Some uses of an image lose them, and teach what the model without the LoRA
/// predicts then.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// As captions have them (`--trigger_word`).
    pub words: String,
    /// What stands in their place (`--trigger_class`); `None` = nothing.
    pub class: Option<String>,
    /// Share of uses that lose them (`--trigger_dropout_rate`).
    pub dropout_rate: f64,
}

/// What may be typed about it; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Keeping what the model knows", rename_all = "verbatim")]
pub struct RawPrior {
    /// How much regularization images, and captions that lost their trigger, count against training images. [default: 1]
    #[arg(long, value_name = "WEIGHT")]
    pub prior_loss_weight: Option<f64>,
    /// Let regularization images teach what the model predicts without the LoRA, instead of the noise in them: what has
    /// no trigger stays as it was.
    #[arg(long)]
    pub prior_prediction: Option<bool>,
    /// With --trigger_dropout_rate: the words in captions that should call up the LoRA.
    #[arg(long, value_name = "WORDS")]
    pub trigger_word: Option<String>,
    /// With --trigger_dropout_rate: what the captions say instead of --trigger_word, for instance girl. [default: nothing]
    #[arg(long, value_name = "WORDS")]
    pub trigger_class: Option<String>,
    /// Share of uses, from 0 to 1, whose caption loses --trigger_word and which teach what the model predicts for it
    /// without the LoRA; 0.2 to 0.4 is usual. Needs no regularization images. [default: 0, off]
    #[arg(long, value_name = "SHARE")]
    pub trigger_dropout_rate: Option<f64>,
}

impl RawPrior {
    pub(crate) fn resolve(&self, has_reg: bool, caches: &Caches, report: &mut Report) -> Prior {
        let trigger = self.trigger(caches, report);
        let loss_weight = report.amount("prior_loss_weight", self.prior_loss_weight, 1.0);
        if loss_weight != 1.0 && !has_reg && trigger.is_none() {
            report.note("prior_loss_weight", "has no effect without --reg_data_dir or --trigger_dropout_rate");
        }
        let prediction = self.prior_prediction == Some(true);
        if prediction && !has_reg {
            report.note("prior_prediction", "has no effect without --reg_data_dir");
        }
        Prior { loss_weight, prediction, trigger }
    }

    fn trigger(&self, caches: &Caches, report: &mut Report) -> Option<Trigger> {
        const RATE: &str = "trigger_dropout_rate";
        let dropout_rate = report.share(RATE, self.trigger_dropout_rate);
        let text =
            |given: &Option<String>| given.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let (words, class) = (text(&self.trigger_word), text(&self.trigger_class));
        if dropout_rate == 0.0 {
            for (option, given) in [("trigger_word", &words), ("trigger_class", &class)] {
                if given.is_some() {
                    report.note(option, "has no effect without --trigger_dropout_rate");
                }
            }
            return None;
        }
        if dropout_rate == 1.0 {
            report.problem(RATE, "at 1 no image keeps its trigger, and nothing is learnt", "use for instance 0.25");
        }
        if caches.text_outputs {
            let what = "with --cache_text_encoder_outputs a caption cannot lose its trigger at some of its uses";
            report.problem(RATE, what, "leave one of them out");
        }
        let Some(words) = words else {
            let what = "it needs the words that are dropped";
            report.problem(RATE, what, "add --trigger_word with the words that your captions have for what is learnt");
            return None;
        };
        Some(Trigger { words, class, dropout_rate })
    }
}

impl From<&Prior> for RawPrior {
    fn from(prior: &Prior) -> Self {
        let trigger = prior.trigger.as_ref();
        Self {
            prior_loss_weight: Some(prior.loss_weight),
            prior_prediction: Some(prior.prediction),
            trigger_word: trigger.map(|trigger| trigger.words.clone()),
            trigger_class: trigger.and_then(|trigger| trigger.class.clone()),
            trigger_dropout_rate: trigger.map(|trigger| trigger.dropout_rate),
        }
    }
}

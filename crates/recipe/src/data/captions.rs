//! What happens to a caption each time that it is used.

use serde::Serialize;

use crate::report::Report;

/// Caption handling, in the order in which it happens (sd-scripts' `process_caption`).
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionRules {
    /// Put before every caption, with a space (`--caption_prefix`).
    pub prefix: Option<String>,
    /// Put after every caption, with a space (`--caption_suffix`).
    pub suffix: Option<String>,
    /// Probability that a caption is replaced by an empty one (`--caption_dropout_rate`).
    pub dropout_rate: f64,
    /// All captions of every so many epochs are empty; 0 = never (`--caption_dropout_every_n_epochs`).
    pub dropout_every_n_epochs: u32,
    /// Draw one line of the file and one choice of each `{a|b}` (`--enable_wildcard`).
    pub wildcards: bool,
    /// Number of leading tags that stay in place (`--keep_tokens`).
    pub keep_tokens: usize,
    /// Text that parts fixed head, tags and fixed tail; goes before `keep_tokens` (`--keep_tokens_separator`).
    pub keep_separator: Option<String>,
    /// Tags are let in one after another as training goes on (`--token_warmup_step`).
    pub warmup: Option<TokenWarmup>,
    /// Shuffle the tags that are not kept in place (`--shuffle_caption`).
    pub shuffle: bool,
    /// Probability that a tag that is not kept in place is left out (`--caption_tag_dropout_rate`).
    pub tag_dropout_rate: f64,
    /// What separates tags (`--caption_separator`).
    pub separator: String,
    /// Becomes `separator` at the end, so that what it joins counts as one tag (`--secondary_separator`).
    pub secondary_separator: Option<String>,
    /// `(word:1.2)` and its like multiply the text encoder's states (`--weighted_captions`).
    pub weighted: bool,
}

impl CaptionRules {
    /// Whether a caption is taken apart into tags and put together again.
    pub fn edits_tags(&self) -> bool {
        self.shuffle || self.warmup.is_some() || self.tag_dropout_rate > 0.0
    }
}

impl Default for CaptionRules {
    /// Captions as they are typed.
    fn default() -> Self {
        Self {
            prefix: None,
            suffix: None,
            dropout_rate: 0.0,
            dropout_every_n_epochs: 0,
            wildcards: false,
            keep_tokens: 0,
            keep_separator: None,
            warmup: None,
            shuffle: false,
            tag_dropout_rate: 0.0,
            separator: ",".to_owned(),
            secondary_separator: None,
            weighted: false,
        }
    }
}

/// How the number of tags grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenWarmup {
    /// Tags at the first step (`--token_warmup_min`).
    pub min: u32,
    /// From this step on all tags are used; below 1 a share of all steps (`--token_warmup_step`).
    pub until: f64,
}

/// What may be typed about captions; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Captions", rename_all = "verbatim")]
pub struct RawCaptions {
    /// Put the tags of a caption in a new order each time that it is used, so that no tag profits from its place.
    #[arg(long)]
    pub shuffle_caption: Option<bool>,
    /// How many tags at the start stay in place when tags are shuffled, dropped or warmed up, for instance 1 for an
    /// activation tag. [default: 0]
    #[arg(long, value_name = "TAGS")]
    pub keep_tokens: Option<u32>,
    /// Text, such as |||, after which tags are shuffled, dropped or warmed up; what stands before it stays in place,
    /// and so does what follows a second one. Captions without it go by --keep_tokens.
    #[arg(long, value_name = "TEXT")]
    pub keep_tokens_separator: Option<String>,
    /// What stands between the tags of a caption. [default: ,]
    #[arg(long, value_name = "TEXT")]
    pub caption_separator: Option<String>,
    /// Text, such as ;;;, that joins tags into one for shuffling and dropping. It becomes --caption_separator in the
    /// end.
    #[arg(long, value_name = "TEXT")]
    pub secondary_separator: Option<String>,
    /// Draw anew at each use: one line of a caption file with several, and one choice of each {red|green}. Write {{
    /// and }} for braces.
    #[arg(long)]
    pub enable_wildcard: Option<bool>,
    /// Text to put before every caption.
    #[arg(long, value_name = "TEXT")]
    pub caption_prefix: Option<String>,
    /// Text to put after every caption.
    #[arg(long, value_name = "TEXT")]
    pub caption_suffix: Option<String>,
    /// Share of uses with an empty caption, from 0 to 1; 0.05 to 0.1 keeps pictures without prompt in the style.
    /// [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub caption_dropout_rate: Option<f64>,
    /// Train every so many epochs without captions: with 3 the epochs 3, 6, 9, ... [default: 0, never]
    #[arg(long, value_name = "EPOCHS")]
    pub caption_dropout_every_n_epochs: Option<u32>,
    /// Share of tags that are left out at each use, from 0 to 1, except those kept in place. [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub caption_tag_dropout_rate: Option<f64>,
    /// With --token_warmup_step: how many tags are used at the first step. [default: 1]
    #[arg(long, value_name = "TAGS")]
    pub token_warmup_min: Option<u32>,
    /// Let tags in one after another until this step, from which on all are used; below 1 a share of all steps, such
    /// as 0.5. [default: 0, off]
    #[arg(long, value_name = "STEPS")]
    pub token_warmup_step: Option<f64>,
    /// Give words in captions weights, as in prompts: (word), (word:1.2), [word]. A bracket that is meant literally is
    /// written \( or \).
    #[arg(long)]
    #[allow(rustdoc::broken_intra_doc_links, reason = "these are the words of --help")]
    pub weighted_captions: Option<bool>,
}

impl RawCaptions {
    pub(crate) fn resolve(&self, report: &mut Report) -> CaptionRules {
        let rules = CaptionRules {
            prefix: not_empty(&self.caption_prefix),
            suffix: not_empty(&self.caption_suffix),
            dropout_rate: report.share("caption_dropout_rate", self.caption_dropout_rate),
            dropout_every_n_epochs: self.caption_dropout_every_n_epochs.unwrap_or(0),
            wildcards: self.enable_wildcard == Some(true),
            keep_tokens: self.keep_tokens.unwrap_or(0) as usize,
            keep_separator: not_empty(&self.keep_tokens_separator),
            warmup: self.warmup(report),
            shuffle: self.shuffle_caption == Some(true),
            tag_dropout_rate: report.share("caption_tag_dropout_rate", self.caption_tag_dropout_rate),
            separator: self.caption_separator.clone().unwrap_or_else(|| ",".to_owned()),
            secondary_separator: not_empty(&self.secondary_separator),
            weighted: self.weighted_captions == Some(true),
        };
        self.note_extremes(&rules, report);
        rules
    }

    fn warmup(&self, report: &mut Report) -> Option<TokenWarmup> {
        let until = report.amount("token_warmup_step", self.token_warmup_step, 0.0);
        if until >= 1.0 && until.fract() != 0.0 {
            let what = format!("{until} is not a number of steps");
            report.problem("token_warmup_step", what, "use a whole number, or a share of all steps below 1");
        }
        if until == 0.0 && self.token_warmup_min.is_some_and(|min| min != 1) {
            report.note("token_warmup_min", "has no effect without --token_warmup_step");
        }
        if until == 0.0 {
            return None;
        }
        Some(TokenWarmup { min: self.token_warmup_min.unwrap_or(1), until })
    }

    /// Notes what has no effect, and what goes so far that it may be an error.
    fn note_extremes(&self, rules: &CaptionRules, report: &mut Report) {
        if !rules.edits_tags() {
            const WITHOUT: &str = "has no effect without --shuffle_caption, --caption_tag_dropout_rate or \
                                   --token_warmup_step";
            if rules.keep_tokens > 0 {
                report.note("keep_tokens", format!("{WITHOUT}: all tags stay in place"));
            }
            if rules.keep_separator.is_some() {
                report.note("keep_tokens_separator", format!("{WITHOUT}: it stays in the captions as it is typed"));
            }
        }
        if rules.separator == "," && rules.secondary_separator.as_deref() == Some(",") {
            report.note("secondary_separator", "has no effect, because --caption_separator is the same");
        }
        if rules.dropout_rate == 1.0 {
            report.note("caption_dropout_rate", "at 1 every image is trained without its caption");
        }
        if rules.dropout_every_n_epochs == 1 {
            report.note("caption_dropout_every_n_epochs", "at 1 every epoch is trained without captions");
        }
        if rules.tag_dropout_rate == 1.0 {
            report.note("caption_tag_dropout_rate", "at 1 every tag is left out that is not kept in place");
        }
    }
}

/// The text, unless it is empty.
fn not_empty(given: &Option<String>) -> Option<String> {
    given.clone().filter(|text| !text.is_empty())
}

impl From<&CaptionRules> for RawCaptions {
    fn from(rules: &CaptionRules) -> Self {
        Self {
            shuffle_caption: Some(rules.shuffle),
            keep_tokens: Some(rules.keep_tokens as u32),
            keep_tokens_separator: rules.keep_separator.clone(),
            caption_separator: Some(rules.separator.clone()),
            secondary_separator: rules.secondary_separator.clone(),
            enable_wildcard: Some(rules.wildcards),
            caption_prefix: rules.prefix.clone(),
            caption_suffix: rules.suffix.clone(),
            caption_dropout_rate: Some(rules.dropout_rate),
            caption_dropout_every_n_epochs: Some(rules.dropout_every_n_epochs),
            caption_tag_dropout_rate: Some(rules.tag_dropout_rate),
            token_warmup_min: rules.warmup.map(|warmup| warmup.min),
            token_warmup_step: Some(rules.warmup.map_or(0.0, |warmup| warmup.until)),
            weighted_captions: Some(rules.weighted),
        }
    }
}

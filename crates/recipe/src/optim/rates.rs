//! Learning rates of UNet and text encoders: which are meant where some are not given, and notes about them.

use super::optimizer::Optimizer;
use super::options::RawOptim;
use crate::model::Family;
use crate::network::Scope;
use crate::report::{Report, shown};

/// Learning rates beyond this are no 32-bit floats.
const HIGHEST: f64 = 1e38;

/// The learning rates that are meant.
pub(crate) struct Rates {
    pub(crate) unet: f64,
    pub(crate) text_encoder: f64,
    /// The rate of SDXL's second text encoder.
    pub(crate) text_encoder2: f64,
}

/// The UNet or the text encoders, with what is asked for of them.
struct Part {
    /// Option of the part's own rate.
    option: &'static str,
    typed: Option<f64>,
    is_trained: bool,
    /// Option that leaves this part untrained.
    without_it: &'static str,
}

impl RawOptim {
    /// The options with one rate for each text encoder that there is. The kohya GUI writes two whatever the model is, and
    /// sd-scripts takes the first.
    pub(crate) fn with_rates_for(&self, family: Option<Family>, report: &mut Report) -> Self {
        let mut own = self.clone();
        let Some(rates) = &mut own.text_encoder_lr else { return own };
        match family {
            Some(family @ (Family::Sd1 | Family::Sd2)) => {
                if rates.iter().any(|rate| *rate != rates[0]) {
                    let name = if family == Family::Sd1 { "1.x" } else { "2.x" };
                    let text = format!("only {} is used: Stable Diffusion {name} has one text encoder", rates[0]);
                    report.note("text_encoder_lr", text);
                }
                rates.truncate(1);
            }
            Some(Family::Sdxl) if rates.len() > 2 => {
                let what = format!("{} values are given, and SDXL has two text encoders", rates.len());
                report.problem("text_encoder_lr", what, "give one value, or two");
            }
            _ => {}
        }
        own
    }

    /// Learning rates of UNet and text encoders.
    pub(crate) fn rates(&self, scope: Scope, optimizer: &Optimizer, report: &mut Report) -> Rates {
        let base = self.learning_rate.unwrap_or(usual_rate(optimizer));
        let typed_text = self.first_text_encoder_rate();
        let parts = [
            Part {
                option: "unet_lr",
                typed: self.unet_lr,
                is_trained: scope != Scope::TextEncoderOnly,
                without_it: "--network_train_text_encoder_only",
            },
            Part {
                option: "text_encoder_lr",
                typed: typed_text,
                is_trained: scope != Scope::UnetOnly,
                without_it: "--network_train_unet_only",
            },
        ];
        self.check_parts(&parts, base, optimizer, report);
        let unet = self.unet_lr.unwrap_or(base);
        let text = typed_text.unwrap_or(base);
        let name = optimizer.name();
        if optimizer.adapts() && scope == Scope::Both && unet != text {
            let note = format!("{name} has one rate for all, and the text encoder's counts, {text}, as in sd-scripts");
            report.note("unet_lr", note);
            return self.with_untrained(text, text, text);
        }
        let second = match self.text_encoder_lr.as_deref() {
            Some([first, second]) if optimizer.adapts() && first != second && *first != 0.0 && *second != 0.0 => {
                report.note("text_encoder_lr", format!("{name} has one rate for all, and the first counts, {text}"));
                text
            }
            Some([_, second]) => {
                if scope != Scope::UnetOnly && *second != 0.0 && *second != text {
                    check_rate("text_encoder_lr", *second, optimizer, "--network_train_unet_only", report);
                }
                *second
            }
            Some([_, second, ..]) => *second,
            _ => text,
        };
        self.with_untrained(unet, text, second)
    }

    /// The first rate of a text encoder that is trained: 0 for one of two leaves that one alone.
    fn first_text_encoder_rate(&self) -> Option<f64> {
        let typed = self.text_encoder_lr.as_deref()?;
        let trained = typed.iter().find(|rate| **rate != 0.0);
        trained.or(typed.first()).copied()
    }

    /// Checks each rate that is used once, and notes those that are not used.
    fn check_parts(&self, parts: &[Part; 2], base: f64, optimizer: &Optimizer, report: &mut Report) {
        let needs_base = parts.iter().any(|part| part.is_trained && part.typed.is_none());
        if self.learning_rate.is_none() && needs_base && !optimizer.sets_own_rates() {
            report.note("learning_rate", default_rate_note(optimizer));
        }
        let mut checked = Vec::new();
        for part in parts {
            let source = if part.typed.is_some() { part.option } else { "learning_rate" };
            if !part.is_trained {
                if part.typed.is_some() {
                    let note = format!("has no effect with {}: that part is not trained", part.without_it);
                    report.note(part.option, note);
                }
            } else if !checked.contains(&source) {
                checked.push(source);
                check_rate(source, part.typed.unwrap_or(base), optimizer, part.without_it, report);
            }
        }
        let is_overruled = parts.iter().all(|part| part.typed.is_some_and(|rate| rate != base));
        if self.learning_rate.is_some() && is_overruled {
            report.note("learning_rate", "has no effect, because --unet_lr and --text_encoder_lr are both given");
        }
    }

    /// The rates, with 0 for that of two text encoders which is to be left alone.
    fn with_untrained(&self, unet: f64, text_encoder: f64, text_encoder2: f64) -> Rates {
        let mut rates = Rates { unet, text_encoder, text_encoder2 };
        if let Some([first, second, ..]) = self.text_encoder_lr.as_deref() {
            if *first == 0.0 {
                rates.text_encoder = 0.0;
            }
            if *second == 0.0 {
                rates.text_encoder2 = 0.0;
            }
        }
        rates
    }
}

/// sd-scripts' own default, 2e-6, comes from training whole models and teaches a LoRA next to nothing.
pub(crate) fn usual_rate(optimizer: &Optimizer) -> f64 {
    if optimizer.adapts() { 1.0 } else { 1e-4 }
}

fn default_rate_note(optimizer: &Optimizer) -> String {
    let name = optimizer.name();
    let rate = usual_rate(optimizer);
    let instead = "(sd-scripts would use 2e-6, which hardly learns anything)";
    match optimizer.adapts() {
        true => format!("not given, so {rate} is used: {name} finds the size of its steps itself {instead}"),
        false => format!("not given, so {rate:e} is used, the usual rate with {name} {instead}"),
    }
}

/// `without_it` is the option that leaves the part with this rate untrained.
fn check_rate(option: &str, rate: f64, optimizer: &Optimizer, without_it: &str, report: &mut Report) {
    let name = optimizer.name();
    let usual = usual_rate(optimizer);
    let sgd = matches!(optimizer, Optimizer::SGDNesterov(_) | Optimizer::SGDNesterov8bit(_));
    if !(rate.is_finite() && rate >= 0.0) {
        report.problem(option, format!("{} is not a learning rate", shown(rate)), "use a number such as 1e-4");
    } else if rate > HIGHEST {
        let what = format!("{} is more than any optimizer bears", shown(rate));
        report.problem(option, what, format!("use a number such as {usual:?}").replace("0.0001", "1e-4"));
    } else if optimizer.sets_own_rates() {
        let text = match option {
            "learning_rate" => {
                "is only shown until the first step: AdaFactor with relative_step=True sets its own rates"
            }
            _ => "has no effect: AdaFactor with relative_step=True sets its own rates",
        };
        report.note(option, text);
    } else if rate as f32 == 0.0 {
        let remedy = format!("give a rate such as {usual:?}, or leave a part untrained with {without_it}")
            .replace("0.0001", "1e-4");
        report.problem(option, "nothing is learnt at rate 0", remedy);
    } else if optimizer.adapts() {
        if rate <= 0.1 {
            let text = format!("{rate} is too low for {name}, which multiplies it with a size it finds itself; use 1");
            report.note(option, text);
        } else if rate > 2.0 {
            let text =
                format!("{rate} is high for {name}, which multiplies it with a size it finds itself; 1 is usual");
            report.note(option, text);
        }
    } else if rate > 0.01 && !sgd {
        let text = format!("{rate} is far above what {name} bears and tends to end in noise; 1e-4 is usual");
        report.note(option, text);
    }
}

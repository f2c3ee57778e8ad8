//! Learning rates of UNet and text encoders: which are meant where some are not given, and what is said of them.

use super::optimizer::Optimizer;
use super::options::RawOptim;
use crate::model::Family;
use crate::network::Scope;
use crate::report::Report;

impl RawOptim {
    /// One value, or one for each text encoder.
    pub(crate) fn check_rate_count(&self, family: Option<Family>, report: &mut Report) {
        let given = self.text_encoder_lr.as_deref().map_or(0, <[f64]>::len);
        match family {
            Some(family @ (Family::Sd1 | Family::Sd2)) if given > 1 => {
                let name = if family == Family::Sd1 { "1.x" } else { "2.x" };
                let what = format!("several values are given, but Stable Diffusion {name} has one text encoder");
                report.problem("text_encoder_lr", what, "give one value");
            }
            _ if given > 2 => {
                let what = format!("{given} values are given, and SDXL has two text encoders");
                report.problem("text_encoder_lr", what, "give one value, or two");
            }
            _ => {}
        }
    }

    /// Learning rates of UNet and text encoders.
    pub(crate) fn rates(&self, scope: Scope, optimizer: &Optimizer, report: &mut Report) -> (f64, [f64; 2]) {
        // 0 for one of two text encoders leaves that one alone.
        let both = self.text_encoder_lr.clone().unwrap_or_default();
        let trained = |rate: &&f64| **rate != 0.0 || both.len() < 2;
        let text_encoder_lr = both.iter().find(trained).or(both.first()).copied();
        let parts = [
            ("unet_lr", self.unet_lr, scope != Scope::TextEncoderOnly, "--network_train_text_encoder_only"),
            ("text_encoder_lr", text_encoder_lr, scope != Scope::UnetOnly, "--network_train_unet_only"),
        ];
        let missing = self.learning_rate.is_none() && parts.iter().any(|(_, own, used, _)| *used && own.is_none());
        if missing && !optimizer.sets_own_rates() {
            report.note("learning_rate", default_rate_note(optimizer));
        }
        let base = self.learning_rate.unwrap_or(usual_rate(optimizer));
        let mut told = Vec::new();
        for (option, own, trained, other_only) in parts {
            let (source, rate) = own.map_or(("learning_rate", base), |own| (option, own));
            if !trained {
                if own.is_some() {
                    report.note(option, format!("has no effect with {other_only}: that part is not trained"));
                }
            } else if !told.contains(&source) {
                told.push(source);
                check_rate(source, rate, (optimizer, other_only), report);
            }
        }
        if self.learning_rate.is_some()
            && ![self.unet_lr, text_encoder_lr].iter().any(|own| own.is_none_or(|own| own == base))
        {
            report.note("learning_rate", "has no effect, because --unet_lr and --text_encoder_lr are both given");
        }
        let (unet, text) = (self.unet_lr.unwrap_or(base), text_encoder_lr.unwrap_or(base));
        if optimizer.adapts() && scope == Scope::Both && unet != text {
            let name = optimizer.name();
            let told = format!("{name} has one rate for all, and the text encoder's counts, {text}, as in sd-scripts");
            report.note("unet_lr", told);
            return (text, self.each(text, text));
        }
        if let [first, second] = both[..]
            && optimizer.adapts()
            && first != second
            && first != 0.0
            && second != 0.0
        {
            let told = format!("{} has one rate for all, and the first counts, {text}", optimizer.name());
            report.note("text_encoder_lr", told);
            return (unet, [text; 2]);
        }
        if let [_, second] = both[..]
            && scope != Scope::UnetOnly
            && second != 0.0
            && second != text
        {
            check_rate("text_encoder_lr", second, (optimizer, "--network_train_unet_only"), report);
        }
        (unet, self.each(text, *both.get(1).unwrap_or(&text)))
    }

    /// The rates of both text encoders where they are `first` and `second` unless one is to be left alone.
    fn each(&self, first: f64, second: f64) -> [f64; 2] {
        let off =
            |index: usize| self.text_encoder_lr.as_deref().is_some_and(|rates| rates.len() > 1 && rates[index] == 0.0);
        [if off(0) { 0.0 } else { first }, if off(1) { 0.0 } else { second }]
    }
}

/// sd-scripts' own default, 2e-6, comes from training whole models and teaches a LoRA next to nothing.
pub(crate) fn usual_rate(optimizer: &Optimizer) -> f64 {
    if optimizer.adapts() { 1.0 } else { 1e-4 }
}

fn default_rate_note(optimizer: &Optimizer) -> String {
    let (name, rate) = (optimizer.name(), usual_rate(optimizer));
    let instead = "(sd-scripts would use 2e-6, which hardly learns anything)";
    match optimizer.adapts() {
        true => format!("not given, so {rate} is used: {name} finds the size of its steps itself {instead}"),
        false => format!("not given, so {rate:e} is used, the usual rate with {name} {instead}"),
    }
}

fn check_rate(option: &str, rate: f64, (optimizer, other_only): (&Optimizer, &str), report: &mut Report) {
    let (name, usual) = (optimizer.name(), usual_rate(optimizer));
    let sgd = matches!(optimizer, Optimizer::SGDNesterov(_) | Optimizer::SGDNesterov8bit(_));
    if !(rate.is_finite() && rate >= 0.0) {
        report.problem(option, format!("{rate} is not a learning rate"), "use a number such as 1e-4");
    } else if optimizer.sets_own_rates() {
        let text = match option {
            "learning_rate" => {
                "is only shown until the first step: AdaFactor with relative_step=True sets its own rates"
            }
            _ => "has no effect: AdaFactor with relative_step=True sets its own rates",
        };
        report.note(option, text);
    } else if rate == 0.0 {
        let remedy = format!("give a rate such as {usual:?}, or leave a part untrained with {other_only}")
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

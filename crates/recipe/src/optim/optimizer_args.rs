//! From `--optimizer_type`, `--optimizer_args` and two old flags to one optimizer, by sd-scripts' rules.
//!
//! Learning rates and schedules, some of which depend on the optimizer, are in `mod.rs`.

use super::optimizer::Optimizer;
use super::options::RawOptim;
use crate::parse::names;
use crate::parse::pairs::Pairs;
use crate::report::Report;

/// Other names for the same thing, in lower case.
const ALIASES: [(&str, &str); 5] = [
    ("dadaptation", "DAdaptAdamPreprint"),
    ("pagedadamw", "AdamW"),
    ("pagedadamw32bit", "AdamW"),
    ("pagedadamw8bit", "AdamW8bit"),
    ("pagedlion8bit", "Lion8bit"),
];

/// Optimizers of sd-scripts that lorabake does not have, in lower case.
const OTHERS: [&str; 6] =
    ["dadaptadanip", "ademamix8bit", "pagedademamix8bit", "radamschedulefree", "adamwschedulefree", "sgdschedulefree"];

impl RawOptim {
    /// The optimizer with its settings; AdamW where the report has a problem.
    pub(crate) fn optimizer(&self, report: &mut Report) -> Optimizer {
        let Some(mut optimizer) = self.named(report) else { return Optimizer::AdamW(Default::default()) };
        let option = "optimizer_args";
        let owner = optimizer.name();
        let pairs = Pairs { option, owner, known: optimizer.keys(), unsupported: optimizer.unsupported() };
        for (key, text) in pairs.read(self.optimizer_args.as_ref(), report) {
            // Some write commas between the settings.
            let text = text.trim_end_matches(',');
            let before = optimizer.clone();
            if optimizer.set(key, text).is_none() {
                let example = before.settings().into_iter().find(|(name, _)| *name == key);
                let remedy =
                    example.map_or_else(String::new, |(name, value)| format!("write for instance {name}={value}"));
                report.problem(option, format!("{key}={text} makes no sense"), remedy);
                continue;
            }
            let value = optimizer.settings().into_iter().find(|(name, _)| *name == key).map(|(_, value)| value);
            if let Some(objection) = value.and_then(|value| optimizer.objection(key, &value)) {
                report.problem(option, format!("{key}={text} is refused by {owner}"), objection);
                optimizer = before;
            }
        }
        if let Optimizer::AdaFactor(own) = &mut optimizer
            && own.warmup_init
            && !own.relative_step
        {
            own.relative_step = true;
            report.note(option, "relative_step=True is used, because warmup_init=True needs it");
        }
        optimizer
    }

    /// The optimizer that is asked for, at its defaults.
    fn named(&self, report: &mut Report) -> Option<Optimizer> {
        let flags = [
            ("use_8bit_adam", self.use_8bit_adam, "AdamW8bit"),
            ("use_lion_optimizer", self.use_lion_optimizer, "Lion"),
        ];
        let mut asked = self.optimizer_type.as_deref().map(|name| ("optimizer_type", name));
        for (flag, on, meant) in flags {
            if on != Some(true) {
                continue;
            }
            if let Some((option, name)) = asked {
                let what = format!("it means {meant}, but --{option} asks for {name}");
                report.problem(flag, what, "leave one of them out");
                return None;
            }
            asked = Some((flag, meant));
        }
        let name = asked.map_or("AdamW", |(_, name)| name);
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("paged") {
            report.note("optimizer_type", "paging moves states out of GPU memory, and here there is only one memory");
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == lower).map(|(_, name)| *name);
        if let Some(optimizer) = Optimizer::named(alias.unwrap_or(name)) {
            return Some(optimizer);
        }
        let all = format!("use one of {}", Optimizer::NAMES.join(", "));
        if OTHERS.contains(&lower.as_str()) {
            let what = format!("{name} is known to sd-scripts, but lorabake does not have it");
            report.problem("optimizer_type", what, all);
            return None;
        }
        let remedy = match names::nearest_in(name, Optimizer::NAMES.iter().copied()) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => all,
        };
        report.problem("optimizer_type", format!("there is no optimizer called `{name}`"), remedy);
        None
    }
}

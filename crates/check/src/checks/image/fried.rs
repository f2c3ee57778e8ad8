//! `img.fried`: colours as a too high CFG makes them.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told, percentile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.fried",
        scope: Scope::Image,
        what: "colours that are far too strong, as a too high CFG makes them",
        thresholds: &[
            Threshold::new("saturation", 0.8, "a hint if the mean saturation (HSV) is higher"),
            Threshold::new("clipped", 0.15, "or a larger share of pixels is coloured and at the end of a channel"),
            Threshold::new("cfg", 7.0, "or the file says that it was painted with a higher CFG"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let all: Vec<f64> = set.measured().map(|(_, measures)| measures.saturation).collect();
    for (index, measures) in set.measured() {
        let cfg = measures.content.cfg.map(|cfg| f64::from(cfg) / 100.0);
        let told = match cfg {
            Some(cfg) if cfg > found.limit("cfg") => Told {
                number: cfg,
                threshold: found.limit("cfg"),
                sentence: format!("was painted with a CFG of {cfg}, from which colours bleed"),
                remedy: "paint it again with a CFG of 5 to 7".to_owned(),
                ..Told::default()
            },
            _ if measures.saturation > found.limit("saturation") => Told {
                number: measures.saturation,
                threshold: found.limit("saturation"),
                sentence: format!("has very strong colours: a mean saturation of {:.2}", measures.saturation),
                ..Told::default()
            },
            _ if measures.clipped > found.limit("clipped") => Told {
                number: measures.clipped,
                threshold: found.limit("clipped"),
                sentence: format!("{:.0} % of it has a colour at its very end", 100.0 * measures.clipped),
                ..Told::default()
            },
            _ => continue,
        };
        let remedy = match told.remedy.as_str() {
            "" => "leave it if the style is so; else weaken the colours or set it aside".to_owned(),
            own => own.to_owned(),
        };
        found.image(index, Told { percentile: percentile(&all, measures.saturation), remedy, ..told });
    }
}

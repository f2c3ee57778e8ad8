//! Words for what `inspect` has found: labels and values of its lines.

use lorabake_recipe::count;
use lorabake_weights::checkpoint::Prediction;
use lorabake_weights::inspect::{Fact, FileReport, Hashes, Ignored, LatentArray, Unused, Vectors};

/// One line: what it is about, and what there is to say.
pub struct Row {
    /// What the value is of.
    pub label: String,
    /// The value in words.
    pub value: String,
}

impl Row {
    /// A row of these words.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into() }
    }
}

/// What the UNet predicts.
pub fn prediction(prediction: Prediction) -> &'static str {
    match prediction {
        Prediction::Epsilon => "epsilon",
        Prediction::V { zero_terminal_snr: false } => "v",
        Prediction::V { zero_terminal_snr: true } => "v, zero terminal SNR",
    }
}

/// Hashes by the names under which web UIs show them.
pub fn hashes(hashes: &Hashes) -> Vec<Row> {
    let mut rows = vec![Row::new("AutoV1", &hashes.legacy)];
    if let Some(sha256) = &hashes.sha256 {
        rows.push(Row::new("AutoV2", &sha256[..10]));
        rows.push(Row::new("SHA-256", sha256));
    }
    if let Some(recorded) = &hashes.recorded_tensors {
        let agreement = match &hashes.tensors {
            Some(tensors) if tensors == recorded => "; the tensors agree with it",
            Some(_) => "; the tensors differ: they were changed since",
            None => "",
        };
        rows.push(Row::new("sshs_model_hash", format!("{recorded}{agreement}")));
        rows.push(Row::new("web UI's LoRA hash", recorded.chars().take(12).collect::<String>()));
    } else if let Some(tensors) = &hashes.tensors {
        rows.push(Row::new("AutoV3", &tensors[..12]));
    }
    if let Some(recorded) = &hashes.recorded_legacy {
        rows.push(Row::new("sshs_legacy_hash", recorded));
    }
    if hashes.sha256.is_none() {
        rows.push(Row::new("other hashes", "need the whole file to be read; use --hash"));
    }
    rows
}

/// The contents of embeddings and latents, and all that is known of a training.
pub fn training(report: &FileReport) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(report.vectors.iter().map(vectors));
    rows.extend(report.arrays.iter().map(array));
    rows.extend(report.training.iter().map(fact));
    if let Some(seconds) = report.training_seconds {
        rows.push(Row::new("took", format!("{seconds:.0} s")));
    }
    rows
}

fn vectors(vectors: &Vectors) -> Row {
    let Vectors { encoder, count, width } = vectors;
    match encoder {
        Some(encoder) => Row::new("vectors", format!("{count} of {width} numbers for {encoder}")),
        None => Row::new("vectors", format!("{count} of {width} numbers")),
    }
}

fn array(array: &LatentArray) -> Row {
    match &array.shape {
        Some(shape) => Row::new(&array.name, format!("{shape:?}")),
        None => Row::new(&array.name, "other numbers"),
    }
}

fn fact(fact: &Fact) -> Row {
    // Where the name promises two values, a missing one has to keep its place.
    let gap = if fact.what.contains(" / ") { Some("-") } else { None };
    let mut shown = Vec::new();
    for value in &fact.values {
        shown.extend(value.as_deref().or(gap));
    }
    Row::new(fact.what, shown.join(" / "))
}

/// What a program leaves unused.
pub fn ignored(ignored: &Ignored) -> Row {
    Row::new(format!("unused by {}", ignored.host), unused(ignored.host, &ignored.what))
}

fn unused(host: &str, what: &Unused) -> String {
    match what {
        Unused::OtherNames if host == "sd-scripts" => "all of it: networks.lora reads kohya's names only".into(),
        Unused::OtherNames => "all of it: it reads kohya's names only".into(),
        Unused::WholeWeights => "all of it: it refuses files with whole weights (set_weight)".into(),
        Unused::Algorithms(names) => {
            let names = names.join(", ");
            match host {
                "ComfyUI" => format!("{names}: it has no effect there"),
                "sd-scripts" => {
                    format!("{names}: networks.lora reads only LoRA; LyCORIS' lycoris.kohya reads them")
                }
                _ => format!("{names}: only LoRA is read"),
            }
        }
        Unused::Tucker => "lora_mid (Tucker form): it is not read".into(),
        Unused::DoraScale => "dora_scale: networks.lora does not read it; LyCORIS does".into(),
        Unused::DoraOfInputs => {
            "nothing, but it divides by norms of inputs where these dora_scale are of outputs: what \
                                 it paints differs"
                .into()
        }
        Unused::LycorisModules(tensors) => {
            format!("{} of modules called lycoris_…: it knows no such layers", count(*tensors, "tensor"))
        }
        Unused::BundledEmbeddings(tensors) => format!("{} of bundled embeddings", count(*tensors, "tensor")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(row: &Row) -> String {
        format!("{}: {}", row.label, row.value)
    }

    fn hashes_of(tensors: Option<&str>, recorded: Option<&str>) -> Vec<String> {
        let found = Hashes {
            legacy: "01234567".into(),
            sha256: tensors.map(|_| "0123456789abcdef".into()),
            tensors: tensors.map(str::to_owned),
            recorded_tensors: recorded.map(str::to_owned),
            recorded_legacy: None,
        };
        hashes(&found).iter().map(line).collect()
    }

    #[test]
    fn hashes_have_the_names_of_web_uis() {
        let own = "fedcba9876543210";
        let whole = ["AutoV1: 01234567", "AutoV2: 0123456789", "SHA-256: 0123456789abcdef"];
        assert_eq!(hashes_of(Some(own), None)[..], [&whole[..], &["AutoV3: fedcba987654"]].concat());
        let agrees = "sshs_model_hash: fedcba9876543210; the tensors agree with it";
        assert_eq!(hashes_of(Some(own), Some(own))[3..], [agrees, "web UI's LoRA hash: fedcba987654"]);
        assert!(hashes_of(Some(own), Some("other"))[3].ends_with("other; the tensors differ: they were changed since"));
        let last = "other hashes: need the whole file to be read; use --hash";
        assert_eq!(hashes_of(None, Some("x")), [whole[0], "sshs_model_hash: x", "web UI's LoRA hash: x", last]);
    }

    #[test]
    fn a_missing_value_keeps_its_place() {
        let of = |what, values: &[Option<&str>]| {
            line(&fact(&Fact { what, values: values.iter().map(|value| value.map(str::to_owned)).collect() }))
        };
        assert_eq!(of("UNet / text encoder", &[None, Some("0.0005")]), "UNet / text encoder: - / 0.0005");
        assert_eq!(of("base model", &[None, Some("4bdfc29c")]), "base model: 4bdfc29c");
        assert_eq!(of("base model", &[Some("v1-5"), Some("4bdfc29c")]), "base model: v1-5 / 4bdfc29c");
    }

    #[test]
    fn embeddings_and_latents_are_told_by_their_shapes() {
        let of = |encoder| line(&vectors(&Vectors { encoder, count: 3, width: 1280 }));
        assert_eq!(of(Some("clip_g")), "vectors: 3 of 1280 numbers for clip_g");
        assert_eq!(of(None), "vectors: 3 of 1280 numbers");
        let of = |shape| line(&array(&LatentArray { name: "latents".into(), shape }));
        assert_eq!((of(Some(vec![4, 8])), of(None)), ("latents: [4, 8]".into(), "latents: other numbers".into()));
    }

    #[test]
    fn what_programs_leave_unused_has_a_reason() {
        for (host, what, expected) in [
            ("ComfyUI", Unused::Algorithms(vec!["IA3"]), "IA3: it has no effect there"),
            ("diffusers", Unused::Algorithms(vec!["LoHa", "OFT"]), "LoHa, OFT: only LoRA is read"),
            ("web UI", Unused::OtherNames, "all of it: it reads kohya's names only"),
            ("sd-scripts", Unused::OtherNames, "all of it: networks.lora reads kohya's names only"),
            ("web UI", Unused::LycorisModules(2), "2 tensors of modules called lycoris_…: it knows no such layers"),
            ("sd-scripts", Unused::BundledEmbeddings(1), "1 tensor of bundled embeddings"),
        ] {
            let row = ignored(&Ignored { host, what });
            assert_eq!((row.label, row.value.as_str()), (format!("unused by {host}"), expected));
        }
        assert!(
            unused("web UI", &Unused::DoraOfInputs)
                .ends_with("where these dora_scale are of outputs: what it paints differs")
        );
    }
}

//! DyLoRAs cut to their first ranks, each of which was trained to be used alone.

use std::path::Path;
use std::str::FromStr;

use lorabake_weights::lora::NetTensors;
use safetensors::Dtype;

use super::{dtype_of, embeddings};
use crate::error::{Error, Result};
use crate::kind::{Change, Factors};
use crate::lora_file::{self, Form, Ready};
use crate::net;
use crate::output::Output;

/// How strong the ranks of a DyLoRA are once they stand alone; r of them, of R.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DyloraScale {
    /// As the training ran them: alpha·√(r/R) over r.
    #[default]
    Train,
    /// As they are inside the whole file: alpha ÷ R.
    File,
    /// As sd-scripts' `extract_lora_from_dylora.py` writes them, with the alpha of the whole: R/r times as strong as inside.
    Kohya,
}

impl FromStr for DyloraScale {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        match name {
            "train" => Ok(Self::Train),
            "file" => Ok(Self::File),
            "kohya" => Ok(Self::Kohya),
            _ => Err("write train, file or kohya".into()),
        }
    }
}

impl DyloraScale {
    fn alpha(self, alpha: f64, rank: usize, whole: usize) -> f64 {
        let share = rank as f64 / whole as f64;
        match self {
            Self::Train => alpha * share.sqrt(),
            Self::File => alpha * share,
            Self::Kohya => alpha,
        }
    }
}

/// Writes the first `rank` ranks of the DyLoRA at `path`; modules with fewer keep theirs.
///
/// # Errors
/// When it cannot be read, is no LoRA or says that it is no DyLoRA, or the result cannot be written.
pub fn cut_dylora(path: &Path, rank: usize, scale: DyloraScale, output: &Output) -> Result<Vec<String>> {
    output.check(&[path])?;
    let net = net::open(path, None)?;
    let notes = told(&net)?;
    let dtype: Dtype = dtype_of(&net, output);
    let mut ready = Vec::new();
    let mut most = 0;
    for name in net.modules() {
        let module = net::module(&net, name, None)?;
        let (Some(Change::LowRank(factors)), None) = (&module.change, &module.dora) else {
            let what = format!("{name} is a {}, which has no ranks to cut", module.kind());
            return Err(Error::wrong(net.label(), what, "give a DyLoRA or a LoRA"));
        };
        let whole = factors.rank();
        most = most.max(whole);
        let rank = rank.min(whole);
        let alpha = scale.alpha(factors.scale * whole as f64, rank, whole);
        let cut = Factors {
            up: factors.up.first_columns(rank),
            down: factors.down.first_rows(rank),
            scale: alpha / rank as f64,
        };
        let mut form = Form::of(net.shape(name, "lora_down.weight").unwrap_or_default());
        if module.shape.taps > 1 && !form.is_wide() {
            form = Form::guessed(module.shape.inputs, module.shape.taps);
        }
        ready.push(Ready::low_rank(name, &cut, form, dtype));
    }
    ready.push(embeddings(&net, dtype)?);
    let mut metadata = net.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("sshs_") && key != "modelspec.hash_sha256");
    let comment = metadata.get("ss_training_comment").cloned().unwrap_or_default();
    metadata.insert(
        "ss_training_comment".into(),
        format!("split from DyLoRA, rank {most} to {}; {comment}", rank.min(most)),
    );
    metadata.insert("ss_network_dim".into(), rank.min(most).to_string());
    metadata.insert("ss_network_module".into(), "networks.lora".into());
    lora_file::save(output, ready, metadata)?;
    Ok(notes)
}

/// What the user should know of a file that does not say that it is a DyLoRA.
///
/// # Errors
/// When it says that it is something else.
fn told(net: &NetTensors) -> Result<Vec<String>> {
    let says = |key: &str| net.metadata().get(key).map(|text| text.to_lowercase()).unwrap_or_default();
    let module = says("ss_network_module");
    if module.contains("dylora") || says("ss_network_args").contains("dylora") {
        return Ok(Vec::new());
    }
    if module.is_empty() {
        let label = net.label();
        return Ok(vec![format!("{label} does not say what it is; only a DyLoRA's first ranks mean something alone")]);
    }
    let what = "it says that it is no DyLoRA, so that its first ranks mean nothing alone";
    Err(Error::wrong(net.label(), what, "leave --dylora out, which makes the best LoRA of that rank"))
}

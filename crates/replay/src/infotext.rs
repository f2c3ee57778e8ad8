//! `infotext/`: the text that a picture keeps, written and read.

use std::fmt;
use std::fs;
use std::marker::PhantomData;

use anyhow::{Context, Result};
use lorabake_generate::png_text::{Entries, Fields, Value, Variation, parse, quote, unquote};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

use crate::pack::Pack;
use crate::verdict::{Case, same};

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("infotext/quote.json")?.iter().enumerate() {
        let typed = value(&case["in"]).context("quote.json has a case without input")?.to_string();
        let quoted = quote(&typed);
        let result = same(&quoted.as_str(), &text(&case["quoted"]))
            .and_then(|()| same(&unquote(&quoted).as_str(), &text(&case["unquoted"])));
        cases.push(Case::of(format!("quote.json {index}"), result));
    }
    for (index, case) in pack.cases("infotext/parse.json")?.iter().enumerate() {
        cases.push(Case::of(format!("parse.json {index}"), reading(text(&case["text"]), &case["parsed"])));
    }
    if pack.has("infotext/round_trip.json") {
        let content = fs::read_to_string(pack.path("infotext/round_trip.json"))?;
        let file: RoundTrips = serde_json::from_str(&content).context("round_trip.json")?;
        for (index, case) in file.cases.iter().enumerate() {
            let said = Said { own: &case.fields, defaults: &file.defaults };
            let written = same(&said.fields()?.text(), &case.text);
            let result = written.and_then(|()| reading(&case.text, &case.parsed));
            cases.push(Case::of(format!("round_trip.json {index}"), result));
        }
    }
    Ok(cases)
}

fn reading(text: &str, recorded: &Json) -> Result<(), String> {
    let mut ours = serde_json::Map::new();
    for entry in &parse(text).all {
        let value = match &entry.value {
            Value::Text(text) => text.as_str().into(),
            Value::Whole(whole) => (*whole).into(),
            Value::Float(float) => (*float).into(),
            Value::Flag(flag) => (*flag).into(),
        };
        ours.insert(entry.key.clone(), value);
    }
    same(&Json::Object(ours), recorded)
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

fn value(json: &Json) -> Option<Value> {
    match json {
        Json::String(text) => Some(text.as_str().into()),
        Json::Bool(flag) => Some((*flag).into()),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Some(whole.into()),
            None => number.as_f64().map(Value::Float),
        },
        _ => None,
    }
}

#[derive(serde::Deserialize)]
struct RoundTrips {
    defaults: InOrder<Node>,
    cases: Vec<RoundTrip>,
}

#[derive(serde::Deserialize)]
struct RoundTrip {
    fields: InOrder<Node>,
    text: String,
    parsed: Json,
}

/// A recorded field.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Node {
    Extra(InOrder<Json>),
    Plain(Json),
}

/// An object whose keys keep their order, which is that of the written text.
struct InOrder<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = InOrder<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(InOrder(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

/// Fields of a case over those that all have.
struct Said<'a> {
    own: &'a InOrder<Node>,
    defaults: &'a InOrder<Node>,
}

impl Said<'_> {
    fn node(&self, key: &str) -> Option<&Node> {
        let in_order = self.own.0.iter().chain(&self.defaults.0);
        in_order.filter(|(name, _)| name == key).map(|(_, node)| node).next()
    }

    fn value(&self, key: &str) -> Option<Value> {
        match self.node(key)? {
            Node::Plain(json) => value(json),
            Node::Extra(_) => None,
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        self.value(key).map(|value| value.to_string())
    }

    fn whole(&self, key: &str) -> Result<i64> {
        self.value(key).as_ref().and_then(Value::whole).with_context(|| format!("round_trip.json: {key}"))
    }

    fn is(&self, key: &str) -> bool {
        self.value(key).as_ref().and_then(Value::flag) == Some(true)
    }

    fn fields(&self) -> Result<Fields> {
        let mut extra = Entries::default();
        if let Some(Node::Extra(pairs)) = self.node("extra") {
            for (key, json) in &pairs.0 {
                if let Some(value) = value(json) {
                    extra.put(key, value);
                }
            }
        }
        let side = |key| self.whole(key).map(|side| side as usize);
        let face_restoration = if self.is("restore_faces") { Some("CodeFormer".to_owned()) } else { None };
        let strength = self.value("subseed_strength").context("round_trip.json: subseed_strength")?;
        Ok(Fields {
            prompt: self.text("prompt").unwrap_or_default(),
            negative_prompt: self.text("negative").unwrap_or_default(),
            steps: self.whole("steps")?,
            sampler: self.text("sampler_name").unwrap_or_default(),
            scheduler: self.text("scheduler"),
            cfg_scale: self.value("cfg_scale").context("round_trip.json: cfg_scale")?,
            image_cfg_scale: self.value("image_cfg_scale"),
            seed: self.whole("seed")? as u64,
            face_restoration,
            size: [side("width")?, side("height")?],
            model_hash: self.text("sd_model_hash"),
            model: self.text("sd_model_name"),
            vae_hash: self.text("sd_vae_hash"),
            vae: self.text("sd_vae_name"),
            variation: Some(Variation { seed: self.whole("subseed")? as u64, strength }),
            seed_resize_from: Some([side("seed_resize_from_w")?, side("seed_resize_from_h")?]),
            denoising_strength: None,
            conditional_mask_weight: if self.is("inpaint_cond") { Some(Value::Float(1.0)) } else { None },
            clip_skip: self.whole("clip_skip")?,
            seed_delta: self.whole("ensd")?,
            token_merging: self.value("tmr"),
            hires_token_merging: if self.is("enable_hr") { self.value("tmr_hr") } else { None },
            init_image_hash: self.text("init_img_hash"),
            rng: self.text("rng").unwrap_or_default(),
            tiling: self.is("tiling"),
            extra,
            version: self.text("version"),
        })
    }
}

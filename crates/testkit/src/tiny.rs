//! Tiny checkpoints: the file of SD1.x; SD2.x and SDXL made on the spot, with all the keys that real files have and a few
//! numbers behind each. Their values are a function of name and place; `examples/tiny_checkpoints.rs` writes them for the
//! oracle.
//!
//! Widths are the least that 32 groups allow, heads are 8 wide. The vocabulary is whole, because token ids are.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

const UNET: &str = "model.diffusion_model";
const VAE: &str = "first_stage_model";
/// The file of SD1.x in toy widths.
pub const SD15: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny/sd15_tiny.safetensors");
/// The option that trains from it.
pub const USE_SD15: &str =
    concat!("--pretrained_model_name_or_path=", env!("CARGO_MANIFEST_DIR"), "/../../models/tiny/sd15_tiny.safetensors");
/// Width of all text encoders.
const TEXT: usize = 8;
/// Width of the VAE.
const PIXELS: usize = 32;

/// SD2.x: four levels of one transformer layer, OpenCLIP with 24 layers.
pub fn sd2() -> Vec<u8> {
    sd2_with_metadata(&[])
}

/// SDXL: three levels of 0, 2 and 3 transformer layers, CLIP and OpenCLIP.
pub fn sdxl() -> Vec<u8> {
    sdxl_with(&[])
}

/// SDXL with further keys of one number each, such as `v_pred`.
pub fn sdxl_with(more: &[&str]) -> Vec<u8> {
    let mut keys = Keys::default();
    let vector = Some(TEXT + 6 * 256);
    keys.unet(&Shape { widths: &[32, 64, 32], depths: &[0, 2, 3], middle: 3, context: 2 * TEXT, vector });
    keys.vae();
    keys.clip("conditioner.embedders.0.transformer.text_model", 3);
    keys.open_clip("conditioner.embedders.1.model", 4);
    more.iter().for_each(|key| keys.put(key, &[1]));
    keys.file(&[])
}

/// SD2.x with metadata of its own.
pub fn sd2_with_metadata(metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut keys = Keys::default();
    keys.unet(&Shape { widths: &[32, 64, 32, 32], depths: &[1, 1, 1, 0], middle: 1, context: TEXT, vector: None });
    keys.vae();
    keys.open_clip("cond_stage_model.model", 24);
    keys.file(metadata)
}

/// A UNet's shape.
struct Shape<'a> {
    widths: &'a [usize],
    /// Transformer layers of each level.
    depths: &'a [usize],
    /// Those of the middle.
    middle: usize,
    context: usize,
    /// Width of what is added to the time embedding.
    vector: Option<usize>,
}

/// The keys and shapes so far.
#[derive(Default)]
struct Keys(Vec<(String, Vec<usize>)>);

impl Keys {
    fn put(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_string(), shape.to_vec()));
    }

    fn linear(&mut self, path: &str, [inputs, outputs]: [usize; 2]) {
        self.put(&format!("{path}.weight"), &[outputs, inputs]);
        self.put(&format!("{path}.bias"), &[outputs]);
    }

    fn conv(&mut self, path: &str, [inputs, outputs]: [usize; 2], kernel: usize) {
        self.put(&format!("{path}.weight"), &[outputs, inputs, kernel, kernel]);
        self.put(&format!("{path}.bias"), &[outputs]);
    }

    fn norm(&mut self, path: &str, width: usize) {
        self.put(&format!("{path}.weight"), &[width]);
        self.put(&format!("{path}.bias"), &[width]);
    }

    fn unet(&mut self, shape: &Shape<'_>) {
        let first = shape.widths[0];
        let time = 4 * first;
        self.linear(&format!("{UNET}.time_embed.0"), [first, time]);
        self.linear(&format!("{UNET}.time_embed.2"), [time, time]);
        if let Some(vector) = shape.vector {
            self.linear(&format!("{UNET}.label_emb.0.0"), [vector, time]);
            self.linear(&format!("{UNET}.label_emb.0.2"), [time, time]);
        }
        self.conv(&format!("{UNET}.input_blocks.0.0"), [4, first], 3);
        let (mut skips, mut current, mut block) = (vec![first], first, 1);
        for (level, width) in shape.widths.iter().enumerate() {
            for _ in 0..2 {
                self.resnet(&format!("{UNET}.input_blocks.{block}.0"), [current, *width], time);
                self.transformer(&format!("{UNET}.input_blocks.{block}.1"), *width, shape.depths[level], shape.context);
                current = *width;
                skips.push(current);
                block += 1;
            }
            if level + 1 < shape.widths.len() {
                self.conv(&format!("{UNET}.input_blocks.{block}.0.op"), [current, current], 3);
                skips.push(current);
                block += 1;
            }
        }
        self.resnet(&format!("{UNET}.middle_block.0"), [current, current], time);
        self.transformer(&format!("{UNET}.middle_block.1"), current, shape.middle, shape.context);
        self.resnet(&format!("{UNET}.middle_block.2"), [current, current], time);
        for (block, level) in (0..shape.widths.len()).rev().flat_map(|level| [level; 3]).enumerate() {
            let (path, width, depth) =
                (format!("{UNET}.output_blocks.{block}"), shape.widths[level], shape.depths[level]);
            self.resnet(&format!("{path}.0"), [current + skips.pop().unwrap(), width], time);
            self.transformer(&format!("{path}.1"), width, depth, shape.context);
            current = width;
            if block % 3 == 2 && level > 0 {
                let slot = if depth > 0 { 2 } else { 1 };
                self.conv(&format!("{path}.{slot}.conv"), [current, current], 3);
            }
        }
        self.norm(&format!("{UNET}.out.0"), first);
        self.conv(&format!("{UNET}.out.2"), [first, 4], 3);
    }

    fn resnet(&mut self, path: &str, [inputs, outputs]: [usize; 2], time: usize) {
        self.norm(&format!("{path}.in_layers.0"), inputs);
        self.conv(&format!("{path}.in_layers.2"), [inputs, outputs], 3);
        self.linear(&format!("{path}.emb_layers.1"), [time, outputs]);
        self.norm(&format!("{path}.out_layers.0"), outputs);
        self.conv(&format!("{path}.out_layers.3"), [outputs, outputs], 3);
        if inputs != outputs {
            self.conv(&format!("{path}.skip_connection"), [inputs, outputs], 1);
        }
    }

    fn transformer(&mut self, path: &str, width: usize, depth: usize, context: usize) {
        if depth == 0 {
            return;
        }
        self.norm(&format!("{path}.norm"), width);
        self.linear(&format!("{path}.proj_in"), [width, width]);
        for layer in 0..depth {
            let layer = format!("{path}.transformer_blocks.{layer}");
            for (attention, source) in [("attn1", width), ("attn2", context)] {
                self.put(&format!("{layer}.{attention}.to_q.weight"), &[width, width]);
                self.put(&format!("{layer}.{attention}.to_k.weight"), &[width, source]);
                self.put(&format!("{layer}.{attention}.to_v.weight"), &[width, source]);
                self.linear(&format!("{layer}.{attention}.to_out.0"), [width, width]);
            }
            self.linear(&format!("{layer}.ff.net.0.proj"), [width, 8 * width]);
            self.linear(&format!("{layer}.ff.net.2"), [4 * width, width]);
            (1..=3).for_each(|norm| self.norm(&format!("{layer}.norm{norm}"), width));
        }
        self.linear(&format!("{path}.proj_out"), [width, width]);
    }

    fn vae(&mut self) {
        let square = [PIXELS, PIXELS];
        for (half, [inputs, outputs]) in [("encoder", [3, 8]), ("decoder", [4, 3])] {
            let path = format!("{VAE}.{half}");
            self.conv(&format!("{path}.conv_in"), [inputs, PIXELS], 3);
            let (direction, blocks) = if half == "encoder" { ("down", 1) } else { ("up", 2) };
            for level in 0..4 {
                let level_path = format!("{path}.{direction}.{level}");
                (0..blocks).for_each(|block| self.vae_block(&format!("{level_path}.block.{block}")));
                if level != if half == "encoder" { 3 } else { 0 } {
                    self.conv(&format!("{level_path}.{direction}sample.conv"), square, 3);
                }
            }
            self.vae_block(&format!("{path}.mid.block_1"));
            self.norm(&format!("{path}.mid.attn_1.norm"), PIXELS);
            ["q", "k", "v", "proj_out"].iter().for_each(|part| {
                self.conv(&format!("{path}.mid.attn_1.{part}"), square, 1);
            });
            self.vae_block(&format!("{path}.mid.block_2"));
            self.norm(&format!("{path}.norm_out"), PIXELS);
            self.conv(&format!("{path}.conv_out"), [PIXELS, outputs], 3);
        }
        self.conv(&format!("{VAE}.quant_conv"), [8, 8], 1);
        self.conv(&format!("{VAE}.post_quant_conv"), [4, 4], 1);
    }

    fn vae_block(&mut self, path: &str) {
        for part in ["1", "2"] {
            self.norm(&format!("{path}.norm{part}"), PIXELS);
            self.conv(&format!("{path}.conv{part}"), [PIXELS, PIXELS], 3);
        }
    }

    fn clip(&mut self, path: &str, layers: usize) {
        self.put(&format!("{path}.embeddings.token_embedding.weight"), &[49408, TEXT]);
        self.put(&format!("{path}.embeddings.position_embedding.weight"), &[77, TEXT]);
        for layer in 0..layers {
            let layer = format!("{path}.encoder.layers.{layer}");
            ["q_proj", "k_proj", "v_proj", "out_proj"].iter().for_each(|part| {
                self.linear(&format!("{layer}.self_attn.{part}"), [TEXT, TEXT]);
            });
            self.linear(&format!("{layer}.mlp.fc1"), [TEXT, 4 * TEXT]);
            self.linear(&format!("{layer}.mlp.fc2"), [4 * TEXT, TEXT]);
            self.norm(&format!("{layer}.layer_norm1"), TEXT);
            self.norm(&format!("{layer}.layer_norm2"), TEXT);
        }
        self.norm(&format!("{path}.final_layer_norm"), TEXT);
    }

    fn open_clip(&mut self, path: &str, layers: usize) {
        self.put(&format!("{path}.token_embedding.weight"), &[49408, TEXT]);
        self.put(&format!("{path}.positional_embedding"), &[77, TEXT]);
        self.put(&format!("{path}.text_projection"), &[TEXT, TEXT]);
        self.put(&format!("{path}.logit_scale"), &[]);
        for layer in 0..layers {
            let layer = format!("{path}.transformer.resblocks.{layer}");
            self.put(&format!("{layer}.attn.in_proj_weight"), &[3 * TEXT, TEXT]);
            self.put(&format!("{layer}.attn.in_proj_bias"), &[3 * TEXT]);
            self.linear(&format!("{layer}.attn.out_proj"), [TEXT, TEXT]);
            self.linear(&format!("{layer}.mlp.c_fc"), [TEXT, 4 * TEXT]);
            self.linear(&format!("{layer}.mlp.c_proj"), [4 * TEXT, TEXT]);
            self.norm(&format!("{layer}.ln_1"), TEXT);
            self.norm(&format!("{layer}.ln_2"), TEXT);
        }
        self.norm(&format!("{path}.ln_final"), TEXT);
    }

    /// The file.
    fn file(&self, metadata: &[(&str, &str)]) -> Vec<u8> {
        let tensors: Vec<(&str, &[usize], Vec<u8>)> =
            self.0.iter().map(|(name, shape)| (name.as_str(), shape.as_slice(), bytes(name, shape))).collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("bytes fit the shape"))
        });
        let metadata: HashMap<String, String> = metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        safetensors::serialize(views, (!metadata.is_empty()).then_some(metadata)).expect("serializes")
    }
}

/// Values as f32: matrices halve the size of what goes through them, so that narrow norms do not blow rounding up; norms
/// are about 1, biases about 0.
fn bytes(name: &str, shape: &[usize]) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let (middle, spread) = match shape {
        [_, _] if name.contains("embedding") => (0.0, 0.5),
        [_, inner @ ..] if !inner.is_empty() => (0.0, (0.75 / inner.iter().product::<usize>() as f64).sqrt()),
        _ if name.ends_with("weight") => (1.0, 0.2),
        _ => (0.0, 0.2),
    };
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (0..count as u64)
        .flat_map(|index| ((middle + spread * unit(seed.wrapping_add(index))) as f32).to_le_bytes())
        .collect()
}

/// A number from −1 to 1 (SplitMix64).
fn unit(state: u64) -> f64 {
    let mut bits = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
}

//! A small file has no large cost: memory and time of every reader are bounded by the size of its file, whatever the file
//! claims. A program of its own, because it has an allocator of its own. The bounds are listed in docs/decisions.md.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use lorabake_testkit::counting_allocator::{CountingAllocator, alone, peak_of};
use lorabake_weights::formats::npz::Npz;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::inspect::inspect;
use lorabake_weights::lora::LoraFile;
use lorabake_weights::{Checkpoint, Loader, Part};
use rawzip::{CompressionMethod, ZipArchiveWriter};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What any file may take: buffers for hashes, threads, the first look at a file.
const FREE: usize = 8 << 20;
/// Longest that a reader may take for the files of these tests.
const TIME: Duration = Duration::from_secs(10);

struct Input {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Input {
    fn new(name: &'static str, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
        Self { folder, name }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// Does `work` with the file; its memory may be `factor` times the file, beside [`FREE`].
    #[track_caller]
    fn costs<T>(&self, factor: usize, work: impl FnOnce(&Path) -> T) -> T {
        let path = self.path();
        let size = std::fs::metadata(&path).unwrap().len() as usize;
        let start = Instant::now();
        let measured = peak_of(|| work(&path));
        let took = start.elapsed();
        let bound = factor * size + FREE;
        assert!(measured.bytes <= bound, "{} bytes for a file of {size}: more than {bound}", measured.bytes);
        assert!(took <= TIME, "{took:?} for a file of {size} bytes");
        measured.value
    }
}

/// Tensors of zeros.
fn safetensors(tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let mut views = Vec::new();
    for (name, dtype, shape) in tensors {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        views.push((*name, TensorView::new(*dtype, shape.to_vec(), &zeros[..bytes]).unwrap()));
    }
    safetensors::serialize(views, None).unwrap()
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, data) in entries {
        let (mut entry, config) = archive.new_file(name).compression_method(CompressionMethod::STORE).start().unwrap();
        let mut out = config.wrap(&mut entry);
        out.write_all(data).unwrap();
        let (_, descriptor) = out.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap()
}

/// Ranks, middles and sides that a file only claims.
#[test]
fn the_changes_of_a_lora_are_measured_in_little_memory() {
    let _alone = alone();
    let lora = |tensors: &[(&str, &[usize])]| {
        let names: Vec<String> = tensors.iter().map(|(name, _)| format!("lora_unet_a.{name}")).collect();
        let mut sized = Vec::new();
        for (name, (_, shape)) in names.iter().zip(tensors) {
            sized.push((name.as_str(), Dtype::F8_E4M3, *shape));
        }
        Input::new("m.safetensors", &safetensors(&sized))
    };
    for (tensors, measured) in [
        (&[("lora_down.weight", &[80_000, 1][..]), ("lora_up.weight", &[1, 1])][..], false),
        (&[("lora_down.weight", &[12_000, 1]), ("lora_up.weight", &[1, 12_000])], true),
        (&[("lora_down.weight", &[500_000, 1]), ("lora_up.weight", &[1, 500_000])], true),
        (&[("lora_down.weight", &[1, 500_000]), ("lora_up.weight", &[500_000, 1])], true),
        (&[("lora_down.weight", &[1, 1]), ("lora_up.weight", &[1_000_000, 1])], true),
        (&[("lora_down.weight", &[1000, 1000]), ("lora_up.weight", &[1000, 1000])], true),
        (
            &[
                ("lora_down.weight", &[1, 200_000]),
                ("lora_up.weight", &[4, 200_000]),
                ("lora_mid.weight", &[200_000, 1, 1, 1]),
            ],
            false,
        ),
        (
            &[
                ("hada_w1_a", &[200_000, 1]),
                ("hada_w1_b", &[1, 200_000]),
                ("hada_w2_a", &[200_000, 1]),
                ("hada_w2_b", &[1, 200_000]),
            ],
            false,
        ),
        (&[("lokr_w1_a", &[1, 300_000]), ("lokr_w1_b", &[300_000, 1]), ("lokr_w2", &[300_000, 1])], true),
    ] {
        let input = lora(tensors);
        let report = input.costs(32, |path| inspect(path, true).unwrap());
        assert_eq!(report.adapter.unwrap().changes.len(), usize::from(measured), "{tensors:?}");
        let _ = input.costs(32, LoraFile::open);
    }
}

#[test]
fn many_names_cost_no_more_than_their_length() {
    let _alone = alone();
    for start in [
        "model.diffusion_model.input_blocks.999.0.in_layers.0.",
        "model.diffusion_model.output_blocks.999.1.transformer_blocks.",
        "down_blocks.999.resnets.999.",
        "first_stage_model.decoder.up.999.block.0.",
        "lora_unet_down_blocks_0_attentions_0_proj_in",
        "a",
    ] {
        let names: Vec<String> = (0..20_000).map(|n| format!("{start}{n}")).collect();
        let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), Dtype::F32, [0].as_slice())).collect();
        let input = Input::new("m.safetensors", &safetensors(&tensors));
        input.costs(32, |path| TensorFile::open(path).unwrap());
        input.costs(64, |path| inspect(path, true).unwrap());
        let _ = input.costs(64, Checkpoint::open);
        let _ = input.costs(64, LoraFile::open);
    }
    let many: Vec<String> = (0..200_001).map(|n| n.to_string()).collect();
    let tensors: Vec<_> = many.iter().map(|name| (name.as_str(), Dtype::F32, [0].as_slice())).collect();
    let input = Input::new("m.safetensors", &safetensors(&tensors));
    let message = input.costs(32, |path| TensorFile::open(path).unwrap_err().to_string());
    assert!(message.contains("far more than any model"), "{message}");
}

/// A checkpoint whose first tensor of a layer is large on paper, and the others missing.
#[test]
fn what_is_missing_takes_no_memory() {
    let _alone = alone();
    let width = 1 << 19;
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    for block in 1..12 {
        tensors.push((format!("model.diffusion_model.input_blocks.{block}.0.in_layers.2.weight"), vec![width, 1]));
    }
    tensors.push(("first_stage_model.encoder.a".into(), vec![1]));
    tensors.push(("first_stage_model.decoder.a".into(), vec![1]));
    tensors.push(("cond_stage_model.transformer.a".into(), vec![1]));
    let sized: Vec<_> = tensors.iter().map(|(name, shape)| (name.as_str(), Dtype::F8_E4M3, shape.as_slice())).collect();
    let input = Input::new("m.safetensors", &safetensors(&sized));
    let checkpoint = input.costs(8, |path| Checkpoint::open(path).unwrap());
    input.costs(8, |_| {
        let mut loader = Loader::new(&checkpoint, Part::Unet);
        loader.take("down_blocks.0.resnets.0.norm1.weight", &[1 << 40]);
        loader.deferred("down_blocks.0.resnets.0.conv1.weight", &[usize::MAX, usize::MAX]);
        loader.finish().unwrap_err()
    });
}

/// Opcodes of a byte that each make a value.
#[test]
fn pickles_are_read_in_bounded_memory() {
    let _alone = alone();
    let tensor = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04tQK\x00K\x04\x85K\x01\x85\x89NtR";
    for piece in
        [&b"N"[..], b"]", b"}", b")", b"(", b"N\x85", b"]q\0", b"\x88\x94", b"ca\nb\n", b"K\0K\0K\0\x87", tensor]
    {
        let pickle = [b"\x80\x02", &piece.repeat(1_000_000 / piece.len())[..], b"."].concat();
        let input = Input::new("m.ckpt", &zipped(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 16])]));
        let _ = input.costs(128, TensorFile::open);
    }
}

#[test]
fn packed_latents_unpack_in_bounded_memory() {
    let _alone = alone();
    let mut archive = ZipArchiveWriter::new(Vec::new());
    let file = archive.new_file("latents.npy").compression_method(CompressionMethod::DEFLATE);
    let (mut entry, config) = file.start().unwrap();
    let mut out = config.wrap(DeflateEncoder::new(&mut entry, Compression::best()));
    out.write_all(&vec![0; 200 << 20]).unwrap();
    let (encoder, descriptor) = out.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    let input = Input::new("a.npz", &archive.finish().unwrap());
    let message = input.costs(128, |path| Npz::read(path).unwrap_err().to_string());
    assert!(message.contains("far too large"), "{message}");
}

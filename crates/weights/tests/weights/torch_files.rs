//! PyTorch's `.ckpt` files: what torch wrote is read, what would attack is refused, and nothing takes much memory.
//!
//! `golden/torch` is written by oracle/torch_files.py (torch 2.8).

use std::io::Write;

use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::metadata::hashes::ModelHashes;
use lorabake_weights::{Checkpoint, Error};
use rawzip::{CompressionMethod, ZipArchiveWriter};
use safetensors::Dtype;

use crate::golden;

fn path(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/torch").join(name)
}

fn refused(file: Result<TensorFile, Error>) -> String {
    let message = file.expect_err("refused").to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|n| n as f32 / 2.0 - 1.0).collect()
}

/// An archive with these entries.
fn zipped(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, data) in entries {
        let (mut entry, config) = archive.new_file(name).compression_method(method).start().unwrap();
        let mut out = config.wrap(&mut entry);
        out.write_all(data).unwrap();
        let (_, descriptor) = out.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap()
}

fn open_pickle(pickle: &[u8]) -> Result<TensorFile, Error> {
    let data = numbers(4).iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let bytes = zipped(&[("a/data.pkl", pickle), ("a/data/0", &data)], CompressionMethod::STORE);
    TensorFile::from_bytes("m.ckpt", bytes.into())
}

/// Opcodes for one tensor of the storage `0`, which has four numbers.
fn tensor(offset: u32, shape: u32, stride: u32) -> Vec<u8> {
    let number = |n: u32| [b"J".as_slice(), &n.to_le_bytes()].concat();
    let start = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04tQ";
    [start, number(offset).as_slice(), &number(shape), b"\x85", &number(stride), b"\x85\x89NtR"].concat()
}

/// A dictionary with one tensor `w`.
fn dictionary(tensor: &[u8]) -> Vec<u8> {
    [b"\x80\x02}U\x01w", tensor, b"s."].concat()
}

#[test]
fn what_torch_wrote_is_read() {
    for name in ["zip.ckpt", "zip_protocol_4.ckpt", "zip_without_checksums.ckpt", "legacy.ckpt"] {
        let file = TensorFile::open(&path(name)).unwrap();
        assert_eq!(file.names().len(), 13, "{name}");
        for (key, dtype) in [("f32", Dtype::F32), ("f16", Dtype::F16), ("bf16", Dtype::BF16), ("f64", Dtype::F64)] {
            assert_eq!((file.dtype(key), file.shape(key)), (Some(dtype), Some([2, 3].as_slice())));
            assert_eq!(file.read_f32(key).unwrap(), numbers(6), "{name} {key}");
        }
        assert_eq!(file.read_f32("i64").unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!((file.dtype("u8"), file.bytes("u8")), (Some(Dtype::U8), Some([0, 1, 2].as_slice())));
        let all = numbers(24);
        assert_eq!(file.shape("turned"), Some([3, 2].as_slice()));
        assert_eq!(file.read_f32("turned").unwrap(), [0, 3, 1, 4, 2, 5].map(|n| all[n]));
        assert_eq!(file.read_f32("part").unwrap(), [8, 9, 10, 14, 15, 16].map(|n| all[n]));
        assert_eq!(file.read_f32("shared").unwrap(), all[12..18]);
        let permuted: Vec<f32> = (0..24).map(|n| all[(n % 6) * 4 + n / 6]).collect();
        assert_eq!((file.shape("permuted"), file.bytes("permuted")), (Some([4, 2, 3].as_slice()), None));
        assert_eq!(file.read_f32("permuted").unwrap(), permuted);
        assert_eq!((file.shape("scalar"), file.read_f32("scalar").unwrap()), (Some([].as_slice()), vec![7.0]));
        assert_eq!(file.read_f32("empty").unwrap(), [0.0; 0]);
        assert_eq!(file.read_f32("parameter").unwrap(), [-1.0, -0.5]);
    }
}

/// Types that torch saves as bytes and names beside them.
#[test]
fn small_types_are_read() {
    for name in ["small_types.ckpt", "small_types_legacy.ckpt"] {
        let file = TensorFile::open(&path(name)).unwrap();
        for (key, dtype) in [("e4m3", Dtype::F8_E4M3), ("e5m2", Dtype::F8_E5M2)] {
            assert_eq!((file.dtype(key), file.read_f32(key).unwrap()), (Some(dtype), numbers(6)), "{name} {key}");
        }
        assert_eq!(file.read_f32("part").unwrap(), numbers(6)[4..]);
        assert_eq!((file.dtype("u16"), file.bytes("u16")), (Some(Dtype::U16), Some([0, 0, 1, 0, 2, 0].as_slice())));
    }
}

/// Dictionaries as Python 2 and the first protocols have them.
#[test]
fn old_dictionaries_are_read() {
    let pair = [b"U\x01w".as_slice(), &tensor(0, 4, 1)].concat();
    let form = |before: &[u8], after: &[u8]| [before, &pair, after].concat();
    for pickle in [
        form(b"ccollections\nOrderedDict\n(((", b"lltR."),
        form(b"ccollections\nOrderedDict\n(((", b"tltR."),
        form(b"ccopy_reg\n_reconstructor\n(ccollections\nOrderedDict\nc__builtin__\ndict\n}", b"stR."),
        form(b"ccollections\ndefaultdict\n(c__builtin__\nlist\ntR", b"s."),
        form(b"c__builtin__\ndict\n)R", b"s."),
    ] {
        assert_eq!(open_pickle(&pickle).unwrap().read_f32("w").unwrap(), numbers(4));
    }
    for (pickle, said) in [
        (b"ccollections\nOrderedDict\n((K\x01ltR.".as_slice(), "of what is no pair"),
        (b"ccollections\nOrderedDict\n(K\x01tR.", "of what is no pair"),
        (b"ccopy_reg\n_reconstructor\n(K\x01K\x01K\x01tR.", "calls what is no class"),
        (b"ccopy_reg\n_reconstructor\n(cmine\nThing\nc__builtin__\nobject\nNtR.", "would call mine.Thing on"),
        (b"ccopy_reg\n_reconstructor\n(cos\nsystem\n", "run os.system"),
    ] {
        let message = refused(open_pickle(pickle));
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn damage_is_found_by_checksums() {
    let whole = std::fs::read(path("zip.ckpt")).unwrap();
    let changed = |what: &[u8]| {
        let mut bytes = whole.clone();
        let at = bytes.windows(what.len()).position(|window| window == what).unwrap();
        bytes[at] ^= 1;
        TensorFile::from_bytes("m.ckpt", bytes.into())
    };
    let numbers: Vec<u8> = numbers(6).iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = changed(&numbers).unwrap();
    for _ in 0..2 {
        let message = file.read_f32("f32").unwrap_err().to_string();
        assert!(message.contains("its entry zip/data/0 is damaged") && message.contains("again"), "{message}");
    }
    assert!(file.read_f32("f16").is_ok());
    let message = refused(changed(b"global_step"));
    assert!(message.contains("its entry zip/data.pkl is damaged"), "{message}");
}

#[test]
fn a_checkpoint_may_be_a_ckpt_of_any_name() {
    let pairs = golden::key_names();
    let mut pickle = b"\x80\x02}".to_vec();
    for (n, (key, _)) in pairs.iter().enumerate() {
        pickle.extend([b"X".as_slice(), &(key.len() as u32).to_le_bytes(), key.as_bytes()].concat());
        pickle.extend(tensor(n as u32 % 4, 1, 1));
        pickle.push(b's');
    }
    pickle.push(b'.');
    let data = numbers(4).iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let bytes = zipped(&[("a/data.pkl", &pickle), ("a/data/0", &data)], CompressionMethod::STORE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.names().len(), 1130);
    assert_eq!(checkpoint.read_f32(&pairs[7].0).unwrap(), [0.5]);
    assert_eq!(ModelHashes::of_file(&path).unwrap(), ModelHashes::of_bytes(&bytes));
}

#[test]
fn attacks_are_named_and_nothing_runs() {
    for (name, function) in [
        ("evil_system_2.ckpt", "posix.system"),
        ("evil_system_4.ckpt", "posix.system"),
        ("evil_eval_2.ckpt", "__builtin__.eval"),
        ("evil_eval_4.ckpt", "builtins.eval"),
        ("evil_nested_2.ckpt", "__builtin__.exec"),
        ("evil_nested_4.ckpt", "builtins.exec"),
        ("evil_legacy.ckpt", "posix.system"),
        ("evil_bare.ckpt", "posix.system"),
    ] {
        let message = refused(TensorFile::open(&path(name)));
        assert!(message.contains(&format!("{name} is malicious: PyTorch would run {function} on")), "{message}");
    }
    assert!(!std::path::Path::new("ran").exists());
    for (pickle, said) in [
        (b"cos\nsystem\n(U\x01atR.".as_slice(), "run os.system"),
        (b"(U\x01aios\nsystem\n.", "run os.system"),
        (b"(cos\nsystem\nU\x01ao.", "run os.system"),
        // Names from the memo, through another module, with an escape, made by a call.
        (b"\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.", "run os.system"),
        (b"\x8c\x05torch\x8c\x0dtypes.sys.x.y\x93.", "run torch.types.sys.x.y"),
        (b"S'o\\x73'\nU\x06system\x93.", "hides which class"),
        (b"ccollections\nOrderedDict\n)RU\x06system\x93.", "hides which class"),
        (b"c_codecs\nencode\n)RU\x06system\x93.", "hides which class"),
    ] {
        let message = refused(open_pickle(pickle));
        assert!(message.contains(said), "{message}");
    }
}

/// Whatever becomes of the result: dropped, kept in the memo, made the state of another.
#[test]
fn calls_that_no_model_needs_are_suspicious() {
    let good = dictionary(&tensor(0, 4, 1));
    for call in [
        b"cmy.lib\nrun\n(U\x01atR0".as_slice(),
        b"cmy.lib\nrun\n)R0",
        b"cmy.lib\nrun\n)\x810",
        b"cmy.lib\nrun\n)}\x920",
        b"(imy.lib\nrun\n0",
        b"(cmy.lib\nrun\nU\x01ao0",
        b"\x8c\x06my.lib\x8c\x03run\x93)R0",
        b"cmy.lib\nrun\n)R}b0",
        b"((cmy.lib\nrun\n)Rt00",
        b"(cmy.lib\nrun\n)R1",
        b"ccopy_reg\n_reconstructor\n(cmy.lib\nrun\nc__builtin__\nobject\nNtR0",
    ] {
        let pickle = [b"\x80\x02", call, &good[2..]].concat();
        let message = refused(open_pickle(&pickle));
        assert!(message.contains("is suspicious: PyTorch would call my.lib.run on opening it"), "{message}");
        assert!(message.contains("get it as .safetensors"), "{message}");
    }
    let around = [b"\x80\x02ccopyreg\n__newobj__\n(cmy.lib\nrun\ntR0", &good[2..]].concat();
    assert!(refused(open_pickle(&around)).contains("would call copyreg.__newobj__ on opening it"));
    // Names alone do nothing, and what training programs keep beside the weights is usual.
    for usual in [
        b"cmy.lib\nrun\n0".as_slice(),
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(U\x02f8tRU\x01atR0",
        b"cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n)R0",
        b"cpathlib\nPosixPath\n(U\x01atR0",
        b"c__builtin__\nset\n(]tR0",
        b"ctorch\nComplexFloatStorage\n)R0",
    ] {
        let pickle = [b"\x80\x02", usual, &good[2..]].concat();
        assert_eq!(open_pickle(&pickle).unwrap().read_f32("w").unwrap(), numbers(4));
    }
}

#[test]
fn what_is_no_plain_dictionary_of_tensors_is_refused() {
    for (name, said) in [
        ("expanded.ckpt", "tensor w of shape [5, 2] lies outside"),
        ("object_among_weights.ckpt", "would call __main__.ModelCheckpoint on"),
        ("object.ckpt", "would call __main__.ModelCheckpoint on"),
        ("list.ckpt", "no dictionary of tensors"),
    ] {
        let message = refused(TensorFile::open(&path(name)));
        assert!(message.contains(said), "{message}");
    }
    let unknown = b"cmy.thing\nRebuild\n(U\x01atR";
    assert!(refused(open_pickle(&dictionary(unknown))).contains("would call my.thing.Rebuild on"));
    let named = b"cmy.thing\nRebuild\n";
    assert!(refused(open_pickle(&dictionary(named))).contains("w is an object of my.thing.Rebuild"));
    let usual = b"cpathlib\nPosixPath\n(U\x01atR";
    assert!(refused(open_pickle(&dictionary(usual))).contains("w is an object of pathlib.PosixPath"));
    assert!(refused(open_pickle(b"}U\x0flayer_structureNs.")).contains("a hypernetwork of the web UI"));
    assert!(refused(open_pickle(b"}.")).contains("it has no tensors"));
}

#[test]
fn tensors_stay_inside_their_storage() {
    assert_eq!(open_pickle(&dictionary(&tensor(1, 3, 1))).unwrap().read_f32("w").unwrap(), numbers(4)[1..]);
    for (offset, shape, stride) in
        [(0, 5, 1), (1, 4, 1), (0, 3, 2), (4, 1, 1), (0, 0x7fff_ffff, 0x7fff_ffff), (0, 4, 0), (0x7fff_ffff, 1, 1)]
    {
        let message = refused(open_pickle(&dictionary(&tensor(offset, shape, stride))));
        assert!(message.contains("tensor w of shape") && message.contains("lies outside"), "{message}");
    }
    assert!(refused(open_pickle(&dictionary(&tensor(u32::MAX, 1, 1)))).contains("without storage"), "negative");
}

#[test]
fn damaged_pickles_are_refused_in_little_memory() {
    let whole = dictionary(&tensor(0, 4, 1));
    for length in 0..whole.len() {
        refused(open_pickle(&whole[..length]));
    }
    let deep = [[b'('; 1000].as_slice(), &[b't'; 1000], b"."].concat();
    let endless = [b"N".as_slice(), &b"\x85".repeat(3_000_000), b"."].concat();
    let cyclic = b"]q\x00h\x00a}q\x01h\x00h\x01s.";
    for (pickle, said) in [
        (b"X\xff\xff\xff\xffa".as_slice(), "ends too early"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", "ends too early"),
        (b"\x8b\xff\xff\xff\xffa", "ends too early"),
        (b"h\x07.", "recalls value 7"),
        (b"j\xff\xff\xff\xff.", "recalls value 4294967295"),
        (b"K\x01(R.", "where there is none"),
        (b"t.", "a mark is missing"),
        (b"}(K\x01u.", "a key has no value"),
        (b"K\x01)R.", "calls what is no class"),
        (b"\x82\x01.", "opcode 0x82"),
        (b"\x97.", "opcode 0x97"),
        (b"Px\n.", "opcode 0x50"),
        (&deep, "no dictionary"),
        (&endless, "far too large"),
        (cyclic, "no tensors"),
    ] {
        let message = refused(open_pickle(pickle));
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn damaged_archives_are_refused() {
    let open = |bytes: Vec<u8>| refused(TensorFile::from_bytes("m.ckpt", bytes.into()));
    let pickle = dictionary(&tensor(0, 4, 1));
    assert!(open(zipped(&[("a/x", b"1")], CompressionMethod::STORE)).contains("no data.pkl"));
    assert!(open(zipped(&[("a/data.pkl", &pickle)], CompressionMethod::STORE)).contains("lies outside"));
    let packed = zipped(&[("a/data.pkl", &pickle)], CompressionMethod::DEFLATE);
    assert!(open(packed).contains("is compressed"));
    let twice = zipped(&[("a/data.pkl", &pickle), ("b/data.pkl", &pickle)], CompressionMethod::STORE);
    assert!(open(twice).contains("two entries"));
    let again: Vec<u8> = (0..6_000_u32)
        .flat_map(|n| [b"X\x04\0\0\0", &format!("{n:04}").into_bytes()[..], &tensor(0, 4096, 1), b"s"].concat())
        .collect();
    let shared = [b"\x80\x02}".as_slice(), &again, b"."].concat();
    let zeros = [0; 4 * 4096];
    let shared = zipped(&[("a/data.pkl", &shared), ("a/data/0", &zeros)], CompressionMethod::STORE);
    assert!(open(shared).contains("share their numbers far too often"));
    let big = zipped(&[("a/data.pkl", &pickle), ("a/byteorder", b"big")], CompressionMethod::STORE);
    assert!(open(big).contains("big-endian"));
    for name in ["zip.ckpt", "legacy.ckpt"] {
        let whole = std::fs::read(path(name)).unwrap();
        for length in (4..whole.len()).step_by(97) {
            let message = open(whole[..length].to_vec());
            assert!(message.contains("cut short") || message.contains("too early"), "{name} {length}: {message}");
        }
    }
}

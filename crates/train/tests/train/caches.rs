//! Caches on disk and in memory: they change nothing of a run but its time, and nothing stale is used.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use image::{Rgb, RgbImage};
use lorabake_recipe::parse_train;
use lorabake_testkit::tiny::{SD15, USE_SD15};
use lorabake_train::bake;
use lorabake_train::event::{Event, Stage};
use lorabake_weights::formats::npz::Npz;

/// What a bake gave.
struct Run {
    losses: Vec<f64>,
    notes: Vec<String>,
    /// What was prepared, in order.
    stages: Vec<Stage>,
    pictures: usize,
    /// The tensors of the result, the file without its metadata.
    tensors: Vec<u8>,
}

impl Run {
    /// The notes on latents files.
    fn told(&self) -> String {
        let about = |note: &&String| note.contains("latents") || note.contains(".npz");
        self.notes.iter().filter(about).cloned().collect::<Vec<_>>().join("\n")
    }
}

fn try_run(dir: &Path, words: &str) -> anyhow::Result<Run> {
    let train = format!("--train_data_dir={}", dir.join("train").display());
    let out = format!("--output_dir={}", dir.join("out").display());
    let fixed = "--resolution=64 --seed=7 --learning_rate=1e-2 --network_dim=2 --output_name=cat --max_train_steps=4";
    let words =
        [train.as_str(), out.as_str(), USE_SD15].into_iter().chain(fixed.split(' ')).chain(words.split_whitespace());
    let parsed = parse_train(&words.map(OsString::from).collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{error}"));
    let (events, heard) = channel();
    let (_orders, commands) = channel();
    let outcome = bake(&parsed, &events, &commands)?;
    drop(events);
    let (mut losses, mut notes, mut stages, mut pictures) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for event in heard.iter() {
        match event {
            Event::Stepped(step) => losses.push(step.loss),
            Event::Note(note) => notes.push(note),
            Event::Prepared { stage, .. } => stages.push(stage),
            Event::Painted(_) => pictures += 1,
            _ => {}
        }
    }
    let bytes = std::fs::read(outcome.file)?;
    let header = u64::from_le_bytes(bytes[..8].try_into()?) as usize;
    Ok(Run { losses, notes, stages, pictures, tensors: bytes[8 + header..].to_vec() })
}

fn run(dir: &Path, words: &str) -> Run {
    try_run(dir, words).unwrap()
}

fn picture(shift: u32, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3 + 60 * shift) as u8, (y * 2 + x * y / 7) as u8, (x + 3 * y + 9 * shift) as u8])
    })
}

/// A training set of two images.
fn set(dir: &Path) -> [PathBuf; 2] {
    let folder = dir.join("train/2_cat");
    std::fs::create_dir_all(&folder).unwrap();
    [("a", (72, 64)), ("b", (64, 64))].map(|(name, size)| {
        let path = folder.join(name).with_extension("png");
        picture(size.0 % 7, size.0, size.1).save(&path).unwrap();
        std::fs::write(path.with_extension("txt"), format!("cat, {name}, grass")).unwrap();
        path
    })
}

/// What is in memory changes nothing of the result: not what is read anew for each use, nor what is forgotten between.
#[test]
fn weights_left_in_the_file_give_the_same_lora() {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path());
    let held = run(dir.path(), "");
    let swapped = run(dir.path(), "--blocks_to_swap=25");
    assert_eq!((held.losses, held.tensors), (swapped.losses, swapped.tensors));
    let words =
        "--mixed_precision=bf16 --network_train_unet_only --cache_text_encoder_outputs --gradient_checkpointing";
    let held = run(dir.path(), words);
    let swapped = run(dir.path(), &format!("{words} --blocks_to_swap=3"));
    assert_eq!((held.losses, held.tensors), (swapped.losses, swapped.tensors));
}

/// Weights in 8 bits are another model, and a near one.
#[test]
fn weights_in_8_bits_are_off_by_a_little() {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path());
    let [wide, unet, all] =
        ["--mixed_precision=bf16", "--fp8_base_unet", "--fp8_base"].map(|words| run(dir.path(), words));
    for (near, other) in [(&wide, &unet), (&unet, &all)] {
        assert_ne!(near.tensors, other.tensors);
        for (a, b) in near.losses.iter().zip(&other.losses) {
            assert!((a - b).abs() < 0.02 * a, "{a} and {b}");
        }
    }
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("train/2_cat")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with("png") && !name.ends_with("txt"));
    names.sort();
    names
}

const DISK: &str = "--cache_latents_to_disk --flip_aug";

#[test]
fn latents_on_disk_end_in_the_same_bytes_as_in_memory_now_and_later() {
    let dir = tempfile::tempdir().unwrap();
    let images = set(dir.path());
    let memory = run(dir.path(), "--cache_latents --flip_aug");
    assert_eq!(files(dir.path()), [""; 0]);
    let first = run(dir.path(), DISK);
    assert_eq!(files(dir.path()), ["a_0072x0064_sd.npz", "b_0064x0064_sd.npz"]);
    assert_eq!(first.told(), "latents on disk: 0 images have theirs beside them, 2 were written");
    let second = run(dir.path(), DISK);
    assert_eq!(second.told(), "latents on disk: 2 images have theirs beside them, 0 were written");
    assert!(memory.tensors == first.tensors && memory.tensors == second.tensors);
    // Another seed reads the same files, and is another run.
    let other = run(dir.path(), &format!("{DISK} --seed=8"));
    assert_eq!(other.told(), second.told());
    assert!(other.tensors != second.tensors);
    assert!(other.tensors == run(dir.path(), "--cache_latents --flip_aug --seed=8").tensors);

    // A file that was cut short, and what was left when a run was killed while it wrote.
    let cut = images[0].with_file_name("a_0072x0064_sd.npz");
    let whole = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    std::fs::write(images[0].with_file_name(".lorabake-12.part"), &whole[..50]).unwrap();
    let third = run(dir.path(), DISK);
    assert!(third.told().contains("1 images have theirs beside them, 1 were written"), "{}", third.told());
    assert!(third.told().contains("a_0072x0064_sd.npz is no whole .npz file"), "{}", third.told());
    assert!(memory.tensors == third.tensors);
    assert_eq!(std::fs::read(&cut).unwrap(), whole);
}

#[test]
fn a_file_has_what_sd_scripts_looks_for_at_several_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let [image, _] = set(dir.path());
    run(dir.path(), DISK);
    run(dir.path(), &format!("{DISK} --resolution=128,64"));
    let file = Npz::read(&image.with_file_name("a_0072x0064_sd.npz")).unwrap();
    let mut names: Vec<_> = file.names().collect();
    names.sort();
    let per_size = ["crop_ltrb", "latents", "latents_flipped", "original_size"];
    let mut expected: Vec<String> = per_size.map(str::to_owned).into();
    for size in ["8x8", "8x16"] {
        expected.extend(per_size.map(|name| format!("{name}_{size}")));
        expected.extend(["latents", "latents_flipped"].map(|name| format!("lorabake_{name}_{size}")));
    }
    expected.sort();
    assert_eq!(names, expected);
    // What has no size in its name is left to the size that it had.
    let latents = |name: &str| file.get::<f32>(name).unwrap();
    assert_eq!(latents("latents"), latents("latents_8x8"));
    assert_eq!(latents("latents_8x16").shape, [4, 8, 16]);
    assert_ne!(latents("latents_8x8"), latents("latents_flipped_8x8"));
    assert_eq!(file.get::<i64>("original_size_8x16").unwrap().values, [72, 64]);
    assert_eq!(file.get::<f64>("crop_ltrb_8x8").unwrap().values, [0.0, 3.0, 64.0, 3.0 + 64.0 / (72.0 / 64.0)]);
    // Raw samples, not multiplied by the latent scale.
    let told = run(dir.path(), DISK).told();
    assert!(told.starts_with("latents on disk: 2 images have theirs beside them, 0 were written"), "{told}");
}

#[test]
fn nothing_stale_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let [image, _] = set(dir.path());
    run(dir.path(), DISK);
    let file = image.with_file_name("a_0072x0064_sd.npz");
    let before = Npz::read(&file).unwrap();

    // Another picture of the same size under the same name; --skip_cache_check would not notice.
    picture(5, 72, 64).save(&image).unwrap();
    let blind = run(dir.path(), &format!("{DISK} --skip_cache_check"));
    assert!(blind.told().contains("are used without a check, as --skip_cache_check says"), "{}", blind.told());
    let fresh = run(dir.path(), DISK);
    let told =
        "latents on disk: 1 images have theirs beside them, 1 were written, 1 of them because image or VAE changed";
    assert_eq!(fresh.told(), told);
    assert!(fresh.tensors == run(dir.path(), "--cache_latents --flip_aug").tensors);
    assert!(fresh.tensors != blind.tensors);

    // Someone else puts other latents beside our seal, as sd-scripts does when it misses an array.
    let mut now = Npz::read(&file).unwrap();
    assert_ne!(now, before);
    let latents = before.get::<f32>("latents_8x8").unwrap();
    now.put("latents_8x8", &latents.shape, &latents.values);
    now.write(&file).unwrap();
    assert_eq!(run(dir.path(), DISK).told(), told);
    assert_eq!(run(dir.path(), DISK).losses, fresh.losses);

    // The same VAE makes other latents in half precision.
    let all =
        "latents on disk: 0 images have theirs beside them, 2 were written, 2 of them because image or VAE changed";
    let half = run(dir.path(), &format!("{DISK} --mixed_precision=bf16"));
    assert_eq!(half.told(), all);
    assert!(half.tensors == run(dir.path(), "--cache_latents --flip_aug --mixed_precision=bf16").tensors);
    assert_eq!(run(dir.path(), &format!("{DISK} --mixed_precision=bf16 --no_half_vae")).told(), all);
    assert!(run(dir.path(), DISK).told().contains("2 images have theirs beside them"));
}

#[test]
fn another_vae_is_noticed_and_another_decoder_or_unet_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path());
    run(dir.path(), DISK);
    let bytes = std::fs::read(SD15).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for (name, written) in [
        ("first_stage_model.decoder.conv_in.bias", 0),
        ("model.diffusion_model.out.2.bias", 0),
        ("first_stage_model.encoder.conv_in.bias", 2),
    ] {
        let start = tensors.tensor(name).unwrap().data().as_ptr() as usize - bytes.as_ptr() as usize;
        assert!(start >= data);
        let mut changed = bytes.to_vec();
        changed[start] ^= 0x10;
        let file = dir.path().join("changed.safetensors");
        std::fs::write(&file, changed).unwrap();
        let told = run(dir.path(), &format!("{DISK} --pretrained_model_name_or_path={}", file.display())).told();
        let expected = format!("{} images have theirs beside them, {written} were written", 2 - written);
        assert!(told.contains(&expected), "{name}: {told}");
    }
}

/// Files as sd-scripts writes them, made from ours: without seals, in the old place and the old names.
fn as_foreign(images: &[PathBuf; 2], change: impl Fn(f32) -> f32) {
    for (image, size) in images.iter().zip([72, 64]) {
        let ours =
            image.with_file_name(format!("{}_{size:04}x0064_sd.npz", image.file_stem().unwrap().to_str().unwrap()));
        let file = Npz::read(&ours).unwrap();
        let mut foreign = Npz::default();
        for name in ["latents", "latents_flipped"] {
            let array = file.get::<f32>(name).unwrap();
            foreign.put(name, &array.shape, &array.values.into_iter().map(&change).collect::<Vec<_>>());
        }
        foreign.put("original_size", &[2], &[size, 64i64]);
        foreign.put("crop_ltrb", &[4], &file.get::<f64>("crop_ltrb").unwrap().values);
        foreign.write(&image.with_extension("npz")).unwrap();
        std::fs::remove_file(ours).unwrap();
    }
}

#[test]
fn latents_of_sd_scripts_are_used_where_they_are_likely_to_fit() {
    let dir = tempfile::tempdir().unwrap();
    let images = set(dir.path());
    let ours = run(dir.path(), DISK);

    // Rounded as by a VAE in half precision.
    as_foreign(&images, |x| (x * 256.0).round() / 256.0);
    let used = run(dir.path(), DISK);
    assert_eq!(files(dir.path()), ["a.npz", "b.npz"]);
    assert!(used.told().contains("2 images have theirs beside them, 0 were written"), "{}", used.told());
    assert!(used.told().contains("2 latents files (first: "), "{}", used.told());
    assert!(used.told().contains("of another program are used"), "{}", used.told());
    assert!(used.tensors != ours.tensors);
    let close = |a: &Run, b: &Run| a.losses.iter().zip(&b.losses).all(|(a, b)| (a - b).abs() < 0.02 * b);
    assert!(close(&used, &ours), "{:?} and {:?}", used.losses, ours.losses);

    // Older than its image.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    std::fs::File::options().write(true).open(&images[1]).unwrap().set_modified(later).unwrap();
    let doubted = run(dir.path(), DISK);
    assert!(doubted.told().contains("1 images have theirs beside them, 1 were written"), "{}", doubted.told());
    assert!(doubted.told().contains("not used: they are older than their images"), "{}", doubted.told());
    // Now it has arrays with a seal, and its others are of the same kind.
    let file = Npz::read(&images[1].with_extension("npz")).unwrap();
    assert_eq!(file.get::<f32>("latents"), file.get::<f32>("latents_8x8"));
    assert_eq!(files(dir.path()), ["a.npz", "b.npz"]);
}

#[test]
fn latents_of_another_vae_are_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let images = set(dir.path());
    let ours = run(dir.path(), DISK);
    as_foreign(&images, |x| 1.1 * x + 0.2);
    let blind = run(dir.path(), &format!("{DISK} --skip_cache_check"));
    assert!(blind.tensors != ours.tensors);
    let refused = run(dir.path(), DISK);
    assert!(refused.told().contains("the first differs from what this VAE makes of its image"), "{}", refused.told());
    assert!(refused.tensors == ours.tensors);
}

#[test]
fn masks_go_with_their_latents() {
    let dir = tempfile::tempdir().unwrap();
    let [image, _] = set(dir.path());
    let see_through = |x: u32, y: u32| image::Rgba([x as u8, y as u8, 9, if x < 32 { 255 } else { 51 }]);
    image::RgbaImage::from_fn(72, 64, see_through).save(&image).unwrap();
    let disk = format!("{DISK} --alpha_mask");
    let [memory, first, second] = ["--cache_latents --flip_aug --alpha_mask", &disk, &disk].map(|o| run(dir.path(), o));
    assert!(memory.tensors == first.tensors && memory.tensors == second.tensors);
    let mask = Npz::read(&image.with_file_name("a_0072x0064_sd.npz")).unwrap().get::<f32>("alpha_mask_8x8").unwrap();
    assert_eq!(mask.shape, [64, 64]);
    assert_eq!((mask.values[0], mask.values[63]), (1.0, 0.2));
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_to_is_no_reason_to_stop() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let [image, _] = set(dir.path());
    let folder = image.parent().unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere; a folder in the place of the file stops it too.
    std::fs::create_dir(image.with_file_name("a_0072x0064_sd.npz")).unwrap_or_default();
    let stuck = run(dir.path(), DISK);
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(stuck.told().contains("images are kept for this run only"), "{}", stuck.told());
    assert!(stuck.tensors == run(dir.path(), "--cache_latents --flip_aug").tensors);
}

#[test]
fn kept_text_states_end_in_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let [image, _] = set(dir.path());
    std::fs::write(image.with_extension("txt"), "a (cat:1.4), [grass]").unwrap();
    for options in ["--train_batch_size=2", "--max_token_length=150 --weighted_captions --clip_skip=2"] {
        let plain = run(dir.path(), &format!("--network_train_unet_only {options}"));
        let kept = run(dir.path(), &format!("--network_train_unet_only --cache_text_encoder_outputs {options}"));
        assert_eq!(plain.losses, kept.losses, "{options}");
        assert!(plain.tensors == kept.tensors, "{options}");
        let encoded = |run: &Run| run.stages.contains(&Stage::CaptionsEncoded);
        assert_eq!((encoded(&plain), encoded(&kept)), (false, true));
    }
    // Pictures have prompts of their own.
    let prompts = dir.path().join("prompts.txt");
    std::fs::write(&prompts, "a dog --w 64 --h 64 --s 2").unwrap();
    let sampling = format!("--sample_prompts={} --sample_every_n_steps=2", prompts.display());
    let kept = run(dir.path(), &format!("--network_train_unet_only --cache_text_encoder_outputs {sampling}"));
    assert_eq!(kept.pictures, 2, "{:?}", kept.notes);
}

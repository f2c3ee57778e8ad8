//! Caches on disk and in memory: they change nothing of a run but its time, and nothing stale is used.

use std::time::{Duration, SystemTime};

use lorabake_testkit::tiny::SD15;
use lorabake_train::event::Stage;
use lorabake_weights::formats::npz::Npz;

use crate::sandbox::{Baked, Sandbox};

/// The first of two images.
const IMAGE: &str = "train/2_cat/0.png";
/// Its latents.
const LATENTS: &str = "train/2_cat/0_0072x0064_sd.npz";
const DISK: &str = "--cache_latents_to_disk --flip_aug";
const MEMORY: &str = "--cache_latents --flip_aug";

/// A sandbox with two images.
fn two_images() -> Sandbox {
    Sandbox::with_images("--learning_rate=1e-2 --max_train_steps=4", &[[72, 64], [64, 64]])
}

/// What is beside images and captions.
fn caches(sandbox: &Sandbox) -> Vec<String> {
    let mut names = sandbox.files("train/2_cat");
    names.retain(|name| !name.ends_with("png") && !name.ends_with("txt"));
    names
}

/// The notes on latents files.
fn cache_notes(run: &Baked) -> String {
    let notes = run.notes();
    let about = notes.lines().filter(|note| note.contains("latents") || note.contains(".npz"));
    about.collect::<Vec<_>>().join("\n")
}

/// What is in memory changes nothing of the result: not what is read anew for each use, nor what is forgotten between.
#[test]
fn weights_left_in_the_file_give_the_same_lora() {
    let sandbox = two_images();
    let held = sandbox.bake("out", "");
    let swapped = sandbox.bake("out", "--blocks_to_swap=25");
    assert!(held.losses() == swapped.losses() && held.tensors == swapped.tensors);
    let words =
        "--mixed_precision=bf16 --network_train_unet_only --cache_text_encoder_outputs --gradient_checkpointing";
    let held = sandbox.bake("out", words);
    let swapped = sandbox.bake("out", &format!("{words} --blocks_to_swap=3"));
    assert!(held.losses() == swapped.losses() && held.tensors == swapped.tensors);
}

/// Weights in 8 bits are another model, and a near one.
#[test]
fn weights_in_8_bits_are_off_by_a_little() {
    let sandbox = two_images();
    let [wide, unet, all] =
        ["--mixed_precision=bf16", "--fp8_base_unet", "--fp8_base"].map(|words| sandbox.bake("out", words));
    for (near, other) in [(&wide, &unet), (&unet, &all)] {
        assert_ne!(near.tensors, other.tensors);
        for (a, b) in near.losses().iter().zip(&other.losses()) {
            assert!((a - b).abs() < 0.02 * a, "{a} and {b}");
        }
    }
}

#[test]
fn latents_on_disk_end_in_the_same_bytes_as_in_memory_now_and_later() {
    let sandbox = two_images();
    let memory = sandbox.bake("out", MEMORY);
    assert_eq!(caches(&sandbox), [""; 0]);
    let first = sandbox.bake("out", DISK);
    assert_eq!(caches(&sandbox), ["0_0072x0064_sd.npz", "1_0064x0064_sd.npz"]);
    assert_eq!(cache_notes(&first), "latents on disk: found for 0 images, written for 2");
    let second = sandbox.bake("out", DISK);
    assert_eq!(cache_notes(&second), "latents on disk: found for 2 images, written for 0");
    assert!(memory.tensors == first.tensors && memory.tensors == second.tensors);
    // Another seed reads the same files, and is another run.
    let other = sandbox.bake("out", &format!("{DISK} --seed=8"));
    assert_eq!(cache_notes(&other), cache_notes(&second));
    assert!(other.tensors != second.tensors);
    assert!(other.tensors == sandbox.bake("out", &format!("{MEMORY} --seed=8")).tensors);

    // A file that was cut short, and what was left when a run was killed while it wrote.
    let cut = sandbox.path(LATENTS);
    let whole = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    std::fs::write(sandbox.path("train/2_cat/.lorabake-12.part"), &whole[..50]).unwrap();
    let third = sandbox.bake("out", DISK);
    let told = cache_notes(&third);
    assert!(told.contains("found for 1 image, written for 1"), "{told}");
    assert!(told.contains("0_0072x0064_sd.npz is no whole .npz file"), "{told}");
    assert!(memory.tensors == third.tensors);
    assert_eq!(std::fs::read(&cut).unwrap(), whole);
}

#[test]
fn a_file_has_what_sd_scripts_looks_for_at_several_sizes() {
    let sandbox = two_images();
    sandbox.bake("out", DISK);
    sandbox.bake("out", &format!("{DISK} --resolution=128,64"));
    let file = Npz::read(&sandbox.path(LATENTS)).unwrap();
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
    let told = cache_notes(&sandbox.bake("out", DISK));
    assert!(told.starts_with("latents on disk: found for 2 images, written for 0"), "{told}");
}

#[test]
fn nothing_stale_is_used() {
    let sandbox = two_images();
    sandbox.bake("out", DISK);
    let file = sandbox.path(LATENTS);
    let before = Npz::read(&file).unwrap();

    // Another picture of the same size under the same name; --skip_cache_check would not notice.
    sandbox.picture(IMAGE, [72, 64], |x, y| [(x * 2) as u8, (y * 3 + 90) as u8, (x + 2 * y) as u8]);
    let blind = sandbox.bake("out", &format!("{DISK} --skip_cache_check"));
    let told = cache_notes(&blind);
    assert!(told.contains("are used without a check, as --skip_cache_check says"), "{told}");
    let fresh = sandbox.bake("out", DISK);
    let one = "latents on disk: found for 1 image, written for 1, 1 of them because image or VAE changed";
    assert_eq!(cache_notes(&fresh), one);
    assert!(fresh.tensors == sandbox.bake("out", MEMORY).tensors);
    assert!(fresh.tensors != blind.tensors);

    // Someone else puts other latents beside our seal, as sd-scripts does when it misses an array.
    let mut now = Npz::read(&file).unwrap();
    assert_ne!(now, before);
    let latents = before.get::<f32>("latents_8x8").unwrap();
    now.put("latents_8x8", &latents.shape, &latents.values);
    now.write(&file).unwrap();
    assert_eq!(cache_notes(&sandbox.bake("out", DISK)), one);
    assert_eq!(sandbox.bake("out", DISK).losses(), fresh.losses());

    // The same VAE makes other latents in half precision.
    let all = "latents on disk: found for 0 images, written for 2, 2 of them because image or VAE changed";
    let half = sandbox.bake("out", &format!("{DISK} --mixed_precision=bf16"));
    assert_eq!(cache_notes(&half), all);
    assert!(half.tensors == sandbox.bake("out", &format!("{MEMORY} --mixed_precision=bf16")).tensors);
    let wide = sandbox.bake("out", &format!("{DISK} --mixed_precision=bf16 --no_half_vae"));
    assert_eq!(cache_notes(&wide), all);
    assert!(cache_notes(&sandbox.bake("out", DISK)).contains("found for 2 images"));
}

#[test]
fn another_vae_is_noticed_and_another_decoder_or_unet_does_not_matter() {
    let sandbox = two_images();
    sandbox.bake("out", DISK);
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
        std::fs::write(sandbox.path("changed.safetensors"), changed).unwrap();
        let model = "--pretrained_model_name_or_path=HERE/changed.safetensors";
        let told = cache_notes(&sandbox.bake("out", &format!("{DISK} {model}")));
        let expected = format!("found for {} images, written for {written}", 2 - written);
        assert!(told.contains(&expected), "{name}: {told}");
    }
}

/// Files as sd-scripts writes them, made from ours: without seals, in the old place and the old names.
fn as_foreign(sandbox: &Sandbox, change: impl Fn(f32) -> f32) {
    for (name, width) in [("0", 72), ("1", 64)] {
        let ours = sandbox.path(&format!("train/2_cat/{name}_{width:04}x0064_sd.npz"));
        let file = Npz::read(&ours).unwrap();
        let mut foreign = Npz::default();
        for array in ["latents", "latents_flipped"] {
            let latents = file.get::<f32>(array).unwrap();
            foreign.put(array, &latents.shape, &latents.values.into_iter().map(&change).collect::<Vec<_>>());
        }
        foreign.put("original_size", &[2], &[width, 64i64]);
        foreign.put("crop_ltrb", &[4], &file.get::<f64>("crop_ltrb").unwrap().values);
        foreign.write(&sandbox.path(&format!("train/2_cat/{name}.npz"))).unwrap();
        std::fs::remove_file(ours).unwrap();
    }
}

#[test]
fn latents_of_sd_scripts_are_used_where_they_are_likely_to_fit() {
    let sandbox = two_images();
    let ours = sandbox.bake("out", DISK);

    // Rounded as by a VAE in half precision.
    as_foreign(&sandbox, |x| (x * 256.0).round() / 256.0);
    let used = sandbox.bake("out", DISK);
    assert_eq!(caches(&sandbox), ["0.npz", "1.npz"]);
    let told = cache_notes(&used);
    assert!(told.contains("found for 2 images, written for 0"), "{told}");
    assert!(told.contains("2 files of latents (first: "), "{told}");
    assert!(told.contains("of another program are used"), "{told}");
    assert!(used.tensors != ours.tensors);
    for (used, ours) in used.losses().into_iter().zip(ours.losses()) {
        assert!((used - ours).abs() < 0.02 * ours, "{used} and {ours}");
    }

    // Older than its image.
    let later = SystemTime::now() + Duration::from_secs(60);
    let image = std::fs::File::options().write(true).open(sandbox.path("train/2_cat/1.png")).unwrap();
    image.set_modified(later).unwrap();
    let doubted = sandbox.bake("out", DISK);
    let told = cache_notes(&doubted);
    assert!(told.contains("found for 1 image, written for 1"), "{told}");
    assert!(told.contains("not used: they are older than their images"), "{told}");
    // Now it has arrays with a seal, and its others are of the same kind.
    let file = Npz::read(&sandbox.path("train/2_cat/1.npz")).unwrap();
    assert_eq!(file.get::<f32>("latents"), file.get::<f32>("latents_8x8"));
    assert_eq!(caches(&sandbox), ["0.npz", "1.npz"]);
}

#[test]
fn latents_of_another_vae_are_recognised() {
    let sandbox = two_images();
    let ours = sandbox.bake("out", DISK);
    as_foreign(&sandbox, |x| 1.1 * x + 0.2);
    let blind = sandbox.bake("out", &format!("{DISK} --skip_cache_check"));
    assert!(blind.tensors != ours.tensors);
    let refused = sandbox.bake("out", DISK);
    let told = cache_notes(&refused);
    assert!(told.contains("the first differs from what this VAE makes of its image"), "{told}");
    assert!(refused.tensors == ours.tensors);
}

#[test]
fn masks_go_with_their_latents() {
    let sandbox = two_images();
    let see_through = |x: u32, y: u32| image::Rgba([x as u8, y as u8, 9, if x < 32 { 255 } else { 51 }]);
    image::RgbaImage::from_fn(72, 64, see_through).save(sandbox.path(IMAGE)).unwrap();
    let [memory, first, second] =
        [MEMORY, DISK, DISK].map(|words| sandbox.bake("out", &format!("{words} --alpha_mask")));
    assert!(memory.tensors == first.tensors && memory.tensors == second.tensors);
    let mask = Npz::read(&sandbox.path(LATENTS)).unwrap().get::<f32>("alpha_mask_8x8").unwrap();
    assert_eq!(mask.shape, [64, 64]);
    assert_eq!((mask.values[0], mask.values[63]), (1.0, 0.2));
}

/// Each would find the other's latents and overwrite them.
#[test]
fn images_of_one_name_share_no_latents() {
    let sandbox = two_images();
    let other = "train/2_cat/0.bmp";
    let shade = |x: u32, y: u32| [(x * 5) as u8, (y * 7) as u8, (x + 9 * y) as u8];
    sandbox.picture(other, [72, 64], shade);
    let memory = sandbox.bake("out", MEMORY);
    // Whosever these are.
    Npz::default().write(&sandbox.path("train/2_cat/0.npz")).unwrap();
    for counts in ["found for 0 images, written for 1", "found for 1 image, written for 0"] {
        let run = sandbox.bake("out", DISK);
        let told = cache_notes(&run);
        let nameless =
            "the latents of 2 images are kept for this run only, since other images have their names (first: ";
        assert!(told.starts_with(&format!("latents on disk: {counts}\n{nameless}")), "{told}");
        assert!(run.tensors == memory.tensors);
    }
    let mut others = caches(&sandbox);
    others.retain(|name| !name.ends_with("bmp"));
    assert_eq!(others, ["0.npz", "1_0064x0064_sd.npz"]);
    // At another size it has a file of its own.
    sandbox.picture(other, [80, 64], shade);
    let told = cache_notes(&sandbox.bake("out", DISK));
    assert_eq!(told, "latents on disk: found for 1 image, written for 2");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_to_is_no_reason_to_stop() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = two_images();
    let folder = sandbox.path("train/2_cat");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere; a folder in the place of the file stops it too.
    std::fs::create_dir(sandbox.path(LATENTS)).unwrap_or_default();
    let stuck = sandbox.bake("out", DISK);
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(cache_notes(&stuck).contains("are kept for this run only"), "{}", cache_notes(&stuck));
    assert!(stuck.tensors == sandbox.bake("out", MEMORY).tensors);
}

#[test]
fn kept_text_states_end_in_the_same_bytes() {
    let sandbox = two_images();
    sandbox.write("train/2_cat/0.txt", "a (cat:1.4), [grass]");
    for options in ["--train_batch_size=2", "--max_token_length=150 --weighted_captions --clip_skip=2"] {
        let plain = sandbox.bake("out", &format!("--network_train_unet_only {options}"));
        let kept = sandbox.bake("out", &format!("--network_train_unet_only --cache_text_encoder_outputs {options}"));
        assert_eq!(plain.losses(), kept.losses(), "{options}");
        assert!(plain.tensors == kept.tensors, "{options}");
        let encoded = |run: &Baked| run.stages().contains(&Stage::CaptionsEncoded);
        assert_eq!((encoded(&plain), encoded(&kept)), (false, true));
    }
    // Pictures have prompts of their own.
    sandbox.write("prompts.txt", "a dog --w 64 --h 64 --s 2");
    let sampling = "--sample_prompts=HERE/prompts.txt --sample_every_n_steps=2";
    let kept = sandbox.bake("out", &format!("--network_train_unet_only --cache_text_encoder_outputs {sampling}"));
    assert_eq!(kept.pictures().len(), 2, "{}", kept.notes());
}

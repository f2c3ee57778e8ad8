//! The two sample scripts at the end of the guide (guide.txt), their variables filled in as the scripts do.

use lorabake_recipe::optim::{Optimizer, ScheduleKind};

use crate::{parse, problems};

const POWERSHELL: &str = r"
    --network_module=networks.lora
    --pretrained_model_name_or_path=X:\SD\voldy\models\Stable-diffusion\animefull-final-pruned.ckpt
    --train_data_dir=X:\SD\training\my_concepts_folder --reg_data_dir=X:\SD\training\reg
    --output_dir=X:\SD\voldy\models\lora
    --caption_extension=.txt --shuffle_caption --keep_tokens=1
    --prior_loss_weight=1
    --resolution=512
    --enable_bucket --min_bucket_reso=320 --max_bucket_reso=960
    --train_batch_size=1
    --learning_rate=0.0001 --unet_lr=0.0001 --text_encoder_lr=0.00005
    --max_train_epochs=8
    --mixed_precision=fp16 --save_precision=fp16
    --optimizer_type=AdamW8bit --xformers
    --save_every_n_epochs=1
    --save_model_as=safetensors
    --clip_skip=2
    --seed=420
    --flip_aug
    --network_dim=128 --network_alpha=128
    --max_token_length=225
    --cache_latents
    --lr_scheduler=cosine_with_restarts
    --noise_offset=0.0";

const BASH: &str = "
    --network_module=networks.lora
    --pretrained_model_name_or_path=/mnt/DATA/AI/stable-diffusion-models/Stable-diffusion//animefinal-full-pruned.ckpt
    --train_data_dir=/mnt/DATA/AI/sd-scripts/SETS/penny/ --reg_data_dir=/mnt/DATA/AI/sd-scripts/SETS/penny/reg/
    --output_dir=/mnt/DATA/AI/stable-diffusion-webui//models/LORA/
    --output_name=penny_last_e6_n160
    --caption_extension=.txt --shuffle_caption
    --prior_loss_weight=1
    --network_alpha=160
    --resolution=512
    --enable_bucket --min_bucket_reso=320 --max_bucket_reso=768
    --train_batch_size=2
    --gradient_accumulation_steps=1
    --learning_rate=0.0001 --unet_lr=0.0001 --text_encoder_lr=0.00005
    --max_train_epochs=6
    --mixed_precision=fp16 --save_precision=fp16
    --use_8bit_adam --xformers
    --save_every_n_epochs=2
    --save_model_as=safetensors
    --clip_skip=2
    --seed=420
    --flip_aug --color_aug --face_crop_aug_range=2.0,4.0
    --network_dim=160
    --max_token_length=150
    --lr_scheduler=cosine_with_restarts
    --training_comment=LORA:penny";

const NO_FP16: &str = "--mixed_precision: processors have no fp16 arithmetic worth using, and its narrow range loses \
                       small gradients; use bf16, which takes the same memory, or no\n";

#[test]
fn the_powershell_script_fails_on_one_option_only() {
    assert_eq!(problems(POWERSHELL), NO_FP16);
}

#[test]
fn the_bash_script_fails_on_one_option_only() {
    assert_eq!(problems(BASH), NO_FP16);
}

#[test]
fn without_it_the_bash_script_is_told_that_buckets_are_not_cropped_to_faces() {
    let parsed = parse(&BASH.replace("--mixed_precision=fp16", "--mixed_precision=bf16")).unwrap();
    assert!(parsed.recipe.data.color_aug && parsed.recipe.data.face_crop.is_none());
    let told: String = parsed.notes.iter().map(|note| format!("{note}\n")).collect();
    let buckets = "--face_crop_aug_range: has no effect with --enable_bucket, as in sd-scripts: buckets are not cropped \
                   to faces\n";
    assert!(told.contains(buckets), "{told}");
}

#[test]
fn without_it_the_powershell_script_means_what_it_says() {
    let line = POWERSHELL.replace("--mixed_precision=fp16", "--mixed_precision=bf16");
    let recipe = parse(&line).unwrap().recipe;
    assert_eq!(recipe.data.resolution, (512, 512));
    assert_eq!(recipe.data.buckets.map(|buckets| (buckets.min, buckets.max, buckets.step)), Some((320, 960, 64)));
    assert_eq!((recipe.data.captions.shuffle, recipe.data.captions.keep_tokens), (true, 1));
    assert_eq!((recipe.network.linear.rank, recipe.network.linear.alpha), (128, 128.0));
    assert_eq!(recipe.optim.optimizer, Optimizer::AdamW8bit(Default::default()));
    assert_eq!((recipe.optim.unet_lr, recipe.optim.text_encoder_lr), (1e-4, 5e-5));
    assert_eq!(recipe.optim.schedule.kind, ScheduleKind::CosineWithRestarts { cycles: 1 });
    assert_eq!((recipe.model.clip_skip, recipe.model.max_token_length), (2, 225));
    assert_eq!((recipe.train.seed, recipe.diffusion.noise_offset), (420, None));
}

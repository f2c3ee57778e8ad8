//! A recipe for a subject that the user describes: category and number of images in, options with reasons out.
//!
//! Numbers and reasons are the guide's: its categories of difficulty A to I, its table of starting settings for
//! characters, styles and concepts, its "Easy settings" and what it says of steps. Where it leaves a question open, the
//! reason says so.

use super::question::{Category, Difficulty, Learner, Question, difficulty};
use crate::model::Family;
use crate::parse::preset::{Setting, easy};
use crate::report::count;

/// A complete recipe file in answer to `question`, each value with its reason above it.
pub fn advise(question: &Question) -> String {
    let mut text = format!("# for {} with {}\n", question.category, count(question.images, "image"));
    for warning in warnings(question) {
        text += &comment(&format!("careful: {warning}"));
    }
    for Setting { option, values, reason } in settings(question) {
        text += &format!("\n{}{option} = {}\n", comment(&reason), value(option, &values));
    }
    text += "\n# mirrors images at random; useful unless the subject is asymmetrical\n# flip_aug = true\n";
    if question.family == Family::Sdxl {
        text += "\n# the model to train from: an SDXL file\n";
    } else {
        text += "\n# 2 if you train from NAI or most anime models, 1 for realistic ones\n# clip_skip = 2\n";
        text += "\n# the model to train from: a Stable Diffusion 1.x file\n";
    }
    text += "# pretrained_model_name_or_path = 'model.safetensors'\n";
    text
}

/// Lines of a comment of at most 100 characters.
fn comment(reason: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in reason.split(' ') {
        if lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= 100) {
            lines.push("#".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            *line += &format!(" {word}");
        }
    }
    lines.join("\n") + "\n"
}

fn value(option: &str, values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    match values {
        [only] if only.parse::<f64>().is_ok() || only == "true" => only.clone(),
        [_] if option != "optimizer_args" => quoted.concat(),
        _ => format!("[{}]", quoted.join(", ")),
    }
}

/// The preset's settings, with what the category wants otherwise.
fn settings(question: &Question) -> Vec<Setting> {
    let Question { images, .. } = *question;
    let folder = format!(
        "it holds a folder called 1_NAME with the {} and a caption file beside each: 1 repeat and more epochs is better \
         than the other way round (10_NAME needs a tenth of these epochs)",
        count(images, "image")
    );
    let mut all = vec![
        Setting::new("train_data_dir", "my_images", folder),
        Setting::new("output_dir", "out", "where the LoRA and its snapshots go"),
        Setting::new("output_name", "my_lora", "what the LoRA is called in prompts"),
        Setting::new("caption_extension", ".txt", "one caption file per image, with the same name"),
        Setting::new("shuffle_caption", true, "no tag profits from its place"),
        Setting::new("keep_tokens", 1, "the first tag, that of the subject, stays in place"),
        Setting::new(
            "cache_latents",
            true,
            "each image is encoded once; works with flip_aug, not with other augmentations",
        ),
    ];
    let is_sdxl = question.family == Family::Sdxl;
    let mut rank = rank(question);
    if is_sdxl {
        rank = for_sdxl_rank(rank);
    }
    for setting in easy(question.optimizer.name()) {
        match setting.option {
            "network_dim" => all.push(Setting::new("network_dim", rank.rank, rank.why.clone())),
            "resolution" => all.push(resolution(question)),
            // Both come from the category, below.
            "max_train_steps" | "network_alpha" => {}
            _ => all.push(setting),
        }
    }
    all.push(alpha(question, rank.rank));
    if question.optimizer == Learner::AdamW8bit {
        all.extend(rates(question));
    }
    if is_sdxl {
        // The text encoders are left alone.
        all.retain(|setting| setting.option != "text_encoder_lr");
        all.extend(for_sdxl());
    }
    if question.bad_images {
        all.push(Setting::new(
            "reg_data_dir",
            "regularization",
            "regularization images, in a folder 1_CLASS, take the style out of poor images; an empty folder is none",
        ));
    }
    all.extend(length(question));
    all.push(Setting::new("save_precision", "fp16", "half the file, and what most people share"));
    all
}

/// A rank with the reason for it.
struct Rank {
    rank: u32,
    why: String,
}

fn rank(question: &Question) -> Rank {
    match question.category {
        Category::Character(letter) => {
            let Difficulty { who, lowest_rank: low, highest_rank: high, .. } = *difficulty(letter);
            let few = question.images < 35;
            let rank = if few || letter == 'I' { low } else { high };
            let range = if low == high { format!("rank {low}") } else { format!("ranks {low} to {high}") };
            let end = match (low == high, letter, few) {
                (true, ..) => "",
                (_, 'I', _) => "; the upper end has a question mark, so the lower one",
                (_, _, true) => "; the lower end, since fewer than 35 images say less",
                (_, _, false) => "; the upper end, since there are images enough",
            };
            Rank { rank, why: format!("category {letter} ({who}): {range}{end}") }
        }
        Category::Style if question.images >= 10_000 => {
            Rank { rank: 128, why: "styles: 96 to 192; try 128 with 10000 images, 256 is for millions".to_owned() }
        }
        Category::Style => {
            Rank { rank: 96, why: "styles: 96 to 192; the lower end is enough for fewer than 10000 images".to_owned() }
        }
        Category::Concept => Rank {
            rank: 32,
            why: "concepts: 8 to 128; 32 will be fine, 8 for simple clothing, poses and backgrounds".to_owned(),
        },
        Category::Vehicle => Rank {
            rank: 64,
            why: "vehicles lie between characters C and G: 32 to 64, and 128 for full realism".to_owned(),
        },
    }
}

/// A rank of SD1.x brought to SDXL.
fn for_sdxl_rank(Rank { rank, why }: Rank) -> Rank {
    let fewer = (rank / 4).max(4);
    let note = format!(
        "{why}; in SDXL every unit of rank holds 3 to 4 times as much, so {fewer} for {rank}: play around with values \
         like 16, 24 or 32 where 64 worked in SD1.5"
    );
    Rank { rank: fewer, why: note }
}

/// What the guide says of training SDXL besides.
fn for_sdxl() -> [Setting; 2] {
    [
        Setting::new(
            "network_train_unet_only",
            true,
            "the text encoders are left alone: the guide could not train them",
        ),
        Setting::new("mixed_precision", "bf16", "recommended for SDXL, which is large"),
    ]
}

fn resolution(question: &Question) -> Setting {
    if question.family == Family::Sdxl {
        return Setting::new(
            "resolution",
            1024,
            "the size that SDXL was made for; a step takes about four times longer",
        );
    }
    match question.category {
        Category::Style => {
            Setting::new("resolution", 576, "styles: 576 to 768; 576 has been improving bakes consistently")
        }
        _ => Setting::new("resolution", 512, "512 is a fine default; 576 shows more detail and takes longer"),
    }
}

fn alpha(question: &Question, rank: u32) -> Setting {
    match question.optimizer {
        Learner::AdamW8bit => {
            let alpha = (rank / 2).max(1);
            Setting::new(
                "network_alpha",
                alpha,
                format!("from 1 to the rank; half of it is a brake of 1/2, and {rank} is none"),
            )
        }
        _ => Setting::new(
            "network_alpha",
            1,
            "between 1 and half of the rank, of which 1 seems best: the optimizer makes up for the brake",
        ),
    }
}

/// Rates by hand, for an optimizer that does not adapt them.
fn rates(question: &Question) -> [Setting; 4] {
    let (text, what) = match question.category {
        Category::Style => ("4e-5", "styles"),
        Category::Concept => ("4.5e-5", "concepts"),
        _ if question.bad_images => ("4.5e-5", "characters with bad images"),
        _ => ("5e-5", "characters"),
    };
    [
        Setting::new("optimizer_type", "AdamW8bit", "the default of most trainers, so far the most well tested"),
        Setting::new("unet_lr", "1e-4", "the standard value for everything"),
        Setting::new("text_encoder_lr", text, format!("{text} for {what}; less than the UNet's")),
        Setting::new("lr_scheduler", "cosine_with_restarts", "seems to be the most effective of all the schedules"),
    ]
}

/// Steps that the guide aims for.
fn steps(question: &Question) -> (u32, &'static str) {
    match question.category {
        Category::Style => (3000, "styles take about 3000 steps"),
        Category::Concept => {
            (1500, "the guide leaves open how many steps a concept takes; 1000 is the least that sticks")
        }
        _ if question.bad_images => (1600, "bad images take 1600 steps and more"),
        Category::Character('A'..='D') => (1000, "about 1000 steps are needed for things to stick"),
        Category::Character(_) | Category::Vehicle => {
            (1500, "what is not a usual human takes about 1500 steps, and more training time")
        }
    }
}

fn length(question: &Question) -> [Setting; 2] {
    let (steps, why) = steps(question);
    let per_epoch = question.images.max(1) * if question.bad_images { 2 } else { 1 };
    let epochs = steps.div_ceil(per_epoch);
    let regularized = if question.bad_images { " and as many regularization images" } else { "" };
    let sum = format!(
        "{why}: {} × 1 repeat{regularized} × {} = {}",
        count(question.images, "image"),
        count(epochs, "epoch"),
        count(u64::from(per_epoch) * u64::from(epochs), "step")
    );
    let every = (epochs / 4).clamp(1, 4);
    [
        Setting::new("max_train_epochs", epochs, sum),
        Setting::new(
            "save_every_n_epochs",
            every,
            "a snapshot every 4 epochs or so; if the end is burned, an earlier one may be fine",
        ),
    ]
}

/// What speaks against these images.
fn warnings(question: &Question) -> Vec<String> {
    let Question { category, images, bad_images, .. } = *question;
    let mut warnings = Vec::new();
    let (least, most) = match category {
        Category::Character(_) | Category::Vehicle if bad_images => (15, 30),
        Category::Character(_) | Category::Vehicle => (35, 100),
        Category::Style => (100, u32::MAX),
        Category::Concept => (50, 2000),
    };
    if images < least {
        let route = match category {
            Category::Character(_) if !bad_images => "; --bad_images advises for such a set",
            _ => "",
        };
        warnings.push(format!("the guide starts from {least} images for this, and you have {images}{route}"));
    }
    if images > most {
        warnings.push(format!("the guide stops at {most} images for this; {images} may be more than are needed"));
    }
    warnings
}

//! Advice against the guide's own tables (guide_tables.txt: their rows as they stand there).

use std::path::Path;

use lorabake_recipe::guide::advise::advise;
use lorabake_recipe::guide::question::{Category, Learner, Question};
use lorabake_recipe::model::Family;
use lorabake_recipe::network::Scope;
use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::train::Duration;
use lorabake_recipe::{Recipe, parse_toml};

const TABLES: &str = include_str!("guide_tables.txt");
const LEARNERS: [Learner; 3] = [Learner::DAdaptAdam, Learner::Prodigy, Learner::AdamW8bit];

fn question(category: &str, images: u32) -> Question {
    let category = category.parse::<Category>().unwrap();
    Question { category, images, bad_images: false, optimizer: Learner::default(), family: Family::Sd1 }
}

/// The advice as `lorabake train` reads it; it has to be complete.
fn recipe(question: &Question) -> Recipe {
    let text = advise(question);
    let parsed = parse_toml(&text, Path::new("advice.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let notes: Vec<&str> = parsed.notes.iter().map(|note| note.option.as_str()).collect();
    assert_eq!(notes, ["pretrained_model_name_or_path", "seed"], "{text}");
    parsed.recipe
}

/// `8-32` or `64`, the last such word of the row before the training types; a question mark is the guide's doubt.
fn ranks(row: &str) -> (usize, usize) {
    let end = ["Textual", "LoRA-LierLa"].iter().filter_map(|word| row.find(word)).min().unwrap();
    let word = row[..end].trim().rsplit(' ').next().unwrap().trim_end_matches('?');
    let (low, high) = word.split_once('-').unwrap_or((word, word));
    (low.parse().unwrap(), high.parse().unwrap())
}

#[test]
fn ranks_of_characters_lie_in_the_guides_ranges() {
    let rows: Vec<&str> = TABLES.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let (low, high) = ranks(row);
        for images in [10, 34, 35, 60, 100, 1000] {
            let rank = recipe(&question(&row[..1], images)).network.linear.rank;
            assert!((low..=high).contains(&rank), "{row}: {rank}");
        }
    }
}

#[test]
fn rates_and_steps_by_hand_are_those_of_the_starting_settings() {
    for (row, category, bad_images) in [
        ("Character (good", "C", false),
        ("Character (bad", "C", true),
        ("Style", "style", false),
        ("Concept", "concept", false),
    ] {
        let row = TABLES.lines().find(|line| line.starts_with(row)).unwrap();
        let rates: Vec<f64> =
            row.split(' ').filter(|word| word.starts_with("0.0")).map(|w| w.parse().unwrap()).collect();
        let asked = Question { bad_images, optimizer: Learner::AdamW8bit, ..question(category, 100) };
        let recipe = recipe(&asked);
        assert_eq!(vec![recipe.optim.unet_lr, recipe.optim.text_encoder_lr], rates, "{row}");
        assert_eq!(recipe.data.reg_dir.is_some(), row.contains(" Yes "), "{row}");
        let Duration::Epochs(epochs) = recipe.train.duration else { panic!("{:?}", recipe.train.duration) };
        let steps = epochs * if bad_images { 200 } else { 100 };
        let wanted =
            row.split(' ').find_map(|word| word.strip_suffix('+')?.trim_start_matches('~').parse::<u64>().ok());
        // "100-10000+" is a number of images; a concept's steps are to be determined.
        let wanted = if category == "concept" { 1000 } else { wanted.unwrap() };
        assert!((wanted..wanted + 501).contains(&steps), "{row}: {steps}");
    }
}

#[test]
fn adaptive_learners_get_the_easy_settings() {
    for (learner, name) in LEARNERS.into_iter().zip(["DAdaptAdam", "Prodigy", "AdamW8bit"]) {
        for category in ["A", "E", "I", "style", "concept", "vehicle"] {
            let recipe = recipe(&Question { optimizer: learner, ..question(category, 60) });
            assert_eq!(recipe.optim.optimizer.name(), name);
            let adapts = learner != Learner::AdamW8bit;
            assert_eq!(recipe.optim.unet_lr == 1.0, adapts, "{category} {name}");
            assert_eq!(recipe.network.linear.alpha == 1.0, adapts, "{category} {name}");
            assert_eq!(recipe.diffusion.min_snr_gamma, Some(5.0));
        }
    }
    let Optimizer::DAdaptAdam(own) = recipe(&question("C", 60)).optim.optimizer else { panic!() };
    assert_eq!((own.decouple, own.weight_decay, own.betas), (true, 0.01, (0.9, 0.999)));
}

#[test]
fn each_value_has_its_reason_above_it() {
    let text = advise(&question("C", 60));
    let lines: Vec<&str> = text.lines().collect();
    let values = (1..lines.len()).filter(|&at| lines[at].contains(" = ") && !lines[at].starts_with('#'));
    let mut count = 0;
    for at in values {
        assert!(lines[at - 1].starts_with("# "), "{}", lines[at]);
        count += 1;
    }
    assert!(count > 15, "{text}");
    assert!(lines.iter().all(|line| line.chars().count() <= 120), "{text}");
    let epochs = "# about 1000 steps are needed for things to stick: 60 images × 1 repeat × 17 epochs = 1020 steps\n\
                  max_train_epochs = 17\n";
    assert!(text.contains(epochs), "{text}");
    assert!(
        text.contains("# category C (very elaborate details, wings, armour, tails): ranks 8 to 32; the upper end"),
        "{text}"
    );
}

#[test]
fn too_few_images_and_unknown_categories_are_named() {
    assert!(advise(&question("C", 12)).contains("starts from 35 images for this, and you have 12; --bad_images"));
    assert!(!advise(&question("C", 60)).contains("careful"));
    let error = "J".parse::<Category>().unwrap_err();
    assert!(error.starts_with("use style, concept, vehicle, or for a character one of: A simple"), "{error}");
}

/// The guide on SDXL: "a XL rank 16 may fit a similar amount of learning as a 1.5 rank 64".
#[test]
fn sdxl_needs_a_quarter_of_the_rank() {
    for optimizer in LEARNERS {
        let asked = Question { optimizer, family: Family::Sdxl, ..question("D", 60) };
        let recipe = recipe(&asked);
        assert_eq!((recipe.network.linear.rank, recipe.data.resolution), (16, (1024, 1024)));
        assert_eq!(recipe.network.scope, Scope::UnetOnly);
        assert!(advise(&asked).replace("\n# ", " ").contains("holds 3 to 4 times as much"));
    }
}

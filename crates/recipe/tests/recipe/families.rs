//! What options mean for SD2.x and SDXL, once the checkpoint has said what it is.

use lorabake_recipe::model::Family;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::blocks::Numbering;
use lorabake_recipe::{CheckpointFacts, Recipe, parse_toml};

use crate::{ENOUGH, found, notes_with, parse, problems_with};

fn recipe(more: &str, found: CheckpointFacts) -> Recipe {
    let parsed = parse(&format!("{ENOUGH} {more}")).unwrap_or_else(|error| panic!("{more}: {error}"));
    parsed.with(found).unwrap_or_else(|error| panic!("{more}: {error}")).recipe
}

const XL: CheckpointFacts = CheckpointFacts { family: Family::Sdxl, velocity: None, zero_terminal_snr: false };
const SD2: CheckpointFacts = CheckpointFacts { family: Family::Sd2, velocity: None, zero_terminal_snr: false };

#[test]
fn the_file_says_what_it_is_and_options_must_not_say_otherwise() {
    assert_eq!(recipe("", XL).model.family, Some(Family::Sdxl));
    assert_eq!(recipe("--v2", SD2).model.family, Some(Family::Sd2));
    assert_eq!(recipe("--sdxl", XL).model.family, Some(Family::Sdxl));
    let wrong = |more: &str, found| problems_with(&format!("{ENOUGH} {more}"), found);
    assert_eq!(wrong("--v2", XL), "--v2: the checkpoint is SDXL; leave it out\n");
    assert_eq!(wrong("--sdxl", found(Family::Sd1)), "--sdxl: the checkpoint is SD1.x; leave it out\n");
    assert!(wrong("--v2 --sdxl", XL).starts_with("--v2: --sdxl says something else"));
    let kept = parse_toml(&recipe("", XL).to_toml().unwrap(), "x.toml".as_ref()).unwrap().recipe;
    assert_eq!(kept.model.family, Some(Family::Sdxl), "the recipe inside a LoRA says so, too");
}

#[test]
fn rates_of_two_text_encoders() {
    let rates = |more: &str| {
        let optim = recipe(more, XL).optim;
        (optim.text_encoder_lr, optim.text_encoder2_lr)
    };
    assert_eq!(rates("--text_encoder_lr=5e-5"), (5e-5, 5e-5));
    assert_eq!(rates("--text_encoder_lr 5e-5 1e-5"), (5e-5, 1e-5));
    assert_eq!(rates("--text_encoder_lr 0 1e-5"), (0.0, 1e-5));
    assert_eq!(rates("--text_encoder_lr 1e-5 0"), (1e-5, 0.0));
    assert_eq!(rates(""), (1e-4, 1e-4));
    assert_eq!(rates("--optimizer_type=Prodigy --learning_rate=1 --text_encoder_lr 1 0"), (1.0, 0.0));
    let kept = recipe("--text_encoder_lr 0 1e-5", XL);
    let again = parse_toml(&kept.to_toml().unwrap(), "x.toml".as_ref()).unwrap();
    assert_eq!(again.recipe.optim, kept.optim);
    let wrong = |more: &str, found| problems_with(&format!("{ENOUGH} {more}"), found);
    let first = notes_with(&format!("{ENOUGH} --text_encoder_lr 1e-5 2e-5"), SD2);
    assert!(first.contains("only 0.00001 is used: Stable Diffusion 2.x has one text encoder"), "{first}");
    assert!(wrong("--text_encoder_lr 1e-5 1e-5 1e-5", XL).contains("SDXL has two text encoders"));
    assert!(wrong("--text_encoder_lr 0 0", XL).contains("nothing is learnt at rate 0"));
}

#[test]
fn sizes() {
    let notes = |found| notes_with(&ENOUGH.replace("--resolution=512", ""), found);
    assert_eq!(notes(XL), "--resolution: not given, so 1024 pixels are used\n");
    assert!(notes(SD2).contains("not given, so 768 pixels are used"));
    assert_eq!(recipe("--enable_bucket --bucket_reso_steps=32", XL).data.buckets.unwrap().step, 32);
    assert_eq!(recipe("--resolution=544", XL).data.resolution, (544, 544));
    let without = format!("{} --enable_bucket --min_bucket_reso=640", ENOUGH.replace("--resolution=512", ""));
    assert_eq!(parse(&without).unwrap().with(XL).unwrap().recipe.data.buckets.unwrap().min, 640);
    assert!(problems_with(&without, found(Family::Sd1)).contains("more than the shorter side"));
    let wrong = |more: &str| problems_with(&format!("{ENOUGH} {more}"), XL);
    assert!(wrong("--enable_bucket --bucket_reso_steps=48").contains("cannot be trained on multiples of 48"));
    assert!(wrong("--sdxl --resolution=520").contains("is not a multiple of 32 pixels"));
    assert!(problems_with(&format!("{ENOUGH} --resolution=544"), SD2).contains("is not a multiple of 64 pixels"));
}

#[test]
fn layers_of_the_text_encoders_are_fixed() {
    assert!(notes_with(&format!("{ENOUGH} --clip_skip=2"), XL).starts_with("--clip_skip: has no effect with SDXL"));
    assert_eq!(notes_with(&format!("{ENOUGH} --clip_skip=2 --v_parameterization"), SD2), "");
    // sd-scripts takes 23 of OpenCLIP's 24 layers for SD2.x; CLIP has 12.
    assert_eq!(recipe("--clip_skip=23", SD2).model.clip_skip, 23);
    assert_eq!(recipe("--clip_skip=12", found(Family::Sd1)).model.clip_skip, 12);
    let wrong = |more: &str, found| problems_with(&format!("{ENOUGH} {more}"), found);
    for one in [found(Family::Sd1), XL] {
        assert!(wrong("--clip_skip=13", one).starts_with("--clip_skip: 13 is not a layer of the text encoder; use 2"));
    }
    let problems = parse(&format!("{ENOUGH} --v2 --clip_skip=24")).unwrap_err().to_string();
    assert!(problems.contains("--clip_skip: 24 is not a layer of the text encoder; use 1 to 23"), "{problems}");
    assert!(parse(&format!("{ENOUGH} --clip_skip=24")).is_err());
}

#[test]
fn what_is_predicted_comes_from_the_file_unless_it_is_typed() {
    let says = |velocity, zero_terminal_snr| CheckpointFacts { velocity, zero_terminal_snr, ..XL };
    let of = |more: &str, found| {
        let diffusion = recipe(more, found).diffusion;
        (diffusion.v_parameterization, diffusion.zero_terminal_snr)
    };
    assert_eq!(of("", says(None, false)), (false, false));
    assert_eq!(of("", says(Some(true), false)), (true, false));
    assert_eq!(of("", says(Some(true), true)), (true, true));
    assert_eq!(of("--v_parameterization=false", says(Some(true), true)), (false, false));
    assert_eq!(of("--zero_terminal_snr=false", says(Some(true), true)), (true, false));
    assert_eq!(of("--v_parameterization --zero_terminal_snr", says(None, false)), (true, true));
    let notes = notes_with(&format!("{ENOUGH} --v_parameterization"), says(Some(false), false));
    assert_eq!(notes, "--v_parameterization: the checkpoint says that it predicts noise; the option wins\n");
    assert!(notes_with(ENOUGH, SD2).contains("those for 768 pixels predict v and need this option"));
}

/// The lists of sd-scripts for SDXL: one factor for each of 9, 3 and 9 blocks, one rank for each of 23.
#[test]
fn lists_for_sdxl() {
    let lists = "--network_args down_lr_weight=0,1,1,1,1,1,1,1,0.5 mid_lr_weight=1,0.25,1 up_lr_weight=zeros+0.75";
    let blocks = recipe(lists, XL).network.blocks;
    assert_eq!((blocks.numbering, blocks.numbering.count()), (Numbering::Sdxl, 23));
    let lr = blocks.lr.clone().unwrap();
    assert_eq!((lr.len(), lr[0], lr[1], lr[9], lr[11], lr[13], lr[22]), (23, 1.0, 0.0, 0.5, 0.25, 0.75, 1.0));
    let names = [0, 1, 9, 10, 12, 13, 21, 22].map(|block| blocks.numbering.name(block));
    assert_eq!(names, ["BASE", "IN00", "IN08", "M00", "M02", "OUT00", "OUT08", "END"]);
    let named = recipe("--block_lr_weight IN00=0,IN08=0.5,M01=0.25,OUT=0.75", XL).network.blocks;
    assert_eq!(named, blocks);
    let ranks = (1..=23).map(|rank| rank.to_string()).collect::<Vec<_>>().join(",");
    let sized = recipe(&format!("--network_args block_dims={ranks}"), XL).network;
    assert_eq!(sized.blocks.size(11, false, sized.linear), Some(RankAlpha { rank: 12, alpha: 16.0 }));
    let wrong = |more: &str, found| problems_with(&format!("{ENOUGH} {more}"), found);
    assert!(wrong(&format!("--network_args block_dims={ranks}"), SD2).contains("(23 is for SDXL)"));
    assert!(wrong(&format!("--network_args block_dims={ranks},1,1"), XL).contains("and SDXL has 23 blocks"));
    assert!(wrong("--block_lr_weight IN09=0", XL).contains("IN00 to IN08"));
}

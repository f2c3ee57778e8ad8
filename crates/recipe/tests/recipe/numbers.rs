//! Every number that may be typed, at the ends of its range and beyond: it works, or it is refused by its name.

use std::any::TypeId;
use std::path::Path;

use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::{ParseError, command, parse_toml};

use crate::{ENOUGH, parse};

const ENDS: [&str; 14] = [
    "0",
    "-0",
    "1",
    "-1",
    "65536",
    "4294967295",
    "18446744073709551616",
    "1e308",
    "-1e308",
    "1e-320",
    "nan",
    "inf",
    "-inf",
    "x",
];

/// The line is taken, and its recipe can be written down and read again; or each problem tells of `name`.
fn check(line: &str, name: &str) {
    match parse(line) {
        Ok(parsed) => {
            let text = parsed.recipe.to_toml().unwrap();
            let again =
                parse_toml(&text, Path::new("r.toml")).unwrap_or_else(|error| panic!("{line}: {error}\n{text}"));
            assert_eq!(again.recipe, parsed.recipe, "{line}");
        }
        Err(ParseError::Unusable(problems)) => {
            for problem in problems.0 {
                assert!(problem.to_string().contains(name), "{line}: {problem}");
            }
        }
        Err(asked) => panic!("{line}: {asked}"),
    }
}

#[test]
fn every_number_works_or_is_refused_by_its_name() {
    let mut count = 0;
    for arg in command().get_arguments() {
        let Some(name) = arg.get_long() else { continue };
        let type_id = arg.get_value_parser().type_id();
        if type_id != TypeId::of::<u32>() && type_id != TypeId::of::<f64>() {
            continue;
        }
        count += 1;
        for end in ENDS {
            let needs =
                "--enable_bucket --lr_scheduler=polynomial --loss_type=huber --noise_offset=0.1 --trigger_word=a";
            check(&format!("{ENOUGH} {needs} --{name}={end}"), name);
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_number_of_a_list_works_or_is_refused_by_its_name() {
    for optimizer in Optimizer::all() {
        let rate = if optimizer.adapts() { 1.0 } else { 1e-4 };
        for key in optimizer.keys() {
            for end in ENDS {
                let line = format!("{ENOUGH} --learning_rate={rate} --optimizer_type={}", optimizer.name());
                check(&format!("{line} --optimizer_args {key}={end}"), key);
                check(&format!("{line} --optimizer_args {key}=0.9,{end}"), key);
            }
        }
    }
    let twenty_five = |end: &str| [end; 25].join(",");
    for end in ENDS {
        for key in ["conv_dim", "conv_alpha", "dropout", "rank_dropout", "module_dropout", "loraplus_lr_ratio"] {
            let more = if key == "conv_alpha" { "conv_dim=1" } else { "" };
            check(&format!("{ENOUGH} --network_args {more} {key}={end}"), key);
        }
        for key in ["block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas"] {
            let dims = if key == "block_dims" { String::new() } else { format!("block_dims={}", twenty_five("1")) };
            check(&format!("{ENOUGH} --network_args {dims} {key}={}", twenty_five(end)), "block_");
        }
        for key in ["mid_lr_weight", "block_lr_zero_threshold"] {
            check(&format!("{ENOUGH} --network_args up_lr_weight=sine {key}={end}"), key);
        }
        check(&format!("{ENOUGH} --block_lr_weight=IN04={end}"), "block_lr_weight");
        check(&format!("{ENOUGH} --lr_scheduler=cosine --lr_warmup_steps={end}"), "lr_warmup_steps");
        check(&format!("{ENOUGH} --network_module=networks.dylora --network_args unit={end}"), "unit");
        for (algo, key) in [("lokr", "factor"), ("lokr", "conv_dim"), ("loha", "conv_dim"), ("dylora", "block_size")] {
            let line = format!("{ENOUGH} --network_module=lycoris.kohya --network_args algo={algo}");
            check(&format!("{line} {key}={end}"), key);
        }
    }
}

//! Ranks and learning rates of single blocks.

use lorabake_recipe::model::Family;
use lorabake_recipe::network::blocks::{Blocks, Numbering};
use lorabake_recipe::network::{Network, RankAlpha};

use crate::{ENOUGH, found, parse};

fn network(more: &str) -> Network {
    let parsed = parse(&format!("{ENOUGH} {more}")).unwrap_or_else(|error| panic!("{more}: {error}"));
    parsed.with(found(Family::Sd1)).unwrap_or_else(|error| panic!("{more}: {error}")).recipe.network
}

/// Expected values: oracle/block_weights.py.
#[test]
fn lists_and_curves_give_the_factors_of_sd_scripts() {
    let table = include_str!("block_weights.txt");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 16);
    for case in lines.chunks(2) {
        let [typed, expected] = case else { panic!("{case:?}") };
        let expected: Vec<f64> = expected.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let ours = network(&format!("--network_args {typed}")).blocks.lr.unwrap();
        assert_eq!(expected.len(), Numbering::Sd.count());
        for (block, (ours, expected)) in ours.iter().zip(&expected).enumerate() {
            // The last digit of a sine is the library's.
            assert!(
                (ours - expected).abs() < 1e-15,
                "{typed}: {} is {ours}, not {expected}",
                Numbering::Sd.name(block)
            );
        }
    }
}

#[test]
fn named_blocks_are_the_lists_by_other_words() {
    let named = network("--block_lr_weight IN=0,IN04=0.2,M00=0.5,OUT=0.1,OUT03-OUT05=1").blocks;
    let lists = "--network_args down_lr_weight=0,0,0,0,0.2,0,0,0,0,0,0,0 mid_lr_weight=0.5 \
                 up_lr_weight=0.1,0.1,0.1,1,1,1,0.1,0.1,0.1,0.1,0.1,0.1";
    assert_eq!(named, network(lists).blocks);
    assert_eq!(
        network("--block_lr_weight in04-in05=0.2").blocks.lr.map(|lr| lr[3..7].to_vec()),
        Some(vec![1.0, 0.2, 0.2, 1.0])
    );
    let below = network("--block_lr_weight ALL=0.3,M00=0.1 --network_args block_lr_zero_threshold=0.1").blocks;
    assert_eq!((below.lr(11), below.lr(12)), (0.3, 0.0));
    assert_eq!([0, 11, 12, 13, 24].map(|block| Numbering::Sd.name(block)), ["IN00", "IN11", "M00", "OUT00", "OUT11"]);
}

#[test]
fn ranks_and_alphas_are_the_blocks_own_where_given() {
    let usual = RankAlpha { rank: 32, alpha: 16.0 };
    let one_to = |last: usize| (1..=last).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let dims = network(&format!("--network_args block_dims={} mid_lr_weight=0", one_to(25)));
    assert_eq!(dims.blocks.size(3, false, dims.linear), Some(RankAlpha { rank: 4, alpha: 16.0 }));
    assert_eq!((dims.blocks.size(12, false, dims.linear), dims.conv), (None, None));
    let zero = network(&format!("--network_args block_dims=0,{} --network_alpha=0", one_to(24)));
    assert_eq!(zero.blocks.size(0, false, usual), None);
    assert_eq!(zero.blocks.size(5, false, usual), Some(RankAlpha { rank: 5, alpha: 5.0 }));
    let conv = network(&format!("--network_args conv_block_dims={} conv_alpha=3 up_lr_weight=zeros+1", one_to(25)));
    assert_eq!(conv.blocks.linear, None);
    assert_eq!(conv.blocks.size(7, true, usual), Some(RankAlpha { rank: 8, alpha: 3.0 }));
    assert_eq!(conv.blocks.size(7, false, usual), Some(usual));
    assert!(conv.conv.is_some(), "3x3 convolutions are trained");
    let everywhere = network("--network_args conv_dim=2 conv_alpha=1 down_lr_weight=zeros");
    assert_eq!(everywhere.blocks.size(20, true, everywhere.conv.unwrap()), Some(RankAlpha { rank: 2, alpha: 1.0 }));
    let ignored = network(&format!("--network_args conv_block_dims={} conv_dim=2", one_to(25)));
    assert_eq!(ignored.blocks, Blocks::default());
}

#[test]
fn a_ratio_of_one_part_wins_over_that_of_both() {
    let plus = network("--network_args loraplus_lr_ratio=16 loraplus_text_encoder_lr_ratio=4").lora_plus;
    assert_eq!((plus.unet, plus.text_encoder), (Some(16.0), Some(4.0)));
    let plus = network("--network_args loraplus_unet_lr_ratio=8").lora_plus;
    assert_eq!((plus.unet, plus.text_encoder), (Some(8.0), None));
}

//! Kinds of adapter and their `--network_args`.

use lorabake_recipe::network::adapter::{AdapterSettings, Dropout, Lycoris, Side};
use lorabake_recipe::network::algo::{Algo, Dialect, Lokr, RankBlocks};
use lorabake_recipe::network::lycoris_preset::Class;
use lorabake_recipe::network::{Network, RankAlpha};

use crate::{ENOUGH, notes, parse, problems};

const LYCORIS: &str = "--network_module=lycoris.kohya --network_args";

fn network(words: &str) -> Network {
    parse(&format!("{ENOUGH} {words}")).unwrap_or_else(|error| panic!("{words}: {error}")).recipe.network
}

fn lycoris(args: &str) -> Lycoris {
    match network(&format!("{LYCORIS} {args}")).adapter {
        AdapterSettings::Lycoris(lycoris) => *lycoris,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_algorithm_has_its_settings() {
    let lokr = Lokr { factor: Some(8), decompose_both: true, full_matrix: false, unbalanced: true };
    for (args, algo) in [
        ("algo=locon", Algo::Lora),
        ("algo=LoHa", Algo::Loha),
        ("algo=lokr", Algo::Lokr(Lokr::default())),
        ("algo=lokr factor=-1 decompose_both=False", Algo::Lokr(Lokr::default())),
        ("algo=lokr factor=8 decompose_both=True unbalanced_factorization=1", Algo::Lokr(lokr)),
        ("algo=lokr full_matrix=True", Algo::Lokr(Lokr { full_matrix: true, ..Lokr::default() })),
        ("algo=ia3", Algo::Ia3),
        ("algo=dylora", Algo::DyLora(RankBlocks { size: 4, dialect: Dialect::Lycoris })),
        ("algo=dylora block_size=8", Algo::DyLora(RankBlocks { size: 8, dialect: Dialect::Lycoris })),
    ] {
        assert_eq!(lycoris(args).algo, algo, "{args}");
    }
    let unit = network("--network_module=networks.dylora --network_args unit=4").adapter;
    assert_eq!(unit, AdapterSettings::DyLora(RankBlocks { size: 4, dialect: Dialect::Kohya }));
    let dora = |args: &str| (lycoris(args).dora, lycoris(args).tucker, lycoris(args).rs);
    assert_eq!(dora("algo=lora"), (None, false, false));
    assert_eq!(dora("dora_wd=True use_cp=True rs_lora=True"), (Some(Side::Outputs), true, true));
    assert_eq!(dora("dora_wd=True wd_on_output=False use_tucker=false"), (Some(Side::Inputs), false, false));
}

#[test]
fn convolutions_are_asked_for_in_one_program_and_left_out_in_the_other() {
    let size = |rank, alpha| Some(RankAlpha { rank, alpha });
    assert_eq!(network("").conv, None);
    assert_eq!(network("--network_args conv_dim=8").conv, size(8, 1.0));
    assert_eq!(network(&format!("{LYCORIS} algo=loha")).conv, size(32, 16.0));
    assert_eq!(network(&format!("{LYCORIS} algo=loha conv_dim=8 conv_alpha=2")).conv, size(8, 2.0));
    assert_eq!(network(&format!("{LYCORIS} algo=loha conv_dim=0")).conv, None);
}

#[test]
fn dropout_acts_where_the_original_has_it() {
    let all = "--network_dropout=0.1 --network_args rank_dropout=0.2 module_dropout=0.3";
    assert_eq!(network(all).dropout, Dropout { neuron: 0.1, rank: 0.2, module: 0.3 });
    let both = network("--network_dropout=0.1 --network_args dropout=0.4").dropout;
    assert_eq!(both.neuron, 0.4, "the argument wins, as in sd-scripts");
    let words = format!("{ENOUGH} --network_dropout=0.1 {LYCORIS} algo=ia3 rank_dropout=0.2 module_dropout=0.3");
    assert_eq!(parse(&words).unwrap().recipe.network.dropout, Dropout { neuron: 0.0, rank: 0.0, module: 0.3 });
    let said = notes(&words);
    assert!(said.contains("--network_dropout: has no effect with this network_module"), "{said}");
    assert!(said.contains("rank_dropout has no effect with this algo"), "{said}");
    let lokr = notes(&format!("{ENOUGH} {LYCORIS} algo=loha factor=8"));
    assert!(lokr.contains("algo=lokr only"), "{lokr}");
}

#[test]
fn wrong_arguments_are_named() {
    for (words, said) in [
        ("--network_args algo=loha", "there is no `algo`"),
        (&format!("{LYCORIS} algo=oft2"), "there is no such algorithm"),
        (&format!("{LYCORIS} algo=glora"), "does not support it yet; use lora, locon, loha, lokr, ia3 or dylora"),
        (&format!("{LYCORIS} algo=loha use_tucker=maybe"), "use_tucker=maybe is neither True nor False"),
        (&format!("{LYCORIS} algo=ia3 dora_wd=True"), "dora_wd means nothing with this algo"),
        (&format!("{LYCORIS} algo=dylora block_size=5"), "block_size=5 does not divide the rank 32"),
        (&format!("{LYCORIS} rank_dropout=1"), "rank_dropout=1 makes no sense"),
        (&format!("{LYCORIS} bypass_mode=True"), "bypass_mode=True is not supported"),
        (&format!("{LYCORIS} train_norm=True"), "`train_norm` is known to sd-scripts"),
        (&format!("{LYCORIS} preset=atn-mlp"), "there is no such preset; give a preset file (TOML), or one of full"),
        (&format!("{LYCORIS} preset=no/such.toml"), "the file cannot be read"),
        ("--network_module=networks.dylora --network_args unit=3", "unit=3 does not divide the rank 32"),
        ("--network_module=networks.dylora --network_args conv_dim=4", "make conv_dim equal to network_dim"),
        ("--network_module=networks.dylora --network_args rank_dropout=0.1", "there is no `rank_dropout`"),
        (&format!("{LYCORIS} algo=dylora conv_dim=6"), "block_size=4 does not divide conv_dim=6"),
        ("--network_dropout=1.5", "1.5 makes no sense"),
    ] {
        let found = problems(&format!("{ENOUGH} {words}"));
        assert!(found.contains(said), "{words}: {found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

fn preset(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    std::fs::write(&path, text).unwrap();
    let words = format!("{ENOUGH} {LYCORIS} algo=ia3 preset={}", path.display());
    match parse(&words) {
        Ok(parsed) => match parsed.recipe.network.adapter {
            AdapterSettings::Lycoris(lycoris) => {
                let change = |path: &str| lycoris.preset.change_of(path).map(|change| (change.on_input, change.dim));
                let targets = (&lycoris.preset.unet.classes, lycoris.preset.enable_conv);
                let names = ["a.to_k", "b.a.to_k", "x.fc2"].map(|p| lycoris.preset.unet.names[0].matches(p));
                let notes: Vec<_> = parsed.notes.iter().map(ToString::to_string).collect();
                format!("{targets:?} {names:?} {:?} {}", change("x.fc2"), notes.join("; "))
            }
            other => panic!("{other:?}"),
        },
        Err(error) => error.to_string(),
    }
}

#[test]
fn presets_come_from_files_with_the_keys_of_lycoris() {
    let start = "enable_conv = false\nunet_target_module = ['ResnetBlock2D', 'HunYuanDiTBlock']\n";
    let read = preset(&format!("{start}unet_target_name = ['a\\.to_.']\n[name_algo_map.'.*\\.fc2']\ndim = 3\n"));
    assert!(read.starts_with("([Resnet], false) [true, false, false] Some((false, Some(3)))"), "{read}");
    let on =
        preset(&format!("{start}unet_target_name = ['.*\\.to_k']\n[name_algo_map.'.*fc2']\ntrain_on_input = true\n"));
    assert!(on.contains("[true, true, false] Some((true, None))"), "{on}");
    // Python's toml library leaves the doubled backslashes of a double-quoted key as they are.
    let doubled = preset(&format!(
        "{start}unet_target_name = ['.*to_k']\n[name_algo_map.\".*\\\\.fc2\"]\ntrain_on_input = true\n"
    ));
    assert!(doubled.contains("None") && doubled.contains("matches nothing"), "{doubled}");
    let shell = preset(&format!("{start}use_fnmatch = true\nunet_target_name = ['*.to_?']\n"));
    assert!(shell.contains("[true, true, false]"), "{shell}");
    for (text, said) in [
        ("unet_target_name = ['(']", "`(`:"),
        ("unet_targets = []", "unknown field `unet_targets`"),
        ("[name_algo_map.a]\nuse_scalar = true", "unknown field `use_scalar`"),
        ("[name_algo_map.a]\ndim = 0", "dim 0 makes no sense"),
        ("[name_algo_map.a]\nalgo = 'boft'", "algo `boft` is not supported"),
    ] {
        let error = preset(text);
        assert!(error.contains(said), "{error}");
    }
    let full = lycoris("algo=lora").preset;
    assert_eq!(full.unet.classes, [Class::Transformer, Class::Resnet, Class::Downsample, Class::Upsample]);
    assert_eq!(full.unet.names.len(), 4);
}

//! What slows learning down, against the guide's table and the numbers of its text.

use lorabake_recipe::guide::dampening::dampening;

use crate::{ENOUGH, parse};

/// Setting, arrows and effect, for options that follow the usual ones.
fn rows(options: &str) -> Vec<(String, Option<f64>, String)> {
    let recipe = parse(&format!("{ENOUGH} {options}")).unwrap().recipe;
    dampening(&recipe).into_iter().map(|row| (row.setting, row.arrows, row.effect)).collect()
}

#[test]
fn alpha_over_rank_is_what_the_guide_shows() {
    // Its example has rank 128.
    for (alpha, scale) in [(1, "1 ÷ 128 = 0.0078"), (64, "64 ÷ 128 = 0.5000"), (256, "256 ÷ 128 = 2.0000")] {
        let rows = rows(&format!("--network_dim=128 --network_alpha={alpha}"));
        assert!(rows[0].2.contains(scale), "{rows:?}");
    }
    for alpha in [0, 128] {
        assert!(rows(&format!("--network_dim=128 --network_alpha={alpha}"))[0].2.contains("no brake"));
    }
    assert_eq!(rows("--network_dim=64 --network_alpha=32")[0].1, Some(4.0));
}

#[test]
fn each_setting_off_its_base_has_the_guides_arrows() {
    let arrows = |options: &str, setting: &str| {
        let rows = rows(options);
        rows.iter().find(|row| row.0 == setting).and_then(|row| row.1).unwrap_or_else(|| panic!("{rows:?}"))
    };
    assert_eq!(arrows("--resolution=576", "resolution 576"), 3.0);
    assert!((arrows("--noise_offset=0.2", "noise_offset 0.2") - 6.0).abs() < 1e-9);
    assert_eq!(arrows("--network_dim=32", "network_dim 32"), 2.0);
    assert_eq!(arrows("--network_dim=96 --network_alpha=96", "network_dim 96"), -2.0);
    assert_eq!(arrows("--min_snr_gamma=5", "min_snr_gamma 5"), 5.0);
    assert_eq!(rows("--network_dim=64 --network_alpha=64").len(), 1);
}

/// Numbers by torch in float64 from diffusers' scaled_linear betas: 0.7667, 0.9166, 0.9741; v-prediction 0.2943.
#[test]
fn min_snr_takes_away_what_torch_says() {
    for (options, share) in [
        ("--min_snr_gamma=1", "0.77"),
        ("--min_snr_gamma=5", "0.92"),
        ("--min_snr_gamma=20", "0.97"),
        ("--min_snr_gamma=5 --v_parameterization", "0.29"),
    ] {
        let rows = rows(options);
        let row = rows.iter().find(|row| row.0.starts_with("min_snr_gamma")).unwrap();
        assert!(row.2.starts_with(&format!("the loss counts {share} times")), "{options}: {}", row.2);
    }
}

//! The recorded cases that the repository carries.

use std::path::Path;

use lorabake_replay::{Outcome, replay};

#[test]
fn every_recorded_case_of_the_repository_comes_out_as_in_the_web_ui() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let reports = replay(&root.join("conformance-gen"), &root.join("models/tiny")).expect("the pack is whole");
    let mut wrong = Vec::new();
    let mut passed = 0;
    for report in &reports {
        for case in &report.cases {
            match &case.outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(why) | Outcome::Unsupported(why) => {
                    wrong.push(format!("{} {}: {why}", report.folder, case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{passed} passed, these did not:\n{}", wrong.join("\n"));
    assert!(passed > 0, "nothing was replayed");
}

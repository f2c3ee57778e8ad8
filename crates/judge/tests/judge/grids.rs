//! Grids by the embedded model: their order, what is shared, what is kept.

use anyhow::bail;
use lorabake_generate::easel::{Easel, ModelFacts};
use lorabake_generate::embedded;
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::png_text::PictureSettings;
use lorabake_judge::grid::{Asked, Folder, ModelChoice, Moment, Plan, paint};
use lorabake_recipe::model::Checkpoint;
use tempfile::TempDir;

use crate::given::painter;

fn easel() -> Easel {
    Easel::new(painter("pocket"), ModelFacts::of(&Checkpoint::Embedded, None))
}

fn asked(axes: [Option<&str>; 3]) -> Asked {
    let mut settings = PictureSettings {
        prompt: Some("a red heart".to_owned()),
        width: Some(64),
        height: Some(64),
        ..PictureSettings::default()
    };
    settings.sampling.steps = Some(1);
    settings.sampling.seed = Some(1);
    Asked {
        settings,
        library: Library::of_loras(Vec::new()),
        originals: Originals::default(),
        control: Vec::new(),
        model: ModelChoice { checkpoint: Checkpoint::Embedded, vae: None },
        axes: axes.map(|axis| axis.map(str::to_owned)),
        per_cell: 1,
        run: None,
        axis_lora: None,
    }
}

fn folder(dir: &TempDir) -> Folder {
    Folder { path: dir.path().to_owned(), begun: None, notes: Vec::new() }
}

#[test]
fn texts_are_encoded_once_for_all_pictures_that_share_them() {
    let mut asked = asked([Some("prompt=heart,star"), Some("cfg=3,7"), None]);
    asked.per_cell = 2;
    let plan = Plan::of(&asked).unwrap();
    assert_eq!((plan.pictures.len(), plan.work(|_| false).texts), (8, 2));
    let prompts: Vec<_> = plan.pictures.iter().map(|picture| picture.settings.prompt.as_deref().unwrap()).collect();
    assert_eq!(prompts, [["a red heart"; 4], ["a red star"; 4]].concat());
    let dir = tempfile::tempdir().unwrap();
    let painted = paint(&plan, &folder(&dir), &mut |_| Ok(easel()), &mut |_| true).unwrap();
    assert_eq!((painted.painted, painted.texts, painted.failed.len()), (8, 2, 0));
    let again = paint(&plan, &folder(&dir), &mut |_| bail!("not needed"), &mut |_| true).unwrap();
    assert_eq!((again.painted, again.found), (0, 8));
}

#[test]
fn what_is_stopped_goes_on_and_a_model_that_cannot_be_opened_fails_its_pictures() {
    let plan = Plan::of(&asked([Some("seed=1-4"), None, None])).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut written = 0;
    let stopped = paint(&plan, &folder(&dir), &mut |_| Ok(easel()), &mut |moment| {
        written += usize::from(matches!(moment, Moment::Written(_)));
        written < 2
    });
    let stopped = stopped.unwrap();
    assert_eq!((stopped.painted, stopped.is_stopped), (2, true));
    let failed = paint(&plan, &folder(&dir), &mut |_| bail!("no such file"), &mut |_| true).unwrap();
    assert_eq!((failed.found, failed.failed.len()), (2, 2));
    assert_eq!(failed.failed[0].why, "no such file");
    let rest = paint(&plan, &folder(&dir), &mut |_| Ok(easel()), &mut |_| true).unwrap();
    assert_eq!((rest.found, rest.painted), (2, 2));
}

#[test]
fn checkpoints_are_opened_once_each_and_never_two_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for name in ["one", "two"] {
        let path = dir.path().join(format!("{name}.safetensors"));
        std::fs::write(&path, embedded::bytes()).unwrap();
        paths.push(path.display().to_string());
    }
    let checkpoints = format!("checkpoint={},{}", paths[0], paths[1]);
    let plan = Plan::of(&asked([Some("seed=1,2"), Some(&checkpoints), Some("cfg=3,7")])).unwrap();
    assert_eq!(plan.models.len(), 2);
    let mut opened = Vec::new();
    let painted = paint(
        &plan,
        &folder(&dir),
        &mut |model| {
            opened.push(model.name.clone());
            Ok(easel())
        },
        &mut |_| true,
    );
    assert_eq!((painted.unwrap().painted, opened), (8, vec!["one".to_owned(), "two".to_owned()]));
}

#[test]
fn pictures_that_mean_the_same_are_painted_once() {
    // DDIM goes by timesteps, where a spacing has no effect.
    let mut asked = asked([Some("sampler=Euler,DDIM"), Some("scheduler=Karras,Exponential"), None]);
    asked.settings.sampling.steps = Some(2);
    let plan = Plan::of(&asked).unwrap();
    let twins: Vec<_> = plan.pictures.iter().filter_map(|picture| picture.twin.as_deref()).collect();
    assert_eq!(twins, ["x02-y01.png"]);
    let dir = tempfile::tempdir().unwrap();
    let mut steps = 0;
    let painted = paint(&plan, &folder(&dir), &mut |_| Ok(easel()), &mut |moment| {
        steps += usize::from(matches!(moment, Moment::Step { .. }));
        true
    });
    // Two pictures of two calls, and one by DDIM, which makes a call less.
    assert_eq!((painted.unwrap().painted, steps), (4, 5));
    let bytes = |file: &str| std::fs::read(dir.path().join("cells").join(file)).unwrap();
    assert_eq!(bytes("x02-y01.png"), bytes("x02-y02.png"));
    assert_ne!(bytes("x01-y01.png"), bytes("x01-y02.png"));
}

//! `lorabake grid`: what is written, how it goes on, what is refused.

use crate::sandbox::{Done, Sandbox, png_text};

/// Options of small pictures.
const SMALL: [&str; 4] = ["grid", "--prompt=a red heart", "--steps=2", "--width=64"];

fn grid(sandbox: &Sandbox, more: &[&str]) -> Done {
    sandbox.run(&[&SMALL[..], more].concat())
}

fn time_of(sandbox: &Sandbox, file: &str) -> std::time::SystemTime {
    std::fs::metadata(sandbox.path(file)).unwrap().modified().unwrap()
}

#[test]
fn cells_sheet_and_page_are_written_and_each_can_be_made_again() {
    let sandbox = Sandbox::new();
    let axes = ["--x=cfg=3,7", "--y=prompt=heart,star", "--seed=5"];
    let done = grid(&sandbox, &axes);
    assert_eq!((done.code, done.stdout.as_str()), (0, "out/grid/grid.png\nout/grid/grid.html\n"), "{}", done.stderr);
    let cells = ["x01-y01", "x01-y02", "x02-y01", "x02-y02"].map(|cell| format!("out/grid/cells/{cell}.png"));
    let others = ["out/grid/grid.html", "out/grid/grid.json", "out/grid/grid.png"].map(str::to_owned);
    assert_eq!(sandbox.files("out"), [&cells[..], &others[..]].concat());
    let said = png_text(&sandbox.path(&cells[1]));
    assert!(said.starts_with("a red star\n") && said.contains("CFG scale: 3, Seed: 5"), "{said}");
    let again = sandbox.run(&["generate", "--like", &cells[3], "--out=again.png"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(sandbox.pixels("again.png"), sandbox.pixels(&cells[3]));
    // The sheet tells its axes as the web UI does, and makes the plot again.
    let said = png_text(&sandbox.path("out/grid/grid.png"));
    assert!(said.contains("Script: X/Y/Z plot, X Type: CFG Scale, X Values: \"3,7\", Y Type: Prompt S/R"), "{said}");
    let like = sandbox.run(&["grid", "--like=out/grid/grid.png", "--out=like", "--no_html"]);
    assert_eq!((like.code, like.stdout.as_str()), (0, "like/grid.png\n"), "{}", like.stderr);
    assert_eq!(sandbox.pixels("like/grid.png"), sandbox.pixels("out/grid/grid.png"));
}

#[test]
fn the_same_command_goes_on_and_another_grid_gets_its_own_folder() {
    let sandbox = Sandbox::new();
    // A seed that is drawn stays that of the grid.
    let axes = ["--x=cfg=3,7", "--per_cell=2", "--no_html"];
    assert_eq!(grid(&sandbox, &axes).code, 0);
    let [first, second] = ["out/grid/cells/x01-1.png", "out/grid/cells/x02-2.png"];
    let before = (time_of(&sandbox, first), sandbox.pixels(second));
    std::fs::remove_file(sandbox.path(second)).unwrap();
    let done = grid(&sandbox, &axes);
    assert!(done.stderr.contains("3 of 4 pictures are in out/grid already"), "{}", done.stderr);
    assert_eq!((time_of(&sandbox, first), sandbox.pixels(second)), before);
    let done = grid(&sandbox, &axes);
    assert!(done.stderr.contains("note: all 4 pictures of this grid are in out/grid already"), "{}", done.stderr);
    assert_eq!(grid(&sandbox, &["--x=cfg=3,8", "--no_html"]).stdout, "out/grid-2/grid.png\n");
    assert_eq!(grid(&sandbox, &axes).stdout, "out/grid/grid.png\n");
}

#[test]
fn what_lies_in_the_folder_and_is_not_the_grids_stays() {
    let sandbox = Sandbox::new();
    let axes = ["--x=cfg=3,7", "--seed=1"];
    assert_eq!(grid(&sandbox, &axes).code, 0);
    // Written by the grid, and written again.
    assert!(!grid(&sandbox, &axes).stderr.contains("kept"));
    for file in ["grid.png", "grid.html"] {
        sandbox.write(&format!("out/grid/{file}"), "mine");
    }
    // What a killed program left.
    sandbox.write("out/grid/cells/.lorabake-x01.png-Ab12Xy.part", "half");
    sandbox.write("out/grid/.lorabake-folder.lock", "");
    let done = grid(&sandbox, &axes);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("note: out/grid: removed 1 half-written file that a killed run left"),
        "{}",
        done.stderr
    );
    assert!(!sandbox.files("out").iter().any(|file| file.contains(".lorabake-")));
    let kept: Vec<&str> =
        done.stderr.lines().filter_map(|line| line.rsplit_once("it is kept as ")).map(|pair| pair.1).collect();
    assert_eq!(kept.len(), 2, "{}", done.stderr);
    for path in kept {
        assert_eq!(std::fs::read_to_string(sandbox.path(path)).unwrap(), "mine");
    }
    png_text(&sandbox.path("out/grid/grid.png"));
    // A record that is damaged tells nothing: a folder beside it is taken, and that is told.
    sandbox.write("out/grid/grid.json", "{\"lorabake_grid\":1,");
    let done = grid(&sandbox, &axes);
    assert!(done.stdout.starts_with("out/grid-2/grid.png\n"), "{}", done.stdout);
    assert!(done.stderr.contains("note: out/grid/grid.json: it cannot be read ("), "{}", done.stderr);
    assert!(done.stderr.contains("this grid is in out/grid-2"), "{}", done.stderr);
    let done = grid(&sandbox, &[&axes[..], &["--out=.", "--no_html"]].concat());
    assert_eq!((done.code, done.stdout.as_str()), (0, "./grid/grid.png\n"), "{}", done.stderr);
    assert!(
        done.stderr.contains("note: --out .: there is something else in it; this grid is in ./grid"),
        "{}",
        done.stderr
    );
}

#[test]
fn two_do_not_paint_in_one_folder_at_once() {
    let sandbox = Sandbox::new();
    let axes = ["--x=seed=1-200", "--no_html"];
    let options = [&SMALL[..], &axes].concat();
    let mut first = sandbox.start(&options);
    sandbox.wait_for_file("out/grid/grid.json");
    sandbox.run(&options).refused(1, &["--out out/grid: another lorabake is writing there now; wait for it"]);
    first.kill().unwrap();
    sandbox.finish(first);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_painted() {
    let sandbox = Sandbox::new();
    let axes = ["--x=seed=1-200", "--steps=4", "--no_html"];
    let usual = ["grid", "--prompt=a red heart", "--width=64"];
    let child = sandbox.start(&[&usual[..], &axes].concat());
    sandbox.wait_for_file("out/grid/cells/x02.png");
    sandbox.interrupt(&child);
    let done = sandbox.finish(child);
    assert_eq!((done.code, done.stdout.as_str()), (130, ""), "{}", done.stderr);
    assert!(done.stderr.contains("of 200 pictures are in out/grid; the same command goes on"), "{}", done.stderr);
    let there = sandbox.files("out/grid/cells").len();
    assert!((2..200).contains(&there), "{there}");
    let looks = sandbox.run(&[&usual[..], &axes, &["--dry_run"]].concat());
    assert!(looks.stdout.contains(&format!("200 pictures, {there} of them are there")), "{}", looks.stdout);
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let done = grid(&sandbox, &["--x=cfg=3,7", "--y=seed=1-3", "--z=clip_skip=1,2", "--dry_run"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for said in [
        "grid: x = cfg (2 values), y = seed (3 values), z = clip_skip (2 values)",
        "pictures: 12 pictures, in out/grid",
        "read: 1 checkpoint; texts are encoded 2 times",
        "time: about ",
    ] {
        assert!(done.stdout.contains(said), "{said} is missing in {}", done.stdout);
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn snapshots_of_a_run_are_an_axis() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    assert_eq!(sandbox.train(&["--save_every_n_steps=1", "--output_name=penny"]).code, 0);
    let done = grid(&sandbox, &["--run=out/penny", "--x=epoch=none,all", "--y=unet=0.5,1", "--seed=1", "--no_html"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let said = png_text(&sandbox.path("out/grid/cells/x02-y01.png"));
    assert!(said.starts_with("a red heart <lora:penny-step00000001:te=1:unet=0.5>\n"), "{said}");
    let plain = png_text(&sandbox.path("out/grid/cells/x01-y02.png"));
    assert!(plain.starts_with("a red heart\n"), "{plain}");
    // Without that axis it is the last one, and without any all of them.
    let last = grid(&sandbox, &["--run=out/penny", "--x=unet=0.5,1", "--seed=1", "--no_html", "--out=last"]);
    assert_eq!(last.code, 0, "{}", last.stderr);
    assert!(
        last.stderr.contains("every picture has the last one (step 2 (end)); epoch=all shows all"),
        "{}",
        last.stderr
    );
    let said = png_text(&sandbox.path("last/cells/x01.png"));
    assert!(said.starts_with("a red heart <lora:penny:te=1:unet=0.5>\n"), "{said}");
    let all = grid(&sandbox, &["--run=out/penny", "--seed=1", "--dry_run"]);
    assert!(all.stderr.contains("note: --x: not given, so that it is epoch=all"), "{}", all.stderr);
    assert!(all.stdout.contains("x = epoch (3 values)"), "{}", all.stdout);
    assert!(all.stdout.contains("read: 1 checkpoint, 3 LoRAs; texts are encoded 3 times"), "{}", all.stdout);
    let tagged = ["--prompt=a <lora:penny:0.8>", "--x=block=MIDD,OUT", "--no_html", "--out=blocks"];
    let done = sandbox.run(&[&["grid", "--steps=2", "--width=64"], &tagged[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let said = png_text(&sandbox.path("blocks/cells/x02.png"));
    assert!(said.contains("<lora:penny:te=0.8:unet=0.8:blocks=IN:0,MID:0,OUT:0,OUT:1>"), "{said}");
}

#[test]
fn a_picture_that_fails_is_black_and_the_others_are_painted() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    assert_eq!(sandbox.train(&[]).code, 0);
    let options = ["grid", "--steps=2", "--width=64", "--prompt=a <lora:last:1>", "--x=unet=1e38,1", "--seed=1"];
    let done = sandbox.run(&options);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("error: unet: ") && done.stderr.contains("the latents are not numbers; lower"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("1 of 2 pictures could not be painted"), "{}", done.stderr);
    assert_eq!(sandbox.files("out/grid/cells"), ["out/grid/cells/x02.png"]);
    let page = std::fs::read_to_string(sandbox.path("out/grid/grid.html")).unwrap();
    assert!(page.contains("<div class=\"failed\">at call 1 of the network"));
}

#[test]
fn a_strangers_words_are_text_on_the_page() {
    let sandbox = Sandbox::new();
    let evil = "--y=prompt=heart,\"</script><script>alert(1)</script>\",\"<img src=x onerror=alert(2)>\"";
    assert_eq!(grid(&sandbox, &["--x=cfg=3,7", evil, "--seed=1"]).code, 0);
    let page = std::fs::read_to_string(sandbox.path("out/grid/grid.html")).unwrap();
    assert_eq!(page.matches("<script").count(), 2, "the page's data and its own script");
    assert!(!page.contains("<img src=x") && page.contains("&lt;img src=x onerror=alert(2)&gt;"));
    assert!(page.contains("\\u003c/script\\u003e\\u003cscript\\u003ealert(1)"));
    assert!(page.contains("data:image/png;base64,iVBOR"));
}

#[test]
fn what_cannot_be_meant_is_one_line() {
    let sandbox = Sandbox::new();
    sandbox.write("a.safetensors", "no LoRA");
    for (options, said) in [
        (&["--x=strength=0.5,1"][..], "--x strength: there is no LoRA in the prompt; write <lora:NAME:1> into it"),
        (&["--x=strenght=0.5,1"], "--x strenght: there is no such axis; did you mean strength?"),
        (&["--x=cfg=7"], "--x cfg: a single value varies nothing"),
        (&["--x=denoise=0.3,0.5"], "--x denoise: it changes nothing; there is nothing to change; give --init_image"),
        (&["--x=prompt=cat,dog"], "--x prompt: `cat` is in neither prompt"),
        (&["--x=steps=10-1"], "--x steps: `10-1` gives no value at all"),
        (&["--x=scheduler=Karras,Exponential", "--sampler=DDIM"], "--x scheduler: it changes nothing"),
        (&["--x=width=64,100"], "multiples of 8"),
        (&["--x=epoch=all"], "--x epoch: there is no LoRA in the prompt"),
        (&["--x=cfg=3,7", "--y=cfg=4,5"], "--y cfg: this axis is there already"),
        (&["--x=cfg=3,7", "--prompt=b"], "--prompt: a grid has one prompt"),
        (&["--x=seed=1-9999", "--y=cfg=1-20"], "--x: the grid has 199980 pictures"),
        (&["--x=lora=a,none"], "a.safetensors"),
        (&["--x=sampler=Euler,Oiler"], "there is no sampler `Oiler`"),
        (&["--x=cfg=3,7", "--run=nowhere/x"], "nowhere"),
        (&[], "--x: it is not given"),
        (&["--x=cfg=3,700"], "--cfg_scale 700 is out of range"),
    ] {
        grid(&sandbox, options).refused(1, &[said]);
    }
    assert!(!sandbox.path("out").exists());
}

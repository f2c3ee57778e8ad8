//! What files of prompts may ask for: the limits of `lorabake generate` are theirs, and hold before a training begins.

use crate::sandbox::Sandbox;

#[test]
fn what_cannot_be_painted_is_refused_before_the_training() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    for impossible in ["--w 18446744073709551615", "--w 4294967296 --s 2", "--h 100000", "--l nan", "--s 1001"] {
        sandbox.write("prompts.txt", format!("fox --s 2\nfox --w 64 {impossible}\n"));
        let setting = impossible.split(" --s").next().unwrap();
        let training = ["--sample_prompts=prompts.txt", "--sample_every_n_steps=2"];
        sandbox.train(&training).refused(1, &["--sample_prompts prompts.txt: line 2: ", setting, "; use "]);
        assert!(!sandbox.path("out").exists());
        let generate = ["generate", "--from_file=prompts.txt", "--out=pictures"];
        sandbox.run(&generate).refused(1, &["--from_file prompts.txt: line 2: ", setting, "; use "]);
        assert!(!sandbox.path("pictures").exists());
    }
    sandbox.write("prompts.txt", "fox --w 1\nfox --h wide\n");
    let both = sandbox.run(&["generate", "--from_file=prompts.txt"]);
    assert_eq!(both.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{}", both.stderr);
}

#[test]
fn files_of_windows_editors_are_read_or_named() {
    let sandbox = Sandbox::new();
    let small = ["generate", "--width=64", "--steps=2", "--seed=1", "--out=pictures", "--from_file"];
    let run = |file: &str| sandbox.run(&[&small[..], &[file]].concat());
    sandbox.write("prompts.txt", "\u{feff}# what I want to see\r\na fox\r\n");
    assert_eq!(run("prompts.txt").stdout, "pictures/00001-1.png\n");
    sandbox.write("prompts.json", "\u{feff}[{\"prompt\": \"a fox\"}]");
    assert_eq!(run("prompts.json").stdout, "pictures/00002-1.png\n");
    assert_eq!(sandbox.pixels("pictures/00001-1.png"), sandbox.pixels("pictures/00002-1.png"));
    sandbox.write("prompts.txt", b"\xff\xfea\0 \0f\0o\0x\0");
    run("prompts.txt").refused(1, &["--from_file prompts.txt: it is UTF-16; save it as UTF-8"]);
    sandbox.write("prompts.txt", b"a fox\na caf\xe9");
    run("prompts.txt").refused(1, &["it is not UTF-8 (byte 0xE9 in line 2", "; save it as UTF-8"]);
}

#[test]
fn lines_of_other_programs_are_painted() {
    let sandbox = Sandbox::new();
    let lines = "a {e$$fox|cat} --d 5 --f beast.png --nl 2\n--prompt \"a fox, {red|blue}\" --n_iter 2 --seed 9\n";
    sandbox.write("prompts.txt", lines);
    let run = |file: &str| {
        sandbox.run(&["generate", "--width=64", "--steps=2", "--seed=1", "--out=pictures", "--from_file", file])
    };
    let done = run("prompts.txt");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let names = ["beast_0.png", "beast_1.png", "00001-9.png", "00002-10.png"];
    assert_eq!(done.stdout, names.map(|name| format!("pictures/{name}\n")).concat());
    sandbox.write("prompts.txt", "a fox --am 0.5\n--steps 3\na fox --c x\n");
    let refused = run("prompts.txt");
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    for told in ["line 1: --am 0.5: ", "line 2: it has no prompt; ", "line 3: --c: guidance by CLIP is not built in; "]
    {
        assert!(refused.stderr.contains(&format!("error: --from_file prompts.txt: {told}")), "{}", refused.stderr);
    }
}

#[test]
fn tokens_of_a_prompt_are_told_with_their_weights() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["generate", "--explain", "--prompt=a (red:1.2) fox BREAK hat"]);
    let told = "  chunk 1: 3 tokens, 72 of padding\n    1: a 320\n    1.2: red 736\n    1: fox 3240\n  chunk 2: 1 token, 74 of padding\n";
    assert!(done.stdout.contains(told), "{}", done.stdout);
}

//! What becomes of a caption: each rule alone, their order, and how often chance strikes.
//!
//! Expected texts follow sd-scripts' `process_caption` by hand; its random order itself is not reproduced.

use std::collections::BTreeSet;

use lorabake_data::caption::{self, CaptionUse, draw, read};
use lorabake_data::scan;
use lorabake_recipe::data::Data;
use lorabake_recipe::data::captions::{CaptionRules, TokenWarmup};
use lorabake_recipe::seed::{Seed, UseId};

use crate::temp_folder::TempFolder;

fn plain() -> CaptionRules {
    CaptionRules::default()
}

fn at(epoch: u64, position: u64) -> CaptionUse {
    CaptionUse { id: UseId { epoch, position }, step: 0, steps: 100 }
}

/// The prompts of many uses.
fn prompts(text: &str, rules: &CaptionRules, count: u64) -> Vec<String> {
    (0..count).map(|position| draw(text, rules, Seed(1), at(0, position))).collect()
}

fn once(text: &str, rules: &CaptionRules) -> String {
    let all: BTreeSet<String> = prompts(text, rules, 20).into_iter().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

fn share(found: usize, of: usize) -> f64 {
    found as f64 / of as f64
}

#[test]
fn captions_keep_their_head_and_lose_no_tag() {
    let rules = CaptionRules { shuffle: true, keep_tokens: 2, ..plain() };
    let mut orders = BTreeSet::new();
    for position in 0..50 {
        let text = draw("a,  b ,c,, d ,e\nsecond", &rules, Seed(1), at(0, position));
        assert_eq!(text, draw("a,  b ,c,, d ,e\nsecond", &rules, Seed(1), at(0, position)));
        assert!(text.starts_with("a, b, "), "{text}");
        let mut tags: Vec<&str> = text.split(", ").collect();
        tags.sort_unstable();
        assert_eq!(tags, ["", "a", "b", "c", "d", "e"]); // sd-scripts keeps the empty tag too
        orders.insert(text);
    }
    assert!(orders.len() > 15, "{}", orders.len());
    assert_eq!(once("a, b", &CaptionRules { keep_tokens: 9, ..rules }), "a, b");
    let other = CaptionRules { separator: ";".into(), keep_tokens: 1, shuffle: true, ..plain() };
    assert_eq!(once("x, y ; z", &other), "x, y, z");
    assert_eq!(once("b,a ,  c", &plain()), "b,a ,  c");
}

#[test]
fn prefix_and_suffix_are_tags_like_others() {
    let rules = CaptionRules { prefix: Some("best,".into()), suffix: Some(", end".into()), ..plain() };
    assert_eq!(once("a,b", &rules), "best, a,b , end");
    let kept = CaptionRules { shuffle: true, keep_tokens: 1, ..rules };
    let all = prompts("a, b", &kept, 40);
    assert!(all.iter().all(|text| text.starts_with("best, ") && text.contains("end")), "{all:?}");
    assert!(all.iter().any(|text| text == "best, end, a, b"), "{all:?}");
}

#[test]
fn whole_captions_are_dropped_as_often_as_asked() {
    let rules = CaptionRules { dropout_rate: 0.25, prefix: Some("x".into()), ..plain() };
    let all = prompts("a, b", &rules, 4000);
    assert!(all.iter().all(|text| text.is_empty() || text == "x a, b"));
    let dropped = share(all.iter().filter(|text| text.is_empty()).count(), all.len());
    assert!((0.22..0.28).contains(&dropped), "{dropped}");
    let every = CaptionRules { dropout_every_n_epochs: 3, ..plain() };
    let empty: Vec<u64> = (0..9).filter(|epoch| draw("a", &every, Seed(1), at(*epoch, 0)).is_empty()).collect();
    assert_eq!(empty, [2, 5, 8]); // from 0: the third, sixth and ninth
}

#[test]
fn tags_are_dropped_one_by_one_behind_the_head() {
    let rules = CaptionRules { tag_dropout_rate: 0.3, keep_tokens: 1, ..plain() };
    let all = prompts("a,b,c,d", &rules, 3000);
    let count = |tag: &str| share(all.iter().filter(|text| text.split(", ").any(|t| t == tag)).count(), all.len());
    assert_eq!(count("a"), 1.0);
    for tag in ["b", "c", "d"] {
        assert!((0.67..0.73).contains(&count(tag)), "{tag} {}", count(tag));
    }
    let both = share(all.iter().filter(|text| text.contains('b') && text.contains('c')).count(), all.len());
    assert!((0.46..0.52).contains(&both), "tags are not dropped each for itself: {both}");
    assert!(all.contains(&"a, b, c, d".into()) && all.contains(&"a".into()), "the order stays");
}

#[test]
fn the_keep_separator_fixes_head_and_tail() {
    let rules = CaptionRules { keep_separator: Some("|||".into()), keep_tokens: 1, shuffle: true, ..plain() };
    let all: BTreeSet<String> = prompts("a, b, ||| c, , d ||| e, f", &rules, 30).into_iter().collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["a, b, c, d, e, f", "a, b, d, c, e, f"]);
    let head: BTreeSet<String> = prompts("a ||| c, d", &rules, 30).into_iter().collect();
    assert_eq!(head.into_iter().collect::<Vec<_>>(), ["a, c, d", "a, d, c"]);
    let without = prompts("a, b, c", &rules, 30);
    assert!(without.iter().all(|text| text.starts_with("a, ")), "keep_tokens counts where the text has no mark");
}

#[test]
fn the_secondary_separator_holds_tags_together() {
    let rules = CaptionRules { secondary_separator: Some(";;".into()), shuffle: true, ..plain() };
    let all: BTreeSet<String> = prompts("a;;b, c", &rules, 30).into_iter().collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["a,b, c", "c, a,b"]);
    assert_eq!(once("a;;b", &CaptionRules { shuffle: false, ..rules }), "a,b");
}

#[test]
fn wildcards_draw_lines_and_choices() {
    let rules = CaptionRules { wildcards: true, prefix: Some("x,".into()), ..plain() };
    let all = prompts("a {red|green| blue}\nb {{c}} {d|e}", &rules, 900);
    let texts: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    let expected = ["x, a  blue", "x, a green", "x, a red", "x, b {c} d", "x, b {c} e"];
    assert_eq!(texts.into_iter().collect::<Vec<_>>(), expected);
    let first = share(all.iter().filter(|text| text.starts_with("x, a")).count(), all.len());
    assert!((0.43..0.57).contains(&first), "{first}");
    let odd = CaptionRules { wildcards: true, ..plain() };
    assert_eq!(once("{} {a} { b", &odd), "{} a { b");
    assert_eq!(once("{a|b", &odd), "{a|b");
    assert_eq!(once("{a|b}\nsecond", &plain()), "{a|b}");
}

#[test]
fn tags_are_let_in_step_by_step() {
    let rules = |until, min| CaptionRules { warmup: Some(TokenWarmup { min, until }), keep_tokens: 1, ..plain() };
    let count = |rules: &CaptionRules, step| {
        draw("k, a, b, c, d", rules, Seed(1), CaptionUse { step, steps: 40, ..at(0, 0) }).split(", ").count() - 1
    };
    // floor(step · (4 − 1) / 10) + 1
    let counts: Vec<usize> = [0, 3, 4, 6, 7, 9, 10, 30].map(|step| count(&rules(10.0, 1), step)).to_vec();
    assert_eq!(counts, [1, 1, 2, 2, 3, 3, 4, 4]);
    assert_eq!([9, 10].map(|step| count(&rules(0.25, 1), step)), [3, 4], "a quarter of 40 steps");
    assert_eq!([0, 5].map(|step| count(&rules(10.0, 0), step)), [0, 2]);
    assert_eq!(count(&rules(10.0, 9), 0), 4, "there are no more than there are");
}

#[test]
fn files_are_read_whole_only_for_wildcards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, " one \r\n\r\n two\n").unwrap();
    assert_eq!(read(&path, &plain()).unwrap().text, "one");
    let rules = CaptionRules { wildcards: true, ..plain() };
    assert_eq!(read(&path, &rules).unwrap().text, "one\ntwo");
    assert_eq!(caption::lines("one\ntwo", &rules).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(caption::lines("one\ntwo", &plain()).collect::<Vec<_>>(), ["one"]);
}

#[test]
fn the_trigger_goes_wherever_it_stands() {
    let without = |text: &str, words: &str, class: Option<&str>| caption::without_trigger(text, words, class, ",");
    let gone = |text: &str, words: &str| without(text, words, None).unwrap();
    assert_eq!(gone("penny, hat, blue background", "penny"), "hat, blue background");
    assert_eq!(gone("fox, orange, sticker border", "sticker border"), "fox, orange");
    assert_eq!(gone("hat,Penny ,  grass", "penny"), "hat, grass");
    assert_eq!(gone("photo of penny walking, penny", "penny"), "photo of walking");
    assert_eq!(without("penny, photo of penny", "penny", Some("girl")).unwrap(), "girl, photo of girl");
    assert_eq!(gone("penny", "penny"), "");
    // Parts of other words are none.
    assert_eq!(without("pennywise, penny_dress, a pennypinny", "penny", None), None);
    assert_eq!(gone("Übermädchen, mädchen, grün", "mädchen"), "Übermädchen, grün");
    // Captions without tags stay whole.
    assert_eq!(caption::without_trigger("a penny; a cat", "a penny", None, ";").unwrap(), "a cat");
    assert_eq!(caption::without_trigger("a penny, a cat", "penny", None, "").unwrap(), "a , a cat");
}

#[test]
fn captions_of_several_lines_are_told_of_once_for_all() {
    let folder = TempFolder::new();
    for (path, text) in [
        ("2_penny/01", "penny\nhat\ngrass"),
        ("2_penny/02", "penny\r\n\r\nA paragraph."),
        ("2_penny/03", "penny, one line\n\n \r\n"),
        ("2_penny/04", "penny"),
        ("3_hat/05", "hat\rold Macs end lines so"),
        ("3_hat/06", "hat\nred"),
    ] {
        folder.image(&format!("train/{path}.png"), 64, 64).file(&format!("train/{path}.txt"), text);
    }
    let expected = "4 captions have more than one line, of which only the first is read (01.txt, 02.txt, 05.txt, …); put \
                    tags on one line, or give --enable_wildcard to draw one line at each use";
    let warnings = |data: &Data| scan(data).unwrap().problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(warnings(&folder.data()), [expected]);
    let rules = CaptionRules { wildcards: true, ..plain() };
    assert_eq!(warnings(&Data { captions: rules, ..folder.data() }), [""; 0]);
}

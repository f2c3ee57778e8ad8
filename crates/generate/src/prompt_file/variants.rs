//! Prompts with choices in braces: `{a|b}` is one of them by chance, `{2$$a|b|c}` two, `{1-2$$ and $$a|b|c}` one or two
//! with another separator than a comma, `{e$$a|b}` every one in a prompt of its own. Choices may hold choices; `\{` and
//! `\}` are braces.
//!
//! Source: `handle_dynamic_prompt_variants` of sd-scripts' `gen_img.py`. Chance is drawn from our own stream.

use std::collections::HashMap;

use lorabake_recipe::seed::Seed;
use rand::Rng;
use rand::seq::index;

/// Most prompts of one, and most bytes of all of them.
const MOST_PROMPTS: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;
/// How deep choices may hold choices.
const DEEPEST: usize = 16;

/// A piece of a prompt.
#[derive(Debug, PartialEq)]
enum Node {
    Text(String),
    Choice(Choice),
}

#[derive(Debug, PartialEq)]
struct Choice {
    /// Whether every choice is made rather than one by chance.
    is_every: bool,
    least: usize,
    most: usize,
    separator: String,
    options: Vec<Vec<Node>>,
}

/// The prompts that `prompt` stands for: itself if it has no choices; `repeat` of them if all are made by chance; else one
/// for each way of making those that are not. `seed` is that of the chance.
///
/// # Errors
/// What cannot be chosen, or is too much, and what to do.
pub fn expand(prompt: &str, repeat: usize, seed: Seed) -> Result<Vec<String>, String> {
    let nodes = Reader::new(prompt).nodes(0, prompt.len(), 0)?;
    let mut prompts = Vec::new();
    let repeat = match Nature::of(&nodes) {
        Nature::Plain | Nature::Every => 1,
        Nature::Chance => repeat,
    };
    for round in 0..repeat {
        let mut chance = seed.stream("prompt variants", &[round as u64]);
        prompts.extend(spread(&nodes, vec![String::new()], &mut chance)?);
        check_room(&prompts)?;
    }
    Ok(prompts)
}

/// What choices a prompt has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nature {
    Plain,
    Chance,
    Every,
}

impl Nature {
    fn of(nodes: &[Node]) -> Self {
        let mut nature = Self::Plain;
        for node in nodes {
            let Node::Choice(choice) = node else { continue };
            let own = if choice.is_every { Self::Every } else { Self::Chance };
            let inner = choice.options.iter().map(|option| Self::of(option)).max();
            nature = nature.max(own).max(inner.unwrap_or(Self::Plain));
        }
        nature
    }
}

/// Every one of `begun` with `nodes` behind it.
fn spread(nodes: &[Node], begun: Vec<String>, chance: &mut impl Rng) -> Result<Vec<String>, String> {
    let mut begun = begun;
    for node in nodes {
        match node {
            Node::Text(text) => begun.iter_mut().for_each(|prompt| prompt.push_str(text)),
            Node::Choice(choice) => {
                let mut longer = Vec::new();
                for prompt in &begun {
                    for picked in choice.picks(chance)? {
                        longer.extend(choice.joined(&picked, prompt, chance)?);
                        check_room(&longer)?;
                    }
                }
                begun = longer;
            }
        }
        check_room(&begun)?;
    }
    Ok(begun)
}

fn check_room(prompts: &[String]) -> Result<(), String> {
    let longest = prompts.last().map_or(0, String::len);
    if prompts.len() > MOST_PROMPTS || prompts.len().saturating_mul(longest) > MOST_BYTES {
        return Err(format!("its choices make more than {MOST_PROMPTS} prompts; use fewer in {{e$$…}}"));
    }
    Ok(())
}

impl Choice {
    /// The numbers of the options that are chosen: one such list by chance, or all there are.
    fn picks(&self, chance: &mut impl Rng) -> Result<Vec<Vec<usize>>, String> {
        let count = self.options.len();
        if !self.is_every {
            let picked = chance.random_range(self.least..=self.most);
            return Ok(vec![index::sample(chance, count, picked).into_vec()]);
        }
        let mut all = Vec::new();
        for size in self.least..=self.most {
            let mut picked: Vec<usize> = (0..size).collect();
            loop {
                all.push(picked.clone());
                if all.len() > MOST_PROMPTS {
                    return Err(format!("its choices make more than {MOST_PROMPTS} prompts; use fewer in {{e$$…}}"));
                }
                // The last one that can still move does, and those behind it follow it closely.
                let Some(place) = (0..size).rev().find(|place| picked[*place] < count - size + place) else { break };
                picked[place] += 1;
                for behind in place + 1..size {
                    picked[behind] = picked[behind - 1] + 1;
                }
            }
        }
        Ok(all)
    }

    /// `before` with the options of these numbers behind it.
    fn joined(&self, picked: &[usize], before: &str, chance: &mut impl Rng) -> Result<Vec<String>, String> {
        let mut begun = vec![before.to_owned()];
        for (place, option) in picked.iter().enumerate() {
            if place > 0 {
                begun.iter_mut().for_each(|prompt| prompt.push_str(&self.separator));
            }
            begun = spread(&self.options[*option], begun, chance)?;
        }
        Ok(begun)
    }
}

/// Whether what stands where a separator may is a mistyped count: digits with signs, or with the `e` of `e$$`.
fn is_like_a_count(separator: &str) -> bool {
    let is_part = |symbol: char| symbol.is_ascii_digit() || " eE+-–.".contains(symbol);
    separator.chars().all(is_part) && separator.contains(|symbol: char| symbol.is_ascii_digit())
}

/// Reads a prompt; braces without a partner are text.
struct Reader<'a> {
    text: &'a str,
    /// Where the brace is that closes the one here.
    partners: HashMap<usize, usize>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let mut partners = HashMap::new();
        let mut open = Vec::new();
        let mut escaped = false;
        for (at, symbol) in text.char_indices() {
            match symbol {
                '{' if !escaped => open.push(at),
                '}' if !escaped => {
                    if let Some(start) = open.pop() {
                        partners.insert(start, at);
                    }
                }
                _ => {}
            }
            escaped = symbol == '\\';
        }
        Self { text, partners }
    }

    /// The pieces between two places.
    fn nodes(&self, start: usize, end: usize, depth: usize) -> Result<Vec<Node>, String> {
        if depth > DEEPEST {
            return Err(format!("its choices lie more than {DEEPEST} deep in each other; take some apart"));
        }
        let mut nodes = Vec::new();
        let mut plain = String::new();
        let mut at = start;
        while let Some(symbol) = self.text[at..end].chars().next() {
            let behind = at + symbol.len_utf8();
            match self.partners.get(&at) {
                Some(close) if *close > behind => {
                    if !plain.is_empty() {
                        nodes.push(Node::Text(std::mem::take(&mut plain)));
                    }
                    nodes.push(Node::Choice(self.choice(behind, *close, depth)?));
                    at = close + 1;
                }
                _ if symbol == '\\' && self.text[behind..end].starts_with(['{', '}']) => {
                    plain.push_str(&self.text[behind..=behind]);
                    at = behind + 1;
                }
                _ => {
                    plain.push(symbol);
                    at = behind;
                }
            }
        }
        if !plain.is_empty() {
            nodes.push(Node::Text(plain));
        }
        Ok(nodes)
    }

    /// What stands between two braces.
    fn choice(&self, start: usize, end: usize, depth: usize) -> Result<Choice, String> {
        let whole = &self.text[start..end];
        let mut head = whole;
        let mut choice = Choice { is_every: false, least: 1, most: 1, separator: ", ".to_owned(), options: Vec::new() };
        if let Some(rest) = head.strip_prefix("e$$").or_else(|| head.strip_prefix("E$$")) {
            choice.is_every = true;
            head = rest;
        }
        let mut has_count = false;
        if let Some((counts, rest)) = head.split_once("$$")
            && !counts.is_empty()
            && counts.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        {
            let number =
                |text: &str| text.parse().map_err(|_| format!("{{{whole}}}: `{counts}` is no count; write 2 or 1-3"));
            let (least, most) = counts.split_once('-').unwrap_or((counts, counts));
            choice.least = number(least)?;
            choice.most = number(most)?;
            has_count = true;
            head = rest;
        }
        if let Some((separator, rest)) = head.split_once("$$")
            && !separator.is_empty()
            && !separator.contains(['|', '{'])
        {
            if !has_count && is_like_a_count(separator) {
                return Err(format!(
                    "{{{whole}}}: `{separator}` is no count; write 2 or 1-3, as in {{2$$a|b}} or {{e$$2$$a|b}}"
                ));
            }
            choice.separator = separator.to_owned();
            head = rest;
        }
        let mut begin = end - head.len();
        for bar in self.bars(begin, end) {
            choice.options.push(self.nodes(begin, bar, depth + 1)?);
            begin = bar + 1;
        }
        choice.options.push(self.nodes(begin, end, depth + 1)?);
        let count = choice.options.len();
        if choice.least > choice.most || choice.most > count {
            return Err(format!(
                "{{{whole}}}: so many cannot be chosen of {count}; use 0 to {count}, the smaller first"
            ));
        }
        Ok(choice)
    }

    /// Where `|` stands between two places, outside of choices inside.
    fn bars(&self, start: usize, end: usize) -> Vec<usize> {
        let mut bars = Vec::new();
        let mut at = start;
        while let Some(symbol) = self.text[at..end].chars().next() {
            if symbol == '|' {
                bars.push(at);
            }
            at = self.partners.get(&at).map_or(at + symbol.len_utf8(), |close| close + 1);
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(prompt: &str) -> Vec<String> {
        expand(prompt, 1, Seed(1)).unwrap()
    }

    #[test]
    fn every_choice_is_made_in_order() {
        for (prompt, expected) in [
            ("a cat", &["a cat"][..]),
            ("a {e$$x|y} b", &["a x b", "a y b"]),
            ("{e$$a|b}{e$$1|2}", &["a1", "a2", "b1", "b2"]),
            ("{e$$2$$a|b|c}", &["a, b", "a, c", "b, c"]),
            ("{e$$1-2$$ and $$a|b}", &["a", "b", "a and b"]),
            ("{e$$2$$1$$a|b}", &["a1b"]),
            ("{e$$a{e$$1|2}|b}", &["a1", "a2", "b"]),
            (r"\{a|b\} {c}", &["{a|b} c"]),
            ("{a|b", &["{a|b"]),
            ("a}{}", &["a}{}"]),
            ("{e$$|é}", &["", "é"]),
            ("{0$$a|b}", &[""]),
        ] {
            assert_eq!(all(prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn chance_is_that_of_the_seed() {
        let drawn = expand("{a|b|c} {2$$x|y|z}", 50, Seed(7)).unwrap();
        assert_eq!(drawn.len(), 50);
        assert_eq!(drawn, expand("{a|b|c} {2$$x|y|z}", 50, Seed(7)).unwrap());
        for begin in ["a ", "b ", "c "] {
            assert!(drawn.iter().any(|prompt| prompt.starts_with(begin)), "{begin}");
        }
        assert!(drawn.iter().all(|prompt| prompt.contains(", ") && prompt.len() == 6), "{drawn:?}");
        assert_eq!(expand("{e$$a|b}{c|d}", 9, Seed(7)).unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_chosen_or_is_too_much_is_refused() {
        let refused = |prompt: &str| expand(prompt, 1, Seed(1)).unwrap_err();
        assert!(refused("{3$$a|b}").contains("so many cannot be chosen of 2"));
        assert!(refused("{2-1$$a|b}").contains("the smaller first"));
        assert!(refused("{1-$$a|b}").contains("is no count"));
        for prompt in ["{e99999999999$$a|b}", "{2e$$a|b}", "{ 2 $$a|b}", "{1–2$$a|b}", "{99999999999999999999$$a|b}"]
        {
            assert!(refused(prompt).contains("is no count; write 2 or 1-3"), "{prompt}");
        }
        let many = "{e$$0|1|2|3|4|5|6|7|8|9}".repeat(5);
        assert!(refused(&many).contains("more than 10000 prompts"));
        let combinations = format!("{{e$$20${}{}}}", "$", ["x"; 40].join("|"));
        assert!(refused(&combinations).contains("more than 10000 prompts"));
        assert!(refused(&format!("{}a{}", "{".repeat(1000), "}".repeat(1000))).contains("deep in each other"));
        assert_eq!(all(&"{".repeat(60_000)).len(), 1);
    }
}

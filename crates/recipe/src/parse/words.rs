//! Texts that hold several words, taken apart as a shell and Python take them apart: quotation marks and brackets keep
//! together what stands between them.
//!
//! Other programs keep the settings of an optimizer in one text, and some cut it at its spaces before they write a list.

/// Stands between the values of a list while they are looked at as one text.
const BETWEEN: char = '\u{1f}';

/// The words of a line, without their quotation marks.
pub(crate) fn words(line: &str) -> Vec<String> {
    split(line, char::is_whitespace)
}

/// The `name=value` pairs in a text.
pub(crate) fn pairs(text: &str) -> Vec<String> {
    glued(words(text))
}

/// The `name=value` pairs in the values of a list: a value that was cut is put together, one that holds several pairs is
/// taken apart.
pub(crate) fn listed_pairs(values: &[String]) -> Vec<String> {
    let joined = values.join(&BETWEEN.to_string());
    let mut whole = Vec::new();
    for value in split(&joined, |letter| letter == BETWEEN) {
        let value = value.replace(BETWEEN, " ");
        let several = pairs(&value);
        if several.len() > 1 && several.iter().all(|pair| is_pair(pair)) {
            whole.extend(several);
        } else {
            whole.push(value);
        }
    }
    glued(whole)
}

/// The numbers in the values of a list, also those that stand together between commas or in brackets.
pub(crate) fn listed_numbers(values: &[String]) -> Vec<String> {
    let apart = |letter: char| letter.is_whitespace() || "[](),".contains(letter);
    let mut numbers = Vec::new();
    for value in values {
        numbers.extend(value.split(apart).filter(|word| !word.is_empty()).map(str::to_owned));
    }
    if numbers.is_empty() { values.to_vec() } else { numbers }
}

/// What stands between gaps that are neither in quotation marks nor in brackets.
fn split(text: &str, is_gap: impl Fn(char) -> bool) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let ends = closing_brackets(&letters);
    let mut words = Vec::new();
    let mut word = String::new();
    // A mark that is never closed is a letter, and so are all of its kind behind it.
    let mut marks = vec!['"', '\''];
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        at += 1;
        if is_gap(letter) {
            words.push(std::mem::take(&mut word));
            continue;
        }
        let begins_value = word.is_empty() || word.ends_with(['=', ',']);
        if marks.contains(&letter) && (letter == '"' || begins_value) {
            match quoted(letter, &letters[at..], &is_gap) {
                Some(quoted) => {
                    word += &quoted.text;
                    at += quoted.length;
                    continue;
                }
                None => marks.retain(|mark| *mark != letter),
            }
        }
        word.push(letter);
        if let Some(end) = ends[at - 1]
            && begins_value
        {
            word.extend(&letters[at..=end]);
            at = end + 1;
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// For every bracket that is closed, the place where that is.
fn closing_brackets(letters: &[char]) -> Vec<Option<usize>> {
    let mut ends = vec![None; letters.len()];
    let mut open = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        match letter {
            '(' | '[' | '{' => open.push(at),
            ')' | ']' | '}' => {
                if let Some(begin) = open.pop() {
                    ends[begin] = Some(at);
                }
            }
            _ => {}
        }
    }
    ends
}

/// What stands in quotation marks.
struct Quoted {
    text: String,
    /// Letters up to and with the mark at its end.
    length: usize,
}

/// What follows a quotation mark up to its end; none if it never ends.
fn quoted(mark: char, rest: &[char], is_gap: &impl Fn(char) -> bool) -> Option<Quoted> {
    let mut text = String::new();
    for (index, &letter) in rest.iter().enumerate() {
        if letter != mark {
            text.push(letter);
            continue;
        }
        // A folder of Windows may end in a backslash; else that one takes the mark's meaning away.
        let is_folder = !text.contains(mark) && rest.get(index + 1).is_none_or(|next| is_gap(*next));
        if mark == '"' && text.ends_with('\\') && !is_folder {
            text.pop();
            text.push(mark);
            continue;
        }
        return Some(Quoted { text, length: index + 1 });
    }
    None
}

/// Puts together what spaces around `=` and behind commas have cut: `betas =0.9, 0.95` is one pair.
fn glued(words: Vec<String>) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    for word in words {
        let Some(last) = whole.last_mut() else {
            whole.push(word);
            continue;
        };
        let is_rest = word.starts_with('=') && !last.contains('=') || word.starts_with(',') && last.contains('=');
        let is_open = last.ends_with('=') || last.ends_with(',') && last.contains('=');
        if is_rest || is_open && !is_pair(&word) {
            last.push_str(&word);
        } else {
            whole.push(word);
        }
    }
    whole
}

/// Whether a word begins with a name and `=`.
fn is_pair(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let name = name.trim();
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_marks_and_brackets_keep_words_together() {
        let table: [(&str, &[&str]); 10] = [
            ("a=True  b=0.5", &["a=True", "b=0.5"]),
            (r#"c=0.65 "betas=(0.9, 0.901)""#, &["c=0.65", "betas=(0.9, 0.901)"]),
            (r#"betas="(0.9, 0.901)" d=1"#, &["betas=(0.9, 0.901)", "d=1"]),
            ("betas=[0.9, (1, 2), 0.99] d=1", &["betas=[0.9, (1, 2), 0.99]", "d=1"]),
            ("'betas=(0.9, 0.99)'", &["betas=(0.9, 0.99)"]),
            ("--a it's --b Bob's", &["--a", "it's", "--b", "Bob's"]),
            ("--a (not closed --b", &["--a", "(not", "closed", "--b"]),
            (r#"--dir "C:\my logs\" --b "x \"y\" z""#, &["--dir", r"C:\my logs\", "--b", r#"x "y" z"#]),
            (r"--dir C:\logs\ --b", &["--dir", r"C:\logs\", "--b"]),
            (" ", &[]),
        ];
        for (line, expected) in table {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn pairs_are_put_together_and_taken_apart() {
        let table: [(&[&str], &[&str]); 12] = [
            (&["betas=(0.9,", "0.901)", "d=1"], &["betas=(0.9, 0.901)", "d=1"]),
            (&["betas=0.9,", "0.95", "d=1"], &["betas=0.9,0.95", "d=1"]),
            (&["betas", "=0.9,", "0.95"], &["betas=0.9,0.95"]),
            (&["betas", "=", "0.9", ",0.95"], &["betas=0.9,0.95"]),
            (&["a=1 betas =0.9, 0.95"], &["a=1", "betas=0.9,0.95"]),
            (&["a=1 b=(2, 3)", "c=4"], &["a=1", "b=(2, 3)", "c=4"]),
            (&["'betas=(0.9,", "0.99)'"], &["betas=(0.9, 0.99)"]),
            (&["down=1,1,", "mid=1"], &["down=1,1,", "mid=1"]),
            (&["preset=my presets/a.toml"], &["preset=my presets/a.toml"]),
            (&["conv_dim=", "conv_alpha=1"], &["conv_dim=", "conv_alpha=1"]),
            (&["weight_decay", "eps=1"], &["weight_decay", "eps=1"]),
            (&[""], &[]),
        ];
        for (values, expected) in table {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            assert_eq!(listed_pairs(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn numbers_are_found_in_brackets_and_between_commas() {
        for values in [&["5e-5", "1e-5"][..], &["5e-5,1e-5"], &["[5e-5, 1e-5]"], &["5e-5 1e-5"]] {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            assert_eq!(listed_numbers(&values), ["5e-5", "1e-5"], "{values:?}");
        }
        assert_eq!(listed_numbers(&[String::new()]), [""]);
    }
}

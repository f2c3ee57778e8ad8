//! Ranges of numbers: `1-5`, `1-10 (+2)`, `0-1 [5]`.

use super::Rule;

/// Most values of a range.
const MOST_VALUES: usize = 10_000;

/// A range as it is typed; `1-5` is one with step 1.
#[derive(Debug, PartialEq)]
pub(super) struct Range<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub by: By<'a>,
}

/// What follows the two ends.
#[derive(Debug, PartialEq)]
pub(super) enum By<'a> {
    /// `(+2)`: from value to value.
    Step(&'a str),
    /// `[4]`: so many values, equally spaced.
    Count(&'a str),
}

/// Reads a range; `None` if `text` has not its form.
pub(super) fn parse(text: &str) -> Option<Range<'_>> {
    let text = text.trim();
    let from_length = number_length(text)?;
    let (from, rest) = text.split_at(from_length);
    let rest = rest.trim_start().strip_prefix('-')?.trim_start();
    let (to, rest) = rest.split_at(number_length(rest)?);
    let rest = rest.trim_start();
    if rest.is_empty() {
        return Some(Range { from, to, by: By::Step("1") });
    }
    let by = if let Some(step) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        // Its sign is required, and a digit before its point.
        let digits = step.strip_prefix(['+', '-'])?;
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        By::Step(step.trim_end())
    } else {
        let count = rest.strip_prefix('[')?.strip_suffix(']')?;
        if !count.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        By::Count(count.trim_end())
    };
    Some(Range { from, to, by })
}

/// Bytes of the number that `text` begins with: a sign, digits, and a point with or without more digits.
fn number_length(text: &str) -> Option<usize> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    if whole == 0 {
        return None;
    }
    let behind = unsigned[whole..].strip_prefix('.');
    let fraction = behind.map_or(0, |behind| 1 + behind.bytes().take_while(u8::is_ascii_digit).count());
    Some(text.len() - unsigned.len() + whole + fraction)
}

/// From `from` by `step`. The web UI ends one short of `to` downwards, as its range does not change its direction.
///
/// # Errors
/// When the step leads nowhere, or there are too many values.
pub(super) fn whole_steps(from: i64, to: i64, step: i64) -> Result<Vec<i64>, String> {
    if step == 0 {
        return Err("a step of 0 leads nowhere; use another".to_owned());
    }
    let end = to.saturating_add(1);
    let mut values = Vec::new();
    let mut value = from;
    while if step > 0 { value < end } else { value > end } {
        room(values.len())?;
        values.push(value);
        let Some(next) = value.checked_add(step) else { break };
        value = next;
    }
    Ok(values)
}

/// From `from` by `step`, computed as numpy's `arange` does; the web UI goes up to a step beyond `to`.
///
/// # Errors
/// When the step leads nowhere, or there are too many values.
pub(super) fn float_steps(from: f64, to: f64, step: f64, rule: Rule) -> Result<Vec<f64>, String> {
    if step == 0.0 {
        return Err("a step of 0 leads nowhere; use another".to_owned());
    }
    let count = ((to + step - from) / step).ceil().max(0.0);
    room(count as usize)?;
    let delta = (from + step) - from;
    let mut values = Vec::new();
    for index in 0..count as usize {
        let value = from + index as f64 * delta;
        // A sum of steps may miss the end by its rounding.
        let beyond = (value - to) * step.signum() > step.abs() * 1e-6;
        if rule == Rule::Strict && beyond {
            break;
        }
        values.push(value);
    }
    Ok(values)
}

/// `count` values with equal distances, computed as numpy's `linspace` does.
///
/// # Errors
/// When there are too many values.
pub(super) fn spaced(from: f64, to: f64, count: usize) -> Result<Vec<f64>, String> {
    room(count)?;
    if count < 2 {
        return Ok(vec![from; count]);
    }
    let step = (to - from) / (count - 1) as f64;
    let mut values: Vec<f64> = (0..count).map(|index| index as f64 * step + from).collect();
    values[count - 1] = to;
    Ok(values)
}

fn room(count: usize) -> Result<(), String> {
    if count > MOST_VALUES { Err(format!("more than {MOST_VALUES} values; use fewer")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_typed_form_is_a_range() {
        let range = |from, to, by| Some(Range { from, to, by });
        assert_eq!(parse("-5--1"), range("-5", "-1", By::Step("1")));
        assert_eq!(parse(" 1 - 3 (+1) "), range("1", "3", By::Step("+1")));
        assert_eq!(parse("0.5-1.[3 ]"), range("0.5", "1.", By::Count("3")));
        for text in ["", "-", "1-", "1", "1-2 (1)", "1-2 [-1]", "1-2-3", "1-2 (+1", "a-b", "1-2 (+.5)", "1-2 x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn hostile_ranges_end() {
        assert!(whole_steps(i64::MIN, i64::MAX, 1).is_err());
        assert_eq!(whole_steps(i64::MAX - 1, i64::MAX, 5).unwrap(), [i64::MAX - 1]);
        assert!(float_steps(0.0, 1e300, 1e-300, Rule::WebUi).is_err());
        assert!(spaced(0.0, 1.0, usize::MAX).is_err());
        assert_eq!(float_steps(3.0, 10.0, 3.0, Rule::WebUi).unwrap(), [3.0, 6.0, 9.0, 12.0]);
        assert_eq!(float_steps(3.0, 10.0, 3.0, Rule::Strict).unwrap(), [3.0, 6.0, 9.0]);
        assert_eq!(float_steps(0.7, 1.0, 0.1, Rule::Strict).unwrap().len(), 4);
    }
}

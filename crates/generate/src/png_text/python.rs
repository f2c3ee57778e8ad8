//! Values of settings, written as Python writes them: 7.0, 1e-05, True.

use std::fmt;

/// A setting's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A whole number, written without a point.
    Whole(i64),
    /// A number, written with a point.
    Float(f64),
    /// `True` or `False`.
    Flag(bool),
}

impl Value {
    /// A number as the web UI's page sends it: 7 for seven, 7.5 for seven and a half.
    pub fn short(number: f64) -> Self {
        // Beyond this not every whole number is a float.
        if number.fract() == 0.0 && number.abs() < 9e15 { Self::Whole(number as i64) } else { Self::Float(number) }
    }

    /// The number that the value is or spells.
    pub fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Whole(whole) => *whole as f64,
            Self::Float(float) => *float,
            Self::Flag(_) => return None,
        };
        if number.is_finite() { Some(number) } else { None }
    }

    /// The whole number that the value is or spells; 7.0 is one.
    pub fn whole(&self) -> Option<i64> {
        if let Self::Text(text) = self
            && let Ok(whole) = text.trim().parse()
        {
            return Some(whole);
        }
        let number = self.number()?;
        if number.fract() == 0.0 && number.abs() < 9e15 { Some(number as i64) } else { None }
    }

    /// Whether the value is or spells yes or no, in whatever case.
    pub fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            Self::Text(text) => text.trim().to_ascii_lowercase().parse().ok(),
            Self::Whole(_) | Self::Float(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Float(float) => f.write_str(&float_text(*float)),
            Self::Flag(true) => f.write_str("True"),
            Self::Flag(false) => f.write_str("False"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(whole: i64) -> Self {
        Self::Whole(whole)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// The shortest digits that mean `number`, as Python's `repr` spells them.
pub(crate) fn float_text(number: f64) -> String {
    if !number.is_finite() {
        return format!("{number}").to_ascii_lowercase();
    }
    // Rust and Python change to exponents at the same sizes, but Python writes a sign and two digits at least.
    let text = format!("{number:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python 3.11 prints them.
    #[test]
    fn floats_are_spelt_as_in_python() {
        for (number, text) in [
            (7.0, "7.0"),
            (0.55, "0.55"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-0.0, "-0.0"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(Value::Float(number).to_string(), text);
        }
        assert_eq!(Value::short(7.0).to_string(), "7");
        assert_eq!(Value::short(7.5).to_string(), "7.5");
        assert_eq!(Value::Flag(true).to_string(), "True");
    }

    #[test]
    fn numbers_and_flags_are_read_from_text() {
        assert_eq!(Value::from("7.0").whole(), Some(7));
        assert_eq!(Value::from("9007199254740993").whole(), Some(9_007_199_254_740_993));
        assert_eq!(Value::from("7.5").whole(), None);
        assert_eq!(Value::from("nan").number(), None);
        assert_eq!(Value::from("1e400").number(), None);
        assert_eq!(Value::from("true").flag(), Some(true));
        assert_eq!(Value::from("1").flag(), None);
    }
}

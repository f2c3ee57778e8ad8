//! The values of optimizer settings, and how they are read from `name=value` and written back. `optimizer.rs` lists
//! the settings themselves.

use std::fmt;

/// A setting's value in a form that can be written down; `Display` writes it as `--optimizer_args` takes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// True or False.
    Flag(bool),
    /// A number; may be infinite.
    Number(f64),
    /// A whole number.
    Whole(u64),
    /// Several numbers, such as betas.
    Numbers(Vec<f64>),
    /// Left to the optimizer.
    Nothing,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(true) => f.write_str("True"),
            Self::Flag(false) => f.write_str("False"),
            Self::Number(value) => write!(f, "{value:?}"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Numbers(values) => {
                let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
                f.write_str(&values.join(","))
            }
            Self::Nothing => f.write_str("None"),
        }
    }
}

/// A type that a setting can have.
pub trait Value: Sized + Clone {
    /// Reads what is typed after `name=`, in Python's spelling.
    fn read(text: &str) -> Option<Self>;

    /// The value in a form that can be written down.
    fn setting(&self) -> Setting;
}

impl Value for f64 {
    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|value: &f64| !value.is_nan())
    }

    fn setting(&self) -> Setting {
        Setting::Number(*self)
    }
}

impl Value for u64 {
    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn setting(&self) -> Setting {
        Setting::Whole(*self)
    }
}

impl Value for bool {
    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    fn setting(&self) -> Setting {
        Setting::Flag(*self)
    }
}

impl Value for Option<f64> {
    fn read(text: &str) -> Option<Self> {
        if text == "None" { Some(None) } else { f64::read(text).map(Some) }
    }

    fn setting(&self) -> Setting {
        self.map_or(Setting::Nothing, Setting::Number)
    }
}

/// Numbers between commas, with or without brackets: `0.9,0.999` or `(0.9, 0.999)`.
fn list<const N: usize>(text: &str) -> Option<[f64; N]> {
    let inner = text.trim_matches(['(', ')', '[', ']']).trim_end_matches([',', ' ']);
    inner.split(',').map(f64::read).collect::<Option<Vec<_>>>()?.try_into().ok()
}

impl Value for (f64, f64) {
    fn read(text: &str) -> Option<Self> {
        list(text).map(|[a, b]| (a, b))
    }

    fn setting(&self) -> Setting {
        Setting::Numbers(vec![self.0, self.1])
    }
}

impl Value for (f64, f64, f64) {
    fn read(text: &str) -> Option<Self> {
        list(text).map(|[a, b, c]| (a, b, c))
    }

    fn setting(&self) -> Setting {
        Setting::Numbers(vec![self.0, self.1, self.2])
    }
}

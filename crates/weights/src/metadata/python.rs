//! Values spelled as Python spells them: `str()` of numbers, booleans and None, and `json.dumps`.

use std::fmt::Display;
use std::io;

use serde::ser::{Serialize, Serializer};
use serde_json::ser::Formatter;

/// `True` or `False`.
pub(super) fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// The value, or `None`.
pub(super) fn optional(value: Option<impl Display>) -> String {
    value.map_or_else(|| "None".into(), |value| value.to_string())
}

/// `repr` of a float: shortest digits that read back the same, an exponent below 1e-4 and from 1e16.
pub(super) fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return if value.is_nan() { "nan".into() } else { scientific };
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

/// Local date and time without zone, to the second, as `datetime.fromtimestamp(int(seconds)).isoformat()`.
pub(super) fn local_date(seconds: f64) -> String {
    let utc = chrono::DateTime::from_timestamp(seconds as i64, 0).unwrap_or_default();
    utc.with_timezone(&chrono::Local).format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// A JSON object whose entries keep their order.
pub(super) struct Ordered<'e, K, V>(pub &'e [(K, V)]);

impl<K: Serialize, V: Serialize> Serialize for Ordered<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// `json.dumps`: a space after `,` and `:`, everything beyond ASCII escaped.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Dumps));
    debug_assert!(written.is_ok(), "memory takes any bytes, and all keys are strings or numbers");
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Dumps;

impl Formatter for Dumps {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for symbol in fragment.chars() {
            if symbol.is_ascii() && symbol <= '~' {
                write!(writer, "{symbol}")?;
            } else {
                for unit in symbol.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: `repr` and `json.dumps` of Python 3.
    #[test]
    fn floats_and_json_are_spelled_as_python_does() {
        for (value, expected) in [
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (0.0, "0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e120, "1.25e+120"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1795343218.3896809, "1795343218.3896809"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float(value), expected);
        }
        let odd = [("a\"\\\n\u{1f}\u{7f}é", vec![1.0, 5e-5]), ("😀", vec![])];
        assert_eq!(json(&Ordered(&odd)), r#"{"a\"\\\n\u001f\u007f\u00e9": [1.0, 5e-05], "\ud83d\ude00": []}"#);
    }
}

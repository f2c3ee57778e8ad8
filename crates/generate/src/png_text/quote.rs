//! Quotation marks around values that would not be read back without them.

/// `text` as it stands behind a key: in JSON's quotation marks if it holds a comma, a colon or a line break.
pub fn quote(text: &str) -> String {
    if text.contains([',', ':', '\n']) { serde_json::Value::from(text).to_string() } else { text.to_owned() }
}

/// `text` without the quotation marks around it; as it is where there are none, or where it is no JSON.
pub fn unquote(text: &str) -> String {
    if text.starts_with('"') && text.ends_with('"') {
        serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
    } else {
        text.to_owned()
    }
}

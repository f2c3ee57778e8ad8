//! Several things that are wrong at once.

/// What is wrong, a line each: `--option: what is wrong; what to do`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Problems(pub Vec<String>);

/// An error with its causes in one line; a cause that the text before tells already is not repeated.
pub fn in_one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().replace('\n', "; ");
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("it is a pipe").context("cannot read x: it is a pipe").context("--vae");
        assert_eq!(in_one_line(&error), "--vae: cannot read x: it is a pipe");
    }
}

//! Keys of upscalers of the ESRGAN family → the names of Real-ESRGAN's RRDBNet.

/// What training programs keep the weights under, in the order in which they are taken.
const PREFIXES: [&str; 4] = ["params_ema.", "params.", "state_dict.", "module."];

/// Layers of the first ESRGAN that are called otherwise.
const FIRST: [(&str, &str); 4] = [
    ("trunk_conv.", "conv_body."),
    ("HRconv.", "conv_hr."),
    ("conv_first.", "conv_first."),
    ("conv_last.", "conv_last."),
];

/// The (key in the file, name) pairs of a file with these keys; what has no name in the network is called as in the file.
pub fn names(keys: &[&str]) -> Vec<(String, String)> {
    let prefix = PREFIXES.iter().find(|prefix| keys.iter().any(|key| key.starts_with(*prefix)));
    let prefix = prefix.copied().unwrap_or_default();
    let own: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(prefix)).collect();
    let last = own.iter().filter_map(|key| numbered(key)).map(|(number, _)| number).max().unwrap_or(0);
    let mut names = Vec::new();
    for key in own {
        let name = first_naming(key).or_else(|| second_naming(key, last)).unwrap_or_else(|| key.to_string());
        names.push((format!("{prefix}{key}"), name));
    }
    names
}

/// The naming of the first ESRGAN.
fn first_naming(key: &str) -> Option<String> {
    if let Some(rest) = key.strip_prefix("RRDB_trunk.") {
        return Some(format!("body.{}", rest.replacen("RDB", "rdb", 1)));
    }
    if let Some(rest) = key.strip_prefix("upconv") {
        return Some(format!("conv_up{rest}"));
    }
    FIRST.iter().find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?)))
}

/// The naming by places in a row of layers, `last` of which is the last: every doubling takes three, and the two
/// convolutions behind them take two each.
fn second_naming(key: &str, last: usize) -> Option<String> {
    if let Some(rest) = key.strip_prefix("model.1.sub.") {
        let (number, rest) = rest.split_once('.')?;
        return Some(match rest.split_once('.') {
            // model.1.sub.0.RDB1.conv1.0.weight
            Some((block, rest)) => {
                let rest = rest.replacen(".0.", ".", 1);
                format!("body.{number}.{}.{rest}", block.replacen("RDB", "rdb", 1))
            }
            // model.1.sub.23.weight
            None => format!("conv_body.{rest}"),
        });
    }
    let (number, rest) = numbered(key)?;
    let layer = match number {
        0 => "conv_first".to_string(),
        number if number == last => "conv_last".to_string(),
        number if number + 2 == last => "conv_hr".to_string(),
        number if number % 3 == 0 && number < last => format!("conv_up{}", number / 3),
        _ => return None,
    };
    Some(format!("{layer}.{rest}"))
}

/// Number and rest of a key such as `model.3.weight`.
fn numbered(key: &str) -> Option<(usize, &str)> {
    let (number, rest) = key.strip_prefix("model.")?.split_once('.')?;
    if rest != "weight" && rest != "bias" {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(keys: &[&str]) -> Vec<String> {
        names(keys).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn all_namings_become_one() {
        let by_place = [
            "model.0.weight",
            "model.1.sub.0.RDB3.conv5.0.bias",
            "model.1.sub.23.weight",
            "model.3.weight",
            "model.6.bias",
            "model.8.weight",
            "model.10.weight",
        ];
        let first = [
            "conv_first.weight",
            "RRDB_trunk.0.RDB3.conv5.bias",
            "trunk_conv.weight",
            "upconv1.weight",
            "upconv2.bias",
            "HRconv.weight",
            "conv_last.weight",
        ];
        let ours = [
            "conv_first.weight",
            "body.0.rdb3.conv5.bias",
            "conv_body.weight",
            "conv_up1.weight",
            "conv_up2.bias",
            "conv_hr.weight",
            "conv_last.weight",
        ];
        assert_eq!(named(&by_place), ours);
        assert_eq!(named(&first), ours);
        assert_eq!(named(&ours), ours);
        let averaged = ["params.conv_first.weight", "params_ema.conv_first.weight"];
        assert_eq!(names(&averaged), [("params_ema.conv_first.weight".to_string(), "conv_first.weight".to_string())]);
    }

    #[test]
    fn without_doublings_the_last_places_move_down() {
        assert_eq!(named(&["model.2.bias", "model.4.bias"]), ["conv_hr.bias", "conv_last.bias"]);
    }
}

//! Names that are like other names: what somebody meant who mistyped one.
//!
//! A name that has only its beginning in common with another one is not like it: `learning_rate_te1` is no
//! `learning_rate`.

/// The one of `names` that is most like `name`, in whatever case, if any is.
pub(crate) fn nearest_in<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let mut best = None;
    let mut best_distance = usize::MAX;
    for candidate in names {
        let Some(distance) = distance(&name, &candidate.to_ascii_lowercase()) else { continue };
        // Of equals the last.
        if distance <= best_distance {
            best = Some(candidate);
            best_distance = distance;
        }
    }
    best
}

/// The only one of `names` that begins with `name`: Python takes such a beginning for the whole.
pub(crate) fn beginning_with<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut whole = names.filter(|whole| name.len() > 2 && whole.starts_with(name));
    let first = whole.next()?;
    if whole.next().is_none() { Some(first) } else { None }
}

/// The letters in which two names differ; none if they are not the same name, mistyped. Letters are compared only where
/// the lengths are near each other: a name may be as long as a file.
fn distance(name: &str, candidate: &str) -> Option<usize> {
    let words: Vec<&str> = name.split('_').collect();
    let others: Vec<&str> = candidate.split('_').collect();
    if words.len() != others.len() {
        // Fewer words may be without their underscores, but one more is something else.
        let most = if words.len() < others.len() { 1 } else { 0 };
        let joined = near(&words.concat(), &others.concat(), most)?;
        return Some(joined + 1);
    }
    let mut sorted = [words.clone(), others.clone()];
    sorted.iter_mut().for_each(|words| words.sort_unstable());
    if sorted[0] == sorted[1] {
        return Some(0);
    }
    let mut sum = 0;
    let mut is_near = true;
    for (word, other) in words.iter().zip(&others) {
        let letters = word.chars().count().max(other.chars().count());
        let distance = near(word, other, 2)?;
        // One slip of the finger in three letters, two in six; a single one may be in a short word of a long name.
        is_near &= distance <= letters / 3;
        sum += distance;
    }
    if is_near || sum == 1 && name.len() > 5 { Some(sum) } else { None }
}

/// In how many letters two words differ; none if in more than `most`.
fn near(word: &str, other: &str, most: usize) -> Option<usize> {
    if word.chars().count().abs_diff(other.chars().count()) > most {
        return None;
    }
    let distance = strsim::osa_distance(word, other);
    if distance <= most { Some(distance) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_seen_through() {
        let names =
            ["learning_rate", "train_data_dir", "min_snr_gamma", "max_bucket_reso", "flip_aug", "lr_decay_steps", "v2"];
        for (typed, meant) in [
            ("train_data_di", Some("train_data_dir")),
            ("min_snr_gama", Some("min_snr_gamma")),
            ("snr_min_gamma", Some("min_snr_gamma")),
            ("Learing_Rate", Some("learning_rate")),
            ("lerning_rate", Some("learning_rate")),
            ("rl_decay_steps", Some("lr_decay_steps")),
            ("flipaug", Some("flip_aug")),
            ("traindatadir", Some("train_data_dir")),
            ("learning_rate_te1", None),
            ("learning_rate_x", None),
            ("train_text_encoder", None),
            ("lr_restart_cycles", None),
            ("min_bucket_reso", None),
            ("v3", None),
            ("zzz", None),
        ] {
            assert_eq!(nearest_in(typed, names.into_iter()), meant, "{typed}");
        }
        assert_eq!(beginning_with("max_b", names.into_iter()), Some("max_bucket_reso"));
        assert_eq!(beginning_with("l", names.into_iter()), None);
    }

    #[test]
    fn a_name_as_long_as_a_file_takes_no_time() {
        let known = ["network_dim", "learning_rate", "caption"].into_iter().cycle().take(500);
        let began = std::time::Instant::now();
        for long in ["a".repeat(1_000_000), "a_".repeat(500_000), format!("learning_{}", "r".repeat(1_000_000))] {
            assert_eq!(nearest_in(&long, known.clone()), None);
        }
        // Compared letter by letter, the first one alone took 5 s.
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}

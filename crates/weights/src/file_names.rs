//! Names of the files that a run writes, as sd-scripts names them; and of what is kept of an earlier run.

/// What all LoRA files end in.
const SUFFIX: &str = ".safetensors";
/// What the folders of states end in.
const STATE: &str = "-state";
/// Longest name that every usual file system takes, in bytes.
const LONGEST: usize = 255;

/// The result of the whole run.
pub fn last(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

/// A snapshot after an epoch, counted from 1.
pub fn at_epoch(name: &str, epoch: u64) -> String {
    format!("{name}-{epoch:06}{SUFFIX}")
}

/// A snapshot after an optimizer step, counted from 1.
pub fn at_step(name: &str, step: u64) -> String {
    format!("{name}-step{step:08}{SUFFIX}")
}

/// The folder of the state that belongs to a file of the above names.
pub fn state_of(file: &str) -> String {
    format!("{}{STATE}", file.trim_end_matches(SUFFIX))
}

/// The name under which an earlier run's `file` is kept when a new run writes one of that name; `date` as in
/// `20261130-073500`.
pub fn old(file: &str, date: &str) -> String {
    let end = format!(".old-{date}{SUFFIX}");
    format!("{}{end}", cut(file.trim_end_matches(SUFFIX), LONGEST - end.len()))
}

/// What a file name of a run named `name` stands for; `None` if it is none of the run's.
pub fn moment(file: &str, name: &str) -> Option<Moment> {
    let rest = file.strip_prefix(name)?.strip_suffix(SUFFIX)?;
    let moment = match (rest.strip_prefix("-step"), rest.strip_prefix('-')) {
        _ if rest.is_empty() => Moment::End,
        (Some(step), _) => Moment::Step(step.parse().ok()?),
        (None, Some(epoch)) => Moment::Epoch(epoch.parse().ok()?),
        (None, None) => return None,
    };
    let canonical = match moment {
        Moment::End => last(name),
        Moment::Epoch(epoch) => at_epoch(name, epoch),
        Moment::Step(step) => at_step(name, step),
    };
    if canonical == file { Some(moment) } else { None }
}

/// The same for the folder of a state.
pub fn moment_of_state(folder: &str, name: &str) -> Option<Moment> {
    moment(&last(folder.strip_suffix(STATE)?), name)
}

/// When a file of a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// At the end of the run.
    End,
    /// After this epoch, counted from 1.
    Epoch(u64),
    /// After this optimizer step, counted from 1.
    Step(u64),
}

/// The beginning of `name`, of at most so many bytes.
pub fn cut(name: &str, bytes: usize) -> &str {
    let mut end = name.len().min(bytes);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_as_in_sd_scripts() {
        assert_eq!(last("penny"), "penny.safetensors");
        assert_eq!(at_epoch("penny", 3), "penny-000003.safetensors");
        assert_eq!(at_step("penny", 1200), "penny-step00001200.safetensors");
        assert_eq!(state_of(&at_epoch("penny", 3)), "penny-000003-state");
        assert_eq!(old(&last("penny"), "20261130-073500"), "penny.old-20261130-073500.safetensors");
        assert_eq!(old(&last(&"é".repeat(121)), "20261130-073500").len(), 254);
    }

    #[test]
    fn names_are_known_again() {
        for step in [1, 1200, 123_456_789_012] {
            assert_eq!(moment(&at_step("a-1", step), "a-1"), Some(Moment::Step(step)));
            assert_eq!(moment(&at_epoch("a-1", step), "a-1"), Some(Moment::Epoch(step)));
        }
        assert_eq!(moment_of_state("a-state", "a"), Some(Moment::End));
        assert_eq!(moment_of_state("a-step00000002-state", "a"), Some(Moment::Step(2)));
        for other in
            ["a", "ab.safetensors", "a-1.safetensors", "a-step2.safetensors", "a-x.safetensors", "a.old.safetensors"]
        {
            assert_eq!(moment(other, "a"), None, "{other}");
        }
    }
}

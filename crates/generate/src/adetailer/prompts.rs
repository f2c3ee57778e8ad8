//! The prompts of the areas that are painted again.

/// A prompt for each area in order, the last one for all that follow; `None` = the area is left alone. `[SEP]` stands
/// between prompts, `[PROMPT]` for `main`, and so does an empty prompt; `[SKIP]` alone leaves an area alone.
pub fn prompts(typed: &str, main: &str) -> Vec<Option<String>> {
    let mut prompts = Vec::new();
    let count = typed.split("[SEP]").count();
    for (index, part) in typed.split("[SEP]").enumerate() {
        // Spaces beside a separator are no part of the prompts.
        let part = if index > 0 { part.trim_start() } else { part };
        let part = if index + 1 < count { part.trim_end() } else { part };
        prompts.push(match part {
            "" => Some(main.to_owned()),
            _ if part.trim() == "[SKIP]" => None,
            _ => Some(part.replace("[PROMPT]", main)),
        });
    }
    prompts
}

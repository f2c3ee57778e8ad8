//! Other strengths for the networks of a prompt, put into its tags: sd-scripts' `--am`.

use super::tags::{Tag, named, next_tag};

/// `prompt` with these strengths in its tags of networks, in their order; the last holds for all that follow. `None` if it
/// has no such tag.
///
/// ```
/// use lorabake_generate::prompt::with_strengths;
///
/// let prompt = with_strengths("a <lora:x:1:0.5> <lora:y:lbw=MIDD>", &[0.8, 0.3]);
/// assert_eq!(prompt.as_deref(), Some("a <lora:x:0.8:0.8> <lora:y:0.3:lbw=MIDD>"));
/// ```
pub fn with_strengths(prompt: &str, strengths: &[f64]) -> Option<String> {
    let mut changed = String::new();
    let mut count = 0;
    let mut rest = prompt;
    while let Some(found) = next_tag(rest) {
        changed.push_str(&rest[..found.start]);
        let strength = strengths.get(count).or(strengths.last());
        match strength {
            Some(strength) if ["lora", "lyco", "hypernet"].contains(&found.kind) => {
                let items = found.arguments.split(':').map(str::to_owned).collect();
                let mut tag = Tag { kind: found.kind.to_owned(), items };
                put(&mut tag, *strength);
                changed.push_str(&tag.to_string());
                count += 1;
            }
            _ => changed.push_str(&rest[found.start..found.end]),
        }
        rest = &rest[found.end..];
    }
    changed.push_str(rest);
    if count == 0 { None } else { Some(changed) }
}

/// The strength in place of those that the tag has, in both of its forms: by place and by name.
fn put(tag: &mut Tag, strength: f64) {
    tag.items.retain(|item| named(item).is_none_or(|item| !["te", "unet"].contains(&item.key)));
    let mut places = Vec::new();
    for (index, item) in tag.items.iter().enumerate().skip(1) {
        if named(item).is_none() {
            places.push(index);
        }
    }
    match places.first() {
        Some(first) => tag.items[*first] = strength.to_string(),
        None => tag.items.insert(tag.items.len().min(1), strength.to_string()),
    }
    // In the second place there may also be block weights, as the old form has it.
    if let Some(second) = places.get(1)
        && tag.items[*second].trim().parse::<f64>().is_ok()
    {
        tag.items[*second] = strength.to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_take_the_place_of_those_that_stand_there() {
        for (prompt, changed) in [
            ("<lora:x>", "<lora:x:2>"),
            ("<lora:x:te=1:unet=0.5:dyn=4>", "<lora:x:2:dyn=4>"),
            ("<lora:x:1:ALL>, <other:1>", "<lora:x:2:ALL>, <other:1>"),
            ("a <hypernet:h:1> b <lyco:x:0@0,1@1:0.3> c", "a <hypernet:h:2> b <lyco:x:-1:-1> c"),
        ] {
            assert_eq!(with_strengths(prompt, &[2.0, -1.0]).as_deref(), Some(changed));
        }
        assert_eq!(with_strengths("a <b:c>", &[1.0]), None);
        assert_eq!(with_strengths("<lora:x>", &[]), None);
    }
}

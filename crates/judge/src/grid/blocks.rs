//! Values of the axis `block`: block weights by name.

use lorabake_generate::prompt::block_weights::{Presets, named_blocks};

/// The piece of a tag that `value` means:
///
/// | value | acts |
/// |---|---|
/// | `MIDD` | a preset, of lora-block-weight or of `--lbw_presets` |
/// | `IN04`, `OUT`, `IN04-IN08` | these blocks of the UNet alone, and the text encoders as before |
/// | `BASE` | the text encoders alone |
/// | `-IN04` | all but these |
/// | `IN04:0.5,OUT:0` | by weights; what is not named has 1 |
/// | `1,0,0,…` | a list of 12, 17, 20 or 26 weights |
///
/// # Errors
/// When it is none of these.
pub fn weights(value: &str, presets: &Presets) -> Result<String, String> {
    if presets.has(value) {
        return Ok(format!("lbw={value}"));
    }
    if value.contains(':') {
        named_blocks(value).map_err(|error| format!("{error:#}"))?;
        return Ok(format!("blocks={value}"));
    }
    if value.contains(',') {
        presets.list(value).map_err(|error| format!("{error:#}"))?;
        return Ok(format!("lbw={value}"));
    }
    let rules = match value.strip_prefix('-') {
        Some(block) => format!("{block}:0"),
        None if value == "BASE" => "IN:0,MID:0,OUT:0".to_owned(),
        None => format!("IN:0,MID:0,OUT:0,{value}:1"),
    };
    if named_blocks(&rules).is_err() {
        let names: Vec<&str> = presets.names().collect();
        return Err(format!(
            "`{value}` is no block and no preset; write for instance IN04, OUT, -MID, IN04-IN08, or one of {}",
            names.join(", ")
        ));
    }
    Ok(format!("blocks={rules}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_alone_and_left_out() {
        let presets = Presets::built_in();
        for (value, piece) in [
            ("MIDD", "lbw=MIDD"),
            ("IN04", "blocks=IN:0,MID:0,OUT:0,IN04:1"),
            ("BASE", "blocks=IN:0,MID:0,OUT:0"),
            ("-OUT", "blocks=OUT:0"),
            ("IN04-IN06", "blocks=IN:0,MID:0,OUT:0,IN04-IN06:1"),
            ("IN04:0.5", "blocks=IN04:0.5"),
            ("1,0,0,0,1,1,1,1,1,1,1,1", "lbw=1,0,0,0,1,1,1,1,1,1,1,1"),
        ] {
            assert_eq!(weights(value, &presets).unwrap(), piece);
        }
        for (value, said) in
            [("IN4", "is no block and no preset; write"), ("1,2", "has 2 block weights"), ("IN04:x", "number")]
        {
            assert!(weights(value, &presets).unwrap_err().contains(said), "{value}");
        }
    }
}

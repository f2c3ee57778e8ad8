//! How a LoRA does on several checkpoints: a table, and a line for its model card.

use lorabake_judge::standing::{Elsewhere, OnCheckpoint, Standing};

use super::table::{percent, response, share};

/// The cells of the table, the names of the columns first.
pub fn rows(elsewhere: &Elsewhere) -> Vec<Vec<String>> {
    let has_pictures = elsewhere.checkpoints.iter().any(|place| !place.pictures.is_empty());
    let mut head = vec!["checkpoint", "", "strength", "errors", "s*", "plain", "trigger"];
    if has_pictures {
        head.extend(["like", "like at 1", "copies", "bleed"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    for (index, place) in elsewhere.checkpoints.iter().enumerate() {
        let mut row = row(place, elsewhere.best == Some(index));
        if let (Some(first), Some(last)) = (place.pictures.first(), place.pictures.last()) {
            row.extend([
                share(last.measures.likeness),
                share(first.measures.likeness),
                share(Some(last.measures.copies)),
                share(last.measures.bleed),
            ]);
        }
        rows.push(row);
    }
    rows
}

fn row(place: &OnCheckpoint, is_best: bool) -> Vec<String> {
    let measures = &place.measures;
    let home = if place.is_home { " (trained on)" } else { "" };
    vec![
        format!("{}{home}", place.name),
        word(place.standing, is_best).to_owned(),
        place.strength.to_string(),
        format!("{:+.0} %", percent(place.best_score())),
        response(measures.whole.as_ref()),
        format!("{:.2} %", measures.drift.plain * 100.0),
        format!("{:.2} %", measures.drift.trigger * 100.0),
    ]
}

/// One word or two.
pub fn word(standing: Standing, is_best: bool) -> &'static str {
    match standing {
        Standing::Holds if is_best => "best",
        Standing::Holds => "holds",
        Standing::Weak => "weak",
        Standing::NoEffect => "hardly any effect",
        Standing::Breaks => "falls apart",
    }
}

/// The line for the model card, `works best with X at 0.8; holds with Y at 1; hardly any effect with Z`.
pub fn line(elsewhere: &Elsewhere) -> String {
    let Elsewhere { checkpoints, best, .. } = elsewhere;
    let mut parts = Vec::new();
    if let Some(best) = best.map(|best| &checkpoints[best]) {
        parts.push(format!("works best with {} at {}", best.name, best.strength));
    }
    let rest = |wanted: Standing| {
        let places = checkpoints.iter().enumerate();
        let of_kind = places.filter(move |(index, place)| *best != Some(*index) && place.standing == wanted);
        of_kind.map(|(_, place)| place)
    };
    let at: Vec<String> = rest(Standing::Holds).map(|place| format!("{} at {}", place.name, place.strength)).collect();
    let weak: Vec<String> = rest(Standing::Weak).map(|place| format!("{} at {}", place.name, place.strength)).collect();
    let idle: Vec<String> = rest(Standing::NoEffect).map(|place| place.name.clone()).collect();
    let broken: Vec<String> = rest(Standing::Breaks).map(|place| place.name.clone()).collect();
    for (what, names) in
        [("holds with", at), ("is weak with", weak), ("hardly any effect with", idle), ("falls apart with", broken)]
    {
        if !names.is_empty() {
            parts.push(format!("{what} {}", names.join(", ")));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use lorabake_judge::drift::Drift;
    use lorabake_judge::measure::SnapshotMeasures;
    use lorabake_judge::pictures::PictureMeasures;
    use lorabake_judge::runs::Saved;
    use lorabake_judge::standing::AtStrength;

    use super::*;

    fn place(name: &str, likeness: f64, strength: f64) -> OnCheckpoint {
        OnCheckpoint {
            name: name.to_owned(),
            is_home: name == "home",
            measures: SnapshotMeasures {
                path: PathBuf::new(),
                saved: Saved::End,
                held_out: vec![-0.4],
                training: vec![-0.4],
                drift: Drift { plain: 0.01, trigger: 0.2 },
                text_drift: None,
                whole: None,
                unet: None,
                te: None,
                is_broken: false,
                problem: None,
            },
            pictures: vec![AtStrength {
                strength,
                measures: PictureMeasures { likeness: Some(likeness), ..PictureMeasures::default() },
            }],
            strength,
            standing: Standing::Holds,
        }
    }

    #[test]
    fn the_line_names_the_best_first() {
        let places = vec![place("home", 0.6, 1.0), place("anime", 0.9, 0.8), place("photo", 0.05, 1.2)];
        let found = Elsewhere::of(0, places);
        assert_eq!(line(&found), "works best with anime at 0.8; holds with home at 1; hardly any effect with photo");
        let rows = rows(&found);
        assert_eq!(rows[1][..3], ["home (trained on)", "holds", "1"]);
        assert_eq!(rows[2][..4], ["anime", "best", "0.8", "-33 %"]);
        let nowhere = Elsewhere::of(0, vec![place("home", 0.0, 1.0)]);
        assert_eq!(line(&nowhere), "hardly any effect with home");
    }
}

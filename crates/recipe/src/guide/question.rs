//! What a user says of a subject: its category, how many images there are, and which optimizer is to learn it.
//!
//! The categories of difficulty A to I, with the ranks that go with them, are the guide's.

use std::fmt;
use std::str::FromStr;

use crate::model::Family;

/// What is to be learnt, in the guide's categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// A character of difficulty A to I.
    Character(char),
    /// A style.
    Style,
    /// A concept: a pose, clothing, a background.
    Concept,
    /// A vehicle, which the guide puts between characters C and G.
    Vehicle,
}

/// One of the guide's difficulties of characters.
pub(super) struct Difficulty {
    letter: char,
    /// Who belongs there.
    pub(super) who: &'static str,
    pub(super) lowest_rank: u32,
    pub(super) highest_rank: u32,
}

const DIFFICULTIES: [Difficulty; 9] = [
    Difficulty { letter: 'A', who: "simple \"realistic\" female characters", lowest_rank: 4, highest_rank: 8 },
    Difficulty {
        letter: 'B',
        who: "female characters with unusual faces, hairstyles, colours or clothes",
        lowest_rank: 4,
        highest_rank: 16,
    },
    Difficulty { letter: 'C', who: "very elaborate details, wings, armour, tails", lowest_rank: 8, highest_rank: 32 },
    Difficulty {
        letter: 'D',
        who: "humanoids, furry characters with humanlike features, realistic humans",
        lowest_rank: 32,
        highest_rank: 64,
    },
    Difficulty {
        letter: 'E',
        who: "chibi proportions, but still two arms and legs",
        lowest_rank: 64,
        highest_rank: 64,
    },
    Difficulty {
        letter: 'F',
        who: "animals, dragons, humanoid robots, ridiculously ornate costumes",
        lowest_rank: 64,
        highest_rank: 128,
    },
    Difficulty {
        letter: 'G',
        who: "humanoid mechs, aliens, demons, several limbs",
        lowest_rank: 128,
        highest_rank: 128,
    },
    Difficulty {
        letter: 'H',
        who: "non-humanoid robots, monsters, insects, realistic animals",
        lowest_rank: 128,
        highest_rank: 192,
    },
    Difficulty { letter: 'I', who: "eldritch abominations", lowest_rank: 192, highest_rank: 256 },
];

impl FromStr for Category {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "style" => return Ok(Self::Style),
            "concept" => return Ok(Self::Concept),
            "vehicle" => return Ok(Self::Vehicle),
            _ => {}
        }
        let letter = text.chars().next().filter(|_| text.len() == 1).map(|letter| letter.to_ascii_uppercase());
        match letter.filter(|letter| ('A'..='I').contains(letter)) {
            Some(letter) => Ok(Self::Character(letter)),
            None => {
                let rows = DIFFICULTIES.map(|Difficulty { letter, who, .. }| format!("{letter} {who}"));
                Err(format!("use style, concept, vehicle, or for a character one of: {}", rows.join("; ")))
            }
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(letter) => write!(f, "a character of category {letter} ({})", difficulty(*letter).who),
            Self::Style => f.write_str("a style"),
            Self::Concept => f.write_str("a concept"),
            Self::Vehicle => f.write_str("a vehicle"),
        }
    }
}

/// The difficulty of this letter, else C.
pub(super) fn difficulty(letter: char) -> &'static Difficulty {
    DIFFICULTIES.iter().find(|own| own.letter == letter).unwrap_or(&DIFFICULTIES[2])
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is to be learnt.
    pub category: Category,
    /// How many images there are, 1 or more.
    pub images: u32,
    /// The images are few, of poor quality, or in a style that the LoRA should not take over.
    pub bad_images: bool,
    /// DAdaptAdam, Prodigy or AdamW8bit.
    pub optimizer: Learner,
    /// What is trained from; the guide's tables are for SD1.x, and it says how SDXL differs.
    pub family: Family,
}

/// The optimizers that the guide has starting settings for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Learner {
    /// The "Easy settings".
    #[default]
    DAdaptAdam,
    /// The "Easy settings" with Prodigy's `--optimizer_args`.
    Prodigy,
    /// Rates by hand.
    AdamW8bit,
}

impl FromStr for Learner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::DAdaptAdam, Self::Prodigy, Self::AdamW8bit];
        let found = all.into_iter().find(|learner| learner.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| "use DAdaptAdam, Prodigy or AdamW8bit".to_owned())
    }
}

impl Learner {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DAdaptAdam => "DAdaptAdam",
            Self::Prodigy => "Prodigy",
            Self::AdamW8bit => "AdamW8bit",
        }
    }
}

//! The bakes: good ones, and each way in which one is spoilt, with what it is in truth.

use super::sets::Set;

/// How a bake is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// As it should be.
    Good,
    /// A tenth of the steps.
    Short,
    /// A tenth of the rates.
    Weak,
    /// Eight times the rates.
    Hot,
    /// A hundred times the rates.
    Fire,
    /// Alpha eight times the rank.
    Alpha,
    /// One image, as often as all together.
    OneImage,
    /// Captions shuffled among the images.
    BadTags,
    /// Captions without the trigger.
    NoTrigger,
    /// A noise offset of 1.
    Noise,
    /// Six times the steps.
    Long,
}

/// What a bake is in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The snapshot to keep is fine.
    Fine,
    /// It needs more training.
    Under,
    /// It had too much, or at too high a rate.
    Over,
    /// Its verdict is open; something is to be noted about it.
    Note,
}

impl Truth {
    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Under => "undercooked",
            Self::Over => "overcooked",
            Self::Note => "a note",
        }
    }
}

impl Kind {
    /// As files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Short => "short",
            Self::Weak => "weak",
            Self::Hot => "hot",
            Self::Fire => "fire",
            Self::Alpha => "alpha",
            Self::OneImage => "one",
            Self::BadTags => "badtags",
            Self::NoTrigger => "notrigger",
            Self::Noise => "noise",
            Self::Long => "long",
        }
    }

    /// What its bakes are.
    pub fn truth(self) -> Truth {
        match self {
            Self::Good | Self::Long => Truth::Fine,
            Self::Short | Self::Weak => Truth::Under,
            Self::Hot | Self::Fire | Self::Alpha | Self::OneImage => Truth::Over,
            Self::BadTags | Self::NoTrigger | Self::Noise => Truth::Note,
        }
    }

    /// Whether one of its snapshots is the best.
    pub fn has_a_best(self) -> bool {
        matches!(self, Self::Good | Self::Long)
    }

    /// Whether a change of options can make it good.
    pub fn can_be_mended(self) -> bool {
        matches!(self, Self::Short | Self::Weak | Self::Hot | Self::Alpha | Self::Noise)
    }

    /// Whether its loss may stop being a number.
    pub fn may_end_early(self) -> bool {
        matches!(self, Self::Hot | Self::Fire | Self::Alpha)
    }
}

/// A bake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bake {
    /// The images.
    pub set: Set,
    /// How it is made.
    pub kind: Kind,
    /// Its seed.
    pub seed: u32,
}

impl Bake {
    /// The name of its folder.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.set.name(), self.kind.name(), self.seed)
    }

    /// The folder of its images, from that of the check.
    pub fn data(&self) -> String {
        let more = match self.kind {
            Kind::OneImage => "-one",
            Kind::BadTags => "-badtags",
            Kind::NoTrigger => "-notrigger",
            _ => "",
        };
        format!("sets/{}{more}", self.set.name())
    }

    /// Its options beside those of base.toml.
    pub fn options(&self) -> Vec<String> {
        let [unet, text] = self.set.rates();
        let factor = match self.kind {
            Kind::Weak => 0.1,
            Kind::Hot => 8.0,
            Kind::Fire => 100.0,
            _ => 1.0,
        };
        let epochs = match self.kind {
            Kind::Hot | Kind::Fire | Kind::Alpha => self.set.epochs() / 2,
            Kind::Long => self.set.epochs() * 6,
            _ => self.set.epochs(),
        };
        let mut options = vec![
            ("train_data_dir", self.data()),
            ("seed", self.seed.to_string()),
            ("unet_lr", (unet * factor).to_string()),
            ("text_encoder_lr", (text * factor).to_string()),
        ];
        // Epochs would override steps.
        match self.kind {
            Kind::Short => options.push(("max_train_steps", "20".to_owned())),
            _ => options.push(("max_train_epochs", epochs.to_string())),
        }
        match self.kind {
            Kind::Alpha => options.push(("network_alpha", "128".to_owned())),
            Kind::OneImage => options.push(("validation_split", "0".to_owned())),
            Kind::Noise => options.push(("noise_offset", "1.0".to_owned())),
            Kind::Long => options.push(("save_every_n_epochs", self.set.epochs().to_string())),
            _ => {}
        }
        let mut words = Vec::new();
        for (name, value) in options {
            words.extend([format!("--{name}"), value]);
        }
        words
    }
}

/// Seeds below this are those that the rules were tuned on.
const PROOF: u32 = 10;

/// How many seeds of a kind, of each set: for tuning from 3 on, beside seeds 1 and, of good ones, 2; and for the proof.
const COUNTS: [(Kind, [u32; 3], [u32; 3]); 11] = [
    (Kind::Good, [7, 7, 6], [7, 7, 7]),
    (Kind::Short, [3, 3, 3], [3, 3, 3]),
    (Kind::Weak, [2, 2, 2], [2, 2, 2]),
    (Kind::Hot, [2, 2, 2], [2, 2, 2]),
    (Kind::Fire, [2, 1, 1], [1, 1, 1]),
    (Kind::Alpha, [2, 1, 2], [2, 2, 2]),
    (Kind::OneImage, [2, 2, 2], [2, 2, 2]),
    (Kind::BadTags, [1, 1, 0], [2, 2, 2]),
    (Kind::NoTrigger, [0, 1, 1], [2, 2, 2]),
    (Kind::Noise, [1, 1, 0], [2, 2, 2]),
    (Kind::Long, [1, 0, 0], [1, 0, 0]),
];

/// The bakes of the proof, or those that the rules were tuned on.
pub fn bakes(for_tuning: bool) -> Vec<Bake> {
    let mut bakes = Vec::new();
    for (kind, tuning, proof) in COUNTS {
        for (place, set) in Set::ALL.into_iter().enumerate() {
            if for_tuning {
                let first = if kind == Kind::Good { 2 } else { 1 };
                bakes.extend((1..=first).chain(3..3 + tuning[place]).map(|seed| Bake { set, kind, seed }));
            } else {
                bakes.extend((PROOF..PROOF + proof[place]).map(|seed| Bake { set, kind, seed }));
            }
        }
    }
    bakes
}

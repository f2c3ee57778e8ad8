//! Tags of which one picture of one figure has one at most, and words for the same thing.

/// A group whose tags exclude each other.
pub struct Group {
    /// What the tags are about.
    pub name: &'static str,
    /// The tags.
    pub tags: &'static [&'static str],
    /// Tags that allow several of them.
    pub unless: &'static [&'static str],
    /// It is a trait of a figure, so that a stray one in a folder of one figure is probably wrong.
    pub is_trait: bool,
}

const TWO_HAIR_COLORS: &[&str] = &[
    "multicolored hair",
    "gradient hair",
    "streaked hair",
    "two-tone hair",
    "colored inner hair",
    "split-color hair",
    "rainbow hair",
    "colored tips",
];

/// The groups.
pub const GROUPS: &[Group] = &[
    Group {
        name: "hair colour",
        tags: &[
            "blonde hair",
            "brown hair",
            "black hair",
            "red hair",
            "blue hair",
            "green hair",
            "pink hair",
            "purple hair",
            "white hair",
            "grey hair",
            "silver hair",
            "orange hair",
            "aqua hair",
            "light brown hair",
            "light blue hair",
            "copper hair",
        ],
        unless: TWO_HAIR_COLORS,
        is_trait: true,
    },
    Group {
        name: "eye colour",
        tags: &[
            "blue eyes",
            "red eyes",
            "green eyes",
            "brown eyes",
            "yellow eyes",
            "purple eyes",
            "pink eyes",
            "orange eyes",
            "aqua eyes",
            "grey eyes",
            "black eyes",
            "white eyes",
            "golden eyes",
        ],
        unless: &["heterochromia", "multicolored eyes", "gradient eyes", "two-tone eyes"],
        is_trait: true,
    },
    Group {
        name: "hair length",
        tags: &[
            "very short hair",
            "short hair",
            "medium hair",
            "long hair",
            "very long hair",
            "absurdly long hair",
            "bald",
        ],
        unless: &["asymmetrical hair"],
        is_trait: true,
    },
    Group {
        name: "number of figures",
        tags: &["solo", "2girls", "3girls", "multiple girls", "2boys", "3boys", "multiple boys", "no humans", "couple"],
        unless: &["solo focus", "multiple views", "reflection"],
        is_trait: false,
    },
    Group {
        name: "time of day",
        tags: &["day", "night", "sunset", "sunrise", "evening", "dawn"],
        unless: &[],
        is_trait: false,
    },
    Group {
        name: "inside or outside",
        tags: &["indoors", "outdoors"],
        unless: &["window", "open door"],
        is_trait: false,
    },
    Group { name: "mouth", tags: &["open mouth", "closed mouth"], unless: &["multiple views"], is_trait: false },
    Group {
        name: "eyes open or closed",
        tags: &["closed eyes", "half-closed eyes", "wide-eyed"],
        unless: &["multiple views"],
        is_trait: false,
    },
    Group {
        name: "posture",
        tags: &["standing", "sitting", "lying", "kneeling", "squatting", "walking", "running", "jumping"],
        unless: &["multiple views"],
        is_trait: false,
    },
    Group {
        name: "framing",
        tags: &["portrait", "upper body", "cowboy shot", "full body", "lower body"],
        unless: &["multiple views"],
        is_trait: false,
    },
    Group {
        name: "direction of view",
        tags: &["looking at viewer", "looking away", "facing away", "closed eyes"],
        unless: &["multiple views"],
        is_trait: false,
    },
];

/// Hair colours beside which a picture is hardly without colour.
pub const COLORED_HAIR: &[&str] = &[
    "blonde hair",
    "brown hair",
    "red hair",
    "blue hair",
    "green hair",
    "pink hair",
    "purple hair",
    "orange hair",
    "aqua hair",
    "copper hair",
];

/// A class word that taggers use beside the thing itself, as in `red footwear, boots`.
pub struct Class {
    /// The class.
    pub class: &'static str,
    /// What belongs to it.
    pub things: &'static [&'static str],
}

/// The classes.
pub const CLASSES: &[Class] = &[
    Class {
        class: "footwear",
        things: &[
            "boots",
            "shoes",
            "sneakers",
            "sandals",
            "high heels",
            "slippers",
            "loafers",
            "knee boots",
            "thigh boots",
        ],
    },
    Class {
        class: "legwear",
        things: &["thighhighs", "pantyhose", "socks", "kneehighs", "stockings", "leggings", "tights"],
    },
    Class {
        class: "headwear",
        things: &[
            "hat",
            "cap",
            "beret",
            "helmet",
            "hood",
            "crown",
            "tiara",
            "beanie",
            "baseball cap",
            "witch hat",
            "top hat",
        ],
    },
    Class { class: "eyewear", things: &["glasses", "sunglasses", "goggles", "monocle"] },
    Class { class: "neckwear", things: &["necktie", "tie", "bowtie", "scarf", "choker", "ascot", "bandana"] },
];

/// Chains of more and more of the same, each holding those before.
pub const CHAINS: &[&[&str]] = &[
    &["long hair", "very long hair", "absurdly long hair"],
    &["short hair", "very short hair"],
    &["smile", "grin"],
    &["armor", "full armor"],
    &["holding", "holding weapon", "holding sword"],
    &["wide shot", "very wide shot"],
];

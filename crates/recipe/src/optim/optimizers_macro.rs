//! What the rows of `optimizer.rs` become. Exported, so that a test outside of this crate can add an optimizer.

/// Makes one struct of settings for each row, the enum `Optimizer` over them, and what all optimizers have in common.
///
/// A row is one optimizer: its name in `--optimizer_type`, the Python class that sd-scripts uses for it, whether it
/// finds the size of its steps itself, the bytes of state that it keeps for each trained value, settings of the package
/// that lorabake does not have, and its own settings with their defaults.
#[macro_export]
macro_rules! optimizers {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident {
            class: $class:literal,
            adapts: $adapts:literal,
            state_bytes: $state_bytes:expr,
            unsupported: [$($unsupported:literal),* $(,)?],
            settings: { $(
                $(#[doc = $about:literal])*
                $field:ident: $kind:ty = $default:expr,
            )* } $(,)?
        }
    )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name { $(
                $(#[doc = $about])*
                pub $field: $kind,
            )* }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($field: $default),* }
                }
            }
        )*

        /// An optimizer with its settings (`--optimizer_type`, `--optimizer_args`).
        #[derive(Debug, Clone, PartialEq)]
        pub enum Optimizer { $(
            $(#[doc = $doc])*
            $name($name),
        )* }

        impl Optimizer {
            /// Names of all optimizers, as `--optimizer_type` takes them.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// Every optimizer at its defaults, in the order of [`Self::NAMES`].
            pub fn all() -> Vec<Self> {
                vec![$(Self::$name($name::default())),*]
            }

            /// The optimizer that is called so, in whatever case, at its defaults.
            pub fn named(name: &str) -> Option<Self> {
                Self::all().into_iter().find(|optimizer| optimizer.name().eq_ignore_ascii_case(name))
            }

            /// The optimizer's name in `--optimizer_type`.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),* }
            }

            /// The Python class that sd-scripts uses for it, with its module.
            pub fn python_class(&self) -> &'static str {
                match self { $(Self::$name(_) => $class),* }
            }

            /// Whether it finds the size of its steps itself, as a factor d on the learning rate.
            pub fn adapts(&self) -> bool {
                match self { $(Self::$name(_) => $adapts),* }
            }

            /// Bytes of state that it keeps for each value that is trained.
            pub fn state_bytes(&self) -> f64 {
                match self { $(
                    Self::$name(own) => {
                        let bytes: fn(&$name) -> f64 = $state_bytes;
                        bytes(own)
                    }
                )* }
            }

            /// Settings of the package that lorabake does not have: variants of the arithmetic, and matters of GPUs and
            /// logging.
            pub fn unsupported(&self) -> &'static [&'static str] {
                match self { $(Self::$name(_) => &[$($unsupported),*]),* }
            }

            /// Names of its settings.
            pub fn keys(&self) -> &'static [&'static str] {
                match self { $(Self::$name(_) => &[$(stringify!($field)),*]),* }
            }

            /// Changes one setting; `None` if it has no such setting, or the text cannot be its value.
            pub fn set(&mut self, key: &str, text: &str) -> Option<()> {
                match self { $(
                    Self::$name(own) => match key {
                        $(stringify!($field) => own.$field = $crate::optim::setting::Value::read(text)?,)*
                        _ => return None,
                    },
                )* }
                Some(())
            }

            /// All settings, in the order of [`Self::keys`].
            pub fn settings(&self) -> Vec<(&'static str, $crate::optim::setting::Setting)> {
                match self { $(
                    Self::$name(own) => {
                        vec![$((stringify!($field), $crate::optim::setting::Value::setting(&own.$field))),*]
                    }
                )* }
            }
        }
    };
}

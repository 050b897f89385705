//! A row of a role's table of settings: name, variable, default and meaning, for every layer and
//! every text about it.

/// Something that a role may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file. The flag is the same with hyphens.
    pub name: &'static str,
    /// Its variable in the environment.
    pub variable: &'static str,
    /// What its value looks like, for help texts.
    pub value: &'static str,
    /// Its value if nobody says another; `None` if it must be said, or may be left out.
    pub default: Option<&'static str>,
    /// What it does, with its unit.
    pub meaning: &'static str,
}

impl Setting {
    /// The name of its flag, without the leading hyphens.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// A role's table: a constant for each [`Setting`], and `SETTINGS` with all of them in the order in
/// which they are explained.
#[macro_export]
macro_rules! settings {
    ($($name:ident, $key:literal, $variable:literal, $value:literal, $default:expr, $meaning:literal;)*) => {
        $(pub(crate) const $name: $crate::Setting = $crate::Setting {
            name: $key,
            variable: $variable,
            value: $value,
            default: $default,
            meaning: $meaning,
        };)*

        /// All settings, in the order in which they are explained.
        pub const SETTINGS: &[$crate::Setting] = &[$($name),*];
    };
}

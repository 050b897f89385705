//! Several measurements of the same thing.

/// The middle of some measurements, and how far they lie apart.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    sorted: Vec<f64>,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    /// The median; of an even number the upper one of the two; not a number if there are none.
    pub(crate) fn median(&self) -> f64 {
        self.sorted.get(self.sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// `0.8–1.2`, or the one value.
    pub(crate) fn range(&self, show: impl Fn(f64) -> String) -> String {
        match (self.sorted.first(), self.sorted.last()) {
            (Some(least), Some(most)) if self.sorted.len() > 1 => {
                format!("{}–{}", show(*least), show(*most))
            }
            (Some(only), _) => show(*only),
            _ => String::new(),
        }
    }
}

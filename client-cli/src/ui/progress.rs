//! How far a run is: a bar on a terminal, a line for each new stage elsewhere.

use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemark_model::progress::{Progress, Stage};

use super::Ui;

/// Of how many it is known.
const WITH_TOTAL: &str = "{prefix:.bold} {bar:20.cyan/dim} {wide_msg}";
const WITHOUT_TOTAL: &str = "{prefix:.bold} {spinner:.cyan} {wide_msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are valid")
}

/// The bars of the runs that are followed at the same time.
#[derive(Debug)]
pub(crate) struct Bars {
    ui: Ui,
    bars: MultiProgress,
    drawn: bool,
}

/// The progress of one run.
#[derive(Debug)]
pub(crate) struct Bar {
    ui: Ui,
    name: String,
    /// `None` where nothing can be drawn.
    drawn: Option<ProgressBar>,
    told: Mutex<Option<Stage>>,
}

impl Bars {
    pub(crate) fn new(ui: Ui) -> Self {
        let target = ProgressDrawTarget::stderr();
        let drawn = !target.is_hidden();
        Self { ui, bars: MultiProgress::with_draw_target(target), drawn }
    }

    /// The bar of a run, under its connection's name.
    pub(crate) fn bar(&self, name: &str) -> Bar {
        let drawn = self.drawn.then(|| {
            let bar = ProgressBar::no_length().with_prefix(name.to_owned());
            self.bars.add(bar.with_style(style(WITHOUT_TOTAL)))
        });
        Bar { ui: self.ui, name: name.to_owned(), drawn, told: Mutex::new(None) }
    }
}

impl Bar {
    /// Shows where a run is. `sentence` says it in words.
    pub(crate) fn show(&self, stage: Option<Stage>, progress: Option<&Progress>, sentence: &str) {
        if let Some(bar) = &self.drawn {
            match progress.and_then(|progress| progress.row_total) {
                Some(total) => {
                    bar.set_style(style(WITH_TOTAL));
                    bar.set_length(total);
                }
                None => bar.set_style(style(WITHOUT_TOTAL)),
            }
            bar.set_position(progress.map_or(0, |progress| progress.row_count));
            bar.set_message(sentence.to_owned());
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if stage.is_some() && *told != stage {
            *told = stage;
            self.ui.note(&format!("{}: {sentence}", self.name));
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

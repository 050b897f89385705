//! How far a run is: a bar on a terminal, a line for each new stage elsewhere.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
    told: Mutex<Told>,
}

/// What was said of a run where nothing is drawn.
#[derive(Debug, Default)]
struct Told {
    stage: Option<Stage>,
    /// That it waits for a worker, since it came to that stage.
    wait: bool,
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
        Bar { ui: self.ui, name: name.to_owned(), drawn, told: Mutex::default() }
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
        let mut told = self.told();
        if stage.is_some() && told.stage != stage {
            *told = Told { stage, wait: false };
            self.ui.note(&format!("{}: {sentence}", self.name));
        }
    }

    /// Says once, where no bar shows it, that no worker has taken the run up for a while.
    pub(crate) fn wait(&self, sentence: &str) {
        if self.drawn.is_none() && !std::mem::replace(&mut self.told().wait, true) {
            self.ui.note(&format!("{}: {sentence}", self.name));
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

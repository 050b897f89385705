//! `demo`: the whole system on one machine, with both ends simulated.

use crate::demo;
use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;

/// See it work: Temporal, a worker, and both ends simulated, on this machine
///
/// Starts a Temporal server of its own with its Web UI, a simulator and a worker on free ports of
/// this machine, applies three connections, and plays what happens to lists: an addition, a
/// deletion, a change, nothing at all, and a worker that is killed in the middle of a run. No
/// other server is touched, whatever the environment says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave when the story is over; non-zero if anything was not in step
    #[arg(long)]
    exit: bool,

    /// Members of the largest list
    #[arg(long, value_name = "COUNT", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(4_000..=1_000_000))]
    members: u32,
}

impl Args {
    pub(crate) async fn run(self, ui: Ui) -> Result<Exit, Error> {
        demo::play(ui, self.members, self.exit).await
    }
}

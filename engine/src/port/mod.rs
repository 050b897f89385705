//! What the engine needs from outside: a source, a destination, a clock, and the one who runs it.
//!
//! Production and simulation implement the same ports, so that what was simulated is what runs.

mod destination;
mod host;
mod slot;
mod source;

pub use destination::{
    Batch, BatchKind, BatchOutcome, Capabilities, Destination, HeldRecord, ReadBack, Rejection,
    Write,
};
pub use host::{Clock, Connectors, Host, Stop, SystemClock, unless_stopped};
pub use slot::{Slot, Slots};
pub use source::{
    FoundRow, KeyTime, Mirror, MirrorRow, Page, PageHead, PageWriter, ReadRequest, Reading, Source,
};

//! A stage for end-to-end tests: a real Temporal server, a simulator of both ends, a store of its
//! own, and the program itself as child processes, called as an operator would call it.

mod child;
mod line;
mod objects;
mod receiver;
mod stage;
mod temporal;

pub use child::{Answer, Following, Role};
pub use line::Line;
pub use objects::{Moment, Objects};
pub use receiver::Receiver;
pub use stage::{HOOK_SECRET, LIST, MAILCHIMP_KEY, RECORD_KEY, SELDOM, Stage};

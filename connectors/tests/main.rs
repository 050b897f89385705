//! Sources and destinations against the simulator.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod mailchimp_changes;
mod mailchimp_check;
mod mailchimp_costs;
mod mailchimp_faults;
mod mailchimp_find;
mod mailchimp_random;
mod mailchimp_windows;
mod record_api;
mod suites;
mod support;

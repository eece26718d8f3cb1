//! The rules of the exchange: who may tell whom what, for what, until when;
//! and what must be said about how it was used. Pure functions of
//! (facts, command, now); no I/O, no clock, no random source.

pub mod access;
pub mod apply;
pub mod caller;
pub mod command;
pub mod event;
pub mod identifiers;
pub mod ids;
pub mod policy;
pub mod receipt;
pub mod refusal;
pub mod rows;
pub mod rules;
pub mod signed;
#[cfg(test)]
mod testkit;
pub mod time;
pub mod world;

pub use access::{Guarded, Permit};
pub use caller::{Caller, Role};
pub use command::Command;
pub use event::{Aside, Event};
pub use refusal::{Reason, Refusal};
pub use rules::{Emitted, Outcome, decide};
pub use time::Moment;
pub use world::{Needs, Record, Row, World};

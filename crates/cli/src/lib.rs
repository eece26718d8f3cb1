//! What the `evidence` command is made of, for other programs to use too: signing statements,
//! speaking to a gateway, checking receipts offline.
//!
//! Time and randomness are arguments here as everywhere; only `main` reads the clock.

pub mod client;
pub mod commands;
pub mod config;
pub mod decision;
pub mod error;
pub mod files;
pub mod kept;
pub mod keys;
pub mod metadata;
pub mod package;
pub mod proof;
pub mod pull;
pub mod show;
pub mod sign;
pub mod submit;
pub mod verify;
pub mod watch;

#[cfg(test)]
mod pages;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod testlog;

pub use client::Gateway;
pub use config::Config;
pub use error::{CliError, Exit};
pub use sign::Signer;

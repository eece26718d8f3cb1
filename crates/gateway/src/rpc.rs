//! The API's services: a file for each, or for each of its long streams.

pub mod bundle;
pub mod consent;
pub mod decision;
pub mod directory;
pub mod evidence;
#[cfg(test)]
mod fixture;
mod intake;
pub mod ledger;
pub mod record;
pub mod request;
mod submit;
mod upload;

mod rows;
#[cfg(test)]
mod testkit;

#[cfg(test)]
mod scene;

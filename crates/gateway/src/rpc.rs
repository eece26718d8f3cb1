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
mod rows;
#[cfg(test)]
mod scene;
mod submit;
mod upload;

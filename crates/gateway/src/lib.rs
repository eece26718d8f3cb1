//! The evidence-exchange gateway: transport, identity, access, the write path and its telemetry.

pub mod access;
pub mod app;
pub mod boot;
pub mod clock;
pub mod config;
pub mod error;
pub mod journal;
pub mod rpc;
pub mod sandbox;
pub mod serve;
pub mod telemetry;
pub mod tls;

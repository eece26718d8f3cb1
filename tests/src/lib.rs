//! What the suites share: a harness around the real programs, and the servers they need.

pub mod postgres;

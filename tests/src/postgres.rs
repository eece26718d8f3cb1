//! A real PostgreSQL for the suites: see [`database`] for a fresh database of one test, and
//! [`Cluster`] for a whole server that a test may kill.

pub use xtask::postgres::{Cluster, Database, SERVER_VARIABLE, database};

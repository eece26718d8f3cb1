//! What the test suites borrow from the build tooling: a throwaway PostgreSQL.

pub mod postgres;

mod handshakes;
mod reloads;
mod serving;
mod world;

/// For tests that need some identity, whichever.
pub(crate) fn some_tls() -> super::Tls {
    world::World::new().load().unwrap()
}

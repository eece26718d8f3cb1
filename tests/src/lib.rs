//! What the suites share: a harness around the real programs, and the servers they need.

pub mod ca;
pub mod client;
pub mod forged;
pub mod gateway;
pub mod invariants;
pub mod org;
pub mod postgres;
pub mod python;
pub mod s3;
pub mod world;

use evidence_domain::Moment;
use evidence_ledger::SecureRandom;

pub use gateway::{Engine, Gateway};
pub use org::Org;
pub use world::World;

/// The random source of the suites.
#[expect(
    clippy::disallowed_methods,
    reason = "the one random source of the suites"
)]
pub fn rng() -> impl SecureRandom + Clone + Send + Sync + 'static {
    ring::rand::SystemRandom::new()
}

/// The time by the system's clock, as the gateway's process reads it.
#[expect(clippy::disallowed_methods, reason = "the one clock of the suites")]
pub fn now() -> Moment {
    jiff::Timestamp::now().into()
}

/// Random bits, as ids are made of.
pub fn random<const N: usize>() -> [u8; N] {
    evidence_ledger::key::random(&rng()).expect("the operating system gives random bytes")
}

/// The answer of a call, or where it was made and what came back.
#[macro_export]
macro_rules! ok {
    ($call:expr) => {
        $call
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| {
                anyhow::anyhow!(
                    "{}:{}: {}",
                    file!(),
                    line!(),
                    $crate::world::describe(&status)
                )
            })?
    };
}

/// The stable reason of a call that must be refused.
#[macro_export]
macro_rules! refused {
    ($call:expr) => {
        match $call.await {
            Ok(_) => anyhow::bail!("{}:{}: was not refused", file!(), line!()),
            Err(status) => $crate::world::reason(&status),
        }
    };
}

/// A test that runs on both engines, each with a gateway of its own, and ends with the invariant
/// checker.
#[macro_export]
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($world:ident: &mut World) -> Result<()> $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            #[allow(clippy::wildcard_imports, unused_imports)]
            use super::*;

            async fn body($world: &mut $crate::World) -> anyhow::Result<()> $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() -> anyhow::Result<()> {
                let mut world = $crate::World::start($crate::Engine::Sqlite).await?;
                body(&mut world).await?;
                world.finish().await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() -> anyhow::Result<()> {
                let mut world = $crate::World::start($crate::Engine::Postgres).await?;
                body(&mut world).await?;
                world.finish().await
            }
        }
    )*};
}

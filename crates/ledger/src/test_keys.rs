//! Keys for this crate's tests, fresh at each call.

use ring::rand::SystemRandom;

use crate::key::{Alg, SigningKey};

#[expect(
    clippy::disallowed_methods,
    reason = "a test makes its own random source"
)]
pub fn rng() -> SystemRandom {
    SystemRandom::new()
}

pub fn key(alg: Alg) -> SigningKey {
    let rng = rng();
    let der = SigningKey::generate_pkcs8(alg, &rng).expect("a test key");
    SigningKey::from_pkcs8(alg, &der, &rng).expect("a test key")
}

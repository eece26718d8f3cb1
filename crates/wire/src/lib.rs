//! The API's messages (`proto/evidence/v1`) and their conversion to and from
//! the domain. Protobuf stops here.

pub mod access;
pub mod bundle;
pub mod common;
pub mod consent;
pub mod decision;
pub mod directory;
pub mod evidence;
pub mod fields;
pub mod record;
pub mod request;

/// Generated from `proto/evidence/v1`.
#[allow(clippy::pedantic, clippy::all, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("evidence.v1");
}

/// The encoded `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

//! Compiles the protos with a pure-Rust compiler, and reads off every RPC's
//! `access` option: one without it does not build.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use prost::Message as _;
use protox::prost_reflect::{DescriptorPool, MethodDescriptor, Value};

const FILES: &[&str] = &[
    "access",
    "common",
    "consent",
    "request",
    "evidence",
    "bundle",
    "decision",
    "record",
    "ledger",
    "directory",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!(
        "cargo::rerun-if-changed={}",
        root.join("evidence").display()
    );
    let files: Vec<PathBuf> = FILES
        .iter()
        .map(|name| root.join(format!("evidence/v1/{name}.proto")))
        .collect();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)?;
    let encoded = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), &encoded)?;
    fs::write(
        out.join("access.rs"),
        access_table(&DescriptorPool::decode(encoded.as_slice())?)?,
    )?;

    let descriptors = prost_types::FileDescriptorSet::decode(encoded.as_slice())?;
    let mut config = tonic_prost_build::Config::new();
    // Ordered maps: the same message is the same bytes, which idempotency relies on.
    config.btree_map(["."]);
    // The name of a message, for those who look it up in the descriptors.
    config.enable_type_names();
    config.bytes([
        ".evidence.v1.SubmitRequest.chunk",
        ".evidence.v1.SendUploadRequest.chunk",
        ".evidence.v1.DocumentChunk.data",
        ".evidence.v1.ReadItemResponse.data",
    ]);
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}

/// One line for each RPC: its path, callers and ownership.
fn access_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let option = pool
        .get_extension_by_name("evidence.v1.access")
        .ok_or("proto/evidence/v1/access.proto has no `access` option")?;
    let mut table = String::from("pub const METHODS: &[Method] = &[\n");
    for service in pool
        .services()
        .filter(|service| service.full_name().starts_with("evidence.v1."))
    {
        for method in service.methods() {
            let options = method.options();
            if !options.has_extension(&option) {
                return Err(format!(
                    "{} declares no callers: add the `access` option",
                    method.full_name()
                )
                .into());
            }
            let value = options.get_extension(&option).into_owned();
            write_method(&mut table, service.full_name(), &method, &value)?;
        }
    }
    table.push_str("];\n");
    Ok(table)
}

fn write_method(
    table: &mut String,
    service: &str,
    method: &MethodDescriptor,
    option: &Value,
) -> Result<(), Box<dyn Error>> {
    let access = option.as_message().ok_or("`access` is a message")?;
    let callers = access
        .get_field_by_name("callers")
        .ok_or("`callers` is missing")?;
    let callers: Vec<i32> = callers
        .as_list()
        .ok_or("`callers` is a list")?
        .iter()
        .filter_map(Value::as_enum_number)
        .collect();
    let ownership = access
        .get_field_by_name("ownership")
        .and_then(|value| value.as_enum_number())
        .unwrap_or(0);
    if callers.is_empty() || callers.contains(&0) || ownership == 0 {
        return Err(format!(
            "{}: `access` must name callers and ownership",
            method.full_name()
        )
        .into());
    }
    writeln!(
        table,
        "    Method {{ path: \"/{service}/{}\", callers: &{callers:?}, ownership: {ownership}, client_streaming: {}, server_streaming: {} }},",
        method.name(),
        method.is_client_streaming(),
        method.is_server_streaming(),
    )?;
    Ok(())
}

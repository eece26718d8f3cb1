use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;

use super::*;

const PILOT: &str = include_str!("../../../../deploy/pilot-sqlite.toml");
const PRODUCTION: &str = include_str!("../../../../deploy/production-postgres-s3.toml");

#[test]
fn the_pilot_sample_parses() {
    let config = Config::parse(PILOT).unwrap();
    assert!(matches!(config.database, DatabaseConfig::Sqlite { .. }));
    assert!(matches!(config.documents, DocumentsConfig::Files { .. }));
    assert_eq!(config.limits.max_document_bytes, 100 * 1024 * 1024);
    assert_eq!(config.tls.reload_seconds, 60);
    assert!(config.policies.purposes.is_none());
}

#[test]
fn the_production_sample_parses() {
    let config = Config::parse(PRODUCTION).unwrap();
    let DatabaseConfig::Postgres {
        max_connections, ..
    } = config.database
    else {
        panic!("the production sample is for PostgreSQL");
    };
    assert_eq!(max_connections, 32);
    let DocumentsConfig::S3 { allow_http, .. } = config.documents else {
        panic!("the production sample is for S3");
    };
    assert!(!allow_http);
    assert!(config.telemetry.otlp_endpoint.is_some());
}

/// Changes to one piece of the pilot sample, and what the refusal must say: the key, and what to
/// do.
const BAD: &[(&str, &str, &str, &str)] = &[
    (
        "origin = \"",
        "origin = \"https://",
        "log.origin",
        "without a scheme",
    ),
    ("origin = \"", "origin = \"a b", "log.origin", "such as"),
    (
        "crls = [",
        "crls = []\n#",
        "tls.crls",
        "revocation list for every client root",
    ),
    (
        "client_roots = [",
        "client_roots = []\n#",
        "tls.client_roots",
        "name the files",
    ),
    (
        "[log]",
        "[limits]\nmax_document_bytes = 1073741825\n[log]",
        "limits.max_document_bytes",
        "between 65536 and 1073741824",
    ),
    (
        "[log]",
        "[limits]\nmax_connections = 0\n[log]",
        "limits.max_connections",
        "between 1 and",
    ),
    (
        "[log]",
        "[limits]\nmax_frame_bytes = 16777216\n[log]",
        "limits.max_frame_bytes",
        "between 16384 and 16777215",
    ),
    (
        "[log]",
        "[limits]\nconnection_window_bytes = 70000\n[log]",
        "limits.connection_window_bytes",
        "between 1048576",
    ),
    (
        "receipt-key",
        "statement-key",
        "keys",
        "separate key for each use",
    ),
    (
        "[telemetry]",
        "[telemetry]\notlp_endpoint = \"https://collector.example.org\"",
        "telemetry.otlp_endpoint",
        "collector beside the gateway",
    ),
    (
        "[telemetry]",
        "[telemetry]\notlp_endpoint = \"collector\"",
        "telemetry.otlp_endpoint",
        "collector beside the gateway",
    ),
    (
        "[telemetry]",
        "[telemetry]\nservice_name = \" \"",
        "telemetry.service_name",
        "leave the key out",
    ),
];

#[test]
fn bad_values_are_refused_with_their_key_and_a_remedy() {
    for (from, to, key, remedy) in BAD.iter().copied() {
        let text = PILOT.replacen(from, to, 1);
        assert_ne!(text, PILOT, "the sample has no {from:?} to change");
        let error = Config::parse(&text).expect_err(to);
        assert!(
            matches!(error, ConfigError::Invalid { .. }),
            "{to}: {error}"
        );
        let message = error.to_string();
        assert!(
            message.contains(key) && message.contains(remedy),
            "{to}: {message}"
        );
    }
}

#[test]
fn bad_production_values_are_refused() {
    let cases = [
        (
            "max_connections = 32",
            "max_connections = 1",
            "database.max_connections",
        ),
        ("bucket = \"", "bucket = \"\" #", "documents.bucket"),
        ("region = \"", "region = \"\" #", "documents.region"),
        (
            "endpoint = \"https",
            "endpoint = \"http",
            "documents.endpoint",
        ),
        (
            "endpoint = \"https",
            "endpoint = \"ftp",
            "documents.endpoint",
        ),
    ];
    for (from, to, key) in cases {
        let text = PRODUCTION.replacen(from, to, 1);
        assert_ne!(text, PRODUCTION, "the sample has no {from:?} to change");
        let message = Config::parse(&text).expect_err(to).to_string();
        assert!(message.contains(key), "{to}: {message}");
    }
    let plain = PRODUCTION.replacen(
        "endpoint = \"https",
        "allow_http = true\nendpoint = \"http",
        1,
    );
    Config::parse(&plain).expect("http is allowed when it is asked for");
}

#[test]
fn every_problem_is_named_at_once() {
    let text = PILOT
        .replacen("origin = \"evidence", "origin = \" \" # \"evidence", 1)
        .replacen("crls = [", "crls = []\n#", 1);
    let Err(ConfigError::Invalid { problems, .. }) = Config::parse(&text) else {
        panic!("two problems were made");
    };
    let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["tls.crls", "log.origin"]);
}

#[test]
fn unknown_and_missing_keys_are_refused_with_their_line() {
    let unknown = PILOT.replacen("[log]", "[log]\ncolour = 3", 1);
    let error = Config::parse(&unknown).unwrap_err();
    let line = 2 + PILOT.lines().position(|line| line == "[log]").unwrap();
    let message = error.to_string();
    assert!(message.contains("colour"), "{message}");
    assert!(message.contains(&format!("line {line}:")), "{message}");

    for (from, to, says) in [
        ("origin = ", "#", "origin"),
        ("engine = \"sqlite\"", "engine = \"oracle\"", "oracle"),
        (
            "engine = \"sqlite\"",
            "engine = \"sqlite\"\nurl_file = \"x\"",
            "url_file",
        ),
        ("[listen]", "[listen", "line"),
    ] {
        let error = Config::parse(&PILOT.replacen(from, to, 1)).expect_err(to);
        assert!(matches!(error, ConfigError::Syntax { .. }), "{to}: {error}");
        assert!(error.to_string().contains(says), "{to}: {error}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_printed_back() {
    let text = PRODUCTION.replacen(
        "url_file = \"",
        "url = \"postgres://gateway:hunter2@db/evidence\"\nurl_file = \"",
        1,
    );
    assert_ne!(text, PRODUCTION);
    let error = Config::parse(&text).unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(told.contains("unknown field `url`"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    let missing = Config::load(&path).unwrap_err().to_string();
    assert!(missing.contains("gateway.toml"), "{missing}");

    std::fs::write(&path, "[listen]\naddress = 5\n").unwrap();
    let wrong = Config::load(&path).unwrap_err().to_string();
    assert!(
        wrong.contains("gateway.toml") && wrong.contains("line 2"),
        "{wrong}"
    );
}

#[test]
fn secrets_come_from_files_that_only_the_gateway_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let write = |text: &str, mode| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (text, mode) in [
        ("s3cret\n", 0o600),
        ("s3cret", 0o440),
        ("s3cret\r\n", 0o400),
    ] {
        write(text, mode);
        assert_eq!(read_secret(&path).unwrap().expose_secret(), "s3cret");
        std::fs::remove_file(&path).unwrap();
    }
    write("s3cret\n", 0o644);
    let open = read_secret(&path).unwrap_err().to_string();
    assert!(open.contains("chmod o-rwx"), "{open}");
    write("\n", 0o600);
    let empty = read_secret(&path).unwrap_err().to_string();
    assert!(empty.contains("is empty"), "{empty}");
    assert!(matches!(
        read_secret(&dir.path().join("none")),
        Err(ConfigError::Unreadable { .. })
    ));
}

#[test]
fn a_purpose_that_serves_sanctions_stops_the_gateway_at_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let purposes = dir.path().join("purposes.toml");
    let bad = "[[purposes]]\nid = \"uc-sanctions\"\ntitle = \"x\"\nkinds = [\"*\"]\nlongest_days = 9\nserves = [\"y\"]\n";
    std::fs::write(&purposes, bad).expect("written");
    let text = PILOT.replacen(
        "[telemetry]",
        &format!("[policies]\npurposes = {purposes:?}\n\n[telemetry]"),
        1,
    );
    let path = dir.path().join("gateway.toml");
    std::fs::write(&path, text).expect("written");
    let Err(ConfigError::Invalid { problems, .. }) = Config::load(&path) else {
        panic!("a purpose for sanctions is refused");
    };
    assert_eq!(problems[0].key, "policies.purposes");
}

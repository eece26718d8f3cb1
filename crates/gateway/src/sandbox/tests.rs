use std::{fs, os::unix::fs::PermissionsExt as _};

use evidence_domain::identifiers::{NhsNumber, OrganisationIdentifier};
use jiff::SignedDuration;

use super::*;

fn folder() -> (tempfile::TempDir, Folder) {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::open(&parent.path().join("s"), false).unwrap();
    (parent, folder)
}

fn arguments(folder: &Folder, telemetry: Option<&str>) -> Arguments {
    Arguments {
        action: None,
        data: folder.root().to_owned(),
        address: "127.0.0.1:0".parse().unwrap(),
        telemetry: telemetry.map(str::to_owned),
        files: None,
        fresh: false,
    }
}

#[test]
fn what_is_not_a_sandboxs_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let kept = parent.path().join("kept");
    fs::write(&kept, "mine").unwrap();
    for fresh in [false, true] {
        assert!(Folder::open(parent.path(), fresh).is_err());
        assert!(Folder::open(&kept, fresh).is_err());
    }
    assert_eq!(fs::read_to_string(&kept).unwrap(), "mine");
}

#[test]
fn a_sandbox_is_kept_until_a_fresh_one_is_asked_for() {
    let (_parent, folder) = folder();
    let path = folder.path("a/b");
    folder::write(&path, b"secret").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    Folder::open(folder.root(), false).unwrap();
    assert!(path.exists());
    Folder::open(folder.root(), true).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_setting_up_that_broke_off_is_told_from_a_new_folder() {
    let (_parent, folder) = folder();
    assert_eq!(Facts::load(&folder).unwrap(), None);
    folder::write(&folder.path("gateway/evidence.sqlite"), b"").unwrap();
    assert!(
        Facts::load(&folder)
            .unwrap_err()
            .to_string()
            .contains("--fresh")
    );
}

#[test]
fn the_configuration_is_one_that_serve_would_take() {
    let (_parent, folder) = folder();
    let quiet = configure(&folder, &arguments(&folder, None)).unwrap();
    assert_eq!(
        (quiet.telemetry.logs, quiet.telemetry.prometheus),
        (crate::config::LogFormat::Off, None)
    );
    let shown = configure(&folder, &arguments(&folder, Some(""))).unwrap();
    assert!(shown.telemetry.prometheus.is_some());
    assert_eq!(shown.telemetry.otlp_endpoint, None);
    let sent = configure(&folder, &arguments(&folder, Some("http://127.0.0.1:4317"))).unwrap();
    assert_eq!(
        sent.telemetry.otlp_endpoint.as_deref(),
        Some("http://127.0.0.1:4317")
    );
}

#[test]
fn organisations_keep_their_certificates_and_the_gateway_gets_new_ones() {
    let (_parent, folder) = folder();
    let all = || {
        configure(&folder, &arguments(&folder, None)).unwrap();
        let read = |name: &str| fs::read(folder.path(name)).unwrap();
        (
            read("authority/root.pem"),
            read("dwp/certificate.pem"),
            read("gateway/certificate.pem"),
        )
    };
    let (first, second) = (all(), all());
    assert_eq!((&first.0, &first.1), (&second.0, &second.1));
    assert_ne!(first.2, second.2);
}

#[tokio::test]
async fn the_clock_is_moved_on_through_the_door_and_stays_so() {
    let (_parent, folder) = folder();
    let clock = control::clock(&folder).unwrap();
    let door = control::listen(&folder, clock.clone()).unwrap();
    assert!(control::refuse_if_running(folder.root()).await.is_err());
    let before = clock.now();
    for hours in [24, 36] {
        control::advance(folder.root(), SignedDuration::from_hours(hours))
            .await
            .unwrap();
    }
    assert!(clock.now().duration_since(before) >= SignedDuration::from_hours(60));
    let refused = control::advance(folder.root(), SignedDuration::from_hours(-1))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("forward"), "{refused}");
    door.close();
    control::refuse_if_running(folder.root()).await.unwrap();
    assert!(
        control::advance(folder.root(), SignedDuration::from_hours(1))
            .await
            .is_err()
    );
    let again = control::clock(&folder).unwrap();
    assert!(again.now().duration_since(before) >= SignedDuration::from_hours(60));
}

#[test]
fn a_span_is_written_in_days_or_hours() {
    assert_eq!(span("5d").unwrap(), SignedDuration::from_hours(120));
    assert_eq!(
        span("2w 1d 3h").unwrap(),
        SignedDuration::from_hours(15 * 24 + 3)
    );
    for wrong in ["", "5", "5x", "1 month"] {
        assert!(span(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_cast_passes_the_checks_that_others_must() {
    for person in cast::PEOPLE {
        assert!(
            person.nhs_number.parse::<NhsNumber>().is_ok() && person.nhs_number.starts_with("999")
        );
    }
    for member in cast::MEMBERS {
        assert!(member.identifier.parse::<OrganisationIdentifier>().is_ok());
        assert!(member.name.ends_with("(sandbox)"));
    }
}

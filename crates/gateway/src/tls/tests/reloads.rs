//! New files while it runs: what takes effect, and what must not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use jiff::SignedDuration;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::world::{Authority, Door, PATIENCE, THIS_MONTH, World};
use crate::config::Limits;
use crate::tls::TlsError;

#[tokio::test]
async fn a_reload_changes_the_certificate_and_keeps_the_door_and_its_connections() {
    let world = World::new();
    let mut door = Door::open(world.load().unwrap(), &Limits::default()).await;
    let client = world.client(Some(&world.ca.client(2)));
    let mut before = door.knock(&client).await.unwrap();
    let mut connection = door.next().await;

    let renewed = world.ca.server(101);
    world.install(&renewed);
    door.tls.reload().unwrap();
    let after = door.knock(&client).await.expect("the same door");
    let shown = |stream: &tokio_rustls::client::TlsStream<_>| {
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].clone().into_owned()
    };
    assert_eq!(shown(&after), renewed.chain[0]);
    assert_ne!(shown(&before), shown(&after));

    assert!(!door.tls.is_revoked(connection.peer()));
    tokio::io::AsyncWriteExt::write_all(&mut before, b"still here")
        .await
        .unwrap();
    let mut heard = [0; 10];
    connection.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[tokio::test]
async fn a_reload_that_revokes_cuts_the_open_connection_and_refuses_the_next() {
    let world = World::new();
    let mut door = Door::open(world.load().unwrap(), &Limits::default()).await;
    let (bad, good) = (world.ca.client(7), world.ca.client(8));
    let _bad = door.knock(&world.client(Some(&bad))).await.unwrap();
    let mut bad_connection = door.next().await;
    let _good = door.knock(&world.client(Some(&good))).await.unwrap();
    let good_connection = door.next().await;
    let mut changed = door.tls.changed();
    // Its stream is waiting for the client when the list arrives.
    let bad_peer = bad_connection.peer().clone();
    let waiting = tokio::spawn(async move { bad_connection.read_u8().await });

    world.write(
        "clients.crl",
        world.ca.crl(&[7], ((2026, 6, 2), (2026, 7, 2))),
    );
    door.tls.reload().unwrap();
    assert!(changed.has_changed().unwrap());
    assert_eq!(*changed.borrow_and_update(), 2);
    assert!(door.tls.is_revoked(&bad_peer));
    assert!(!door.tls.is_revoked(good_connection.peer()));
    let cut = timeout(PATIENCE, waiting).await.expect("not cut").unwrap();
    let error = cut.expect_err("cut");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);

    let refusal = door.knock(&world.client(Some(&bad))).await.map(drop);
    assert!(refusal.unwrap_err().contains("CertificateRevoked"));
    door.knock(&world.client(Some(&good))).await.expect("good");
}

#[tokio::test]
async fn a_certificate_that_expires_is_not_served_any_more() {
    let world = World::new();
    let mut door = Door::open(world.load().unwrap(), &Limits::default()).await;
    let client = world.ca.client_until(5, (2026, 6, 16));
    let _held = door.knock(&world.client(Some(&client))).await.unwrap();
    let peer = door.next().await.peer().clone();
    assert!(!door.tls.is_revoked(&peer));
    world.clock.advance(SignedDuration::from_hours(24)).unwrap();
    assert!(door.tls.is_revoked(&peer));
}

#[tokio::test]
async fn watching_picks_up_a_new_list_without_being_told() {
    let world = World::new();
    let mut door = Door::open(world.load().unwrap(), &Limits::default()).await;
    let client = world.client(Some(&world.ca.client(7)));
    let _held = door.knock(&client).await.unwrap();
    let peer = door.next().await.peer().clone();
    let mut changed = door.tls.changed();
    let watching = tokio::spawn(door.tls.clone().watch());
    world.write(
        "clients.crl",
        world.ca.crl(&[7], ((2026, 6, 2), (2026, 7, 2))),
    );
    timeout(PATIENCE, changed.changed())
        .await
        .expect("the change was not seen")
        .unwrap();
    assert!(door.tls.is_revoked(&peer));
    watching.abort();
}

#[tokio::test]
async fn bad_certificates_and_keys_are_refused_and_change_nothing() {
    let cases: [Bad; 7] = [
        ("cannot read", |w| {
            std::fs::remove_file(w.path("certificate.pem")).unwrap();
        }),
        ("holds no certificate", |w| {
            w.write("certificate.pem", "nonsense");
        }),
        ("matching pair", |w| {
            w.write("certificate.pem", w.ca.server(5).pem());
        }),
        ("expired at 2026-06-01", |w| {
            w.install(&w.ca.server_until(5, (2026, 6, 1)));
        }),
        ("holds no private key", |w| w.write("key.pem", "")),
        ("chmod o-rwx", |w| {
            let open = Permissions::from_mode(0o644);
            std::fs::set_permissions(w.path("key.pem"), open).unwrap();
        }),
        ("holds no certificate", |w| w.write("roots.pem", "")),
    ];
    refused(&cases).await;
}

#[tokio::test]
async fn bad_lists_are_refused_and_change_nothing() {
    let cases: [Bad; 5] = [
        // Without this check rustls would serve on with no revocation checking at all.
        ("holds no revocation list", |w| w.write("clients.crl", "")),
        ("holds no revocation list", |w| {
            let list = w.ca.crl(&[], THIS_MONTH);
            w.write("clients.crl", &list[..list.len() / 2]);
        }),
        ("has no revocation list", |w| {
            let elsewhere = Authority::root("Elsewhere");
            w.write("clients.crl", elsewhere.crl(&[], THIS_MONTH));
        }),
        ("is not signed by the authority it names", |w| {
            let impostor = Authority::root("Test authority");
            w.write("clients.crl", impostor.crl(&[], THIS_MONTH));
        }),
        ("root \"CN=Other\" has no revocation list", |w| {
            w.write("roots.pem", w.ca.pem() + &Authority::root("Other").pem());
        }),
    ];
    refused(&cases).await;
}

/// What the refusal must say, and how to spoil good files.
type Bad = (&'static str, fn(&World));

/// Each is refused while running, with everything going on as before, and at start.
async fn refused(cases: &[Bad]) {
    for (says, spoil) in cases {
        let world = World::new();
        let door = Door::open(world.load().unwrap(), &Limits::default()).await;
        let generation = *door.tls.changed().borrow();
        spoil(&world);
        let error = door.tls.reload().expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(*door.tls.changed().borrow(), generation, "{says}");
        let client = world.client(Some(&world.ca.client(2)));
        door.knock(&client).await.expect(says);

        let error = world.load().expect_err(says).to_string();
        assert!(error.contains(says), "at start: {error}");
    }
}

#[test]
fn an_older_list_cannot_bring_a_revoked_certificate_back() {
    let world = World::new();
    let newer = ((2026, 6, 10), (2026, 7, 10));
    world.write("clients.crl", world.ca.crl(&[7], newer));
    let tls = world.load().unwrap();
    world.write("clients.crl", world.ca.crl(&[], THIS_MONTH));
    let error = tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::CrlOlder { .. }), "{error}");
    // Nor can it hide behind the newer one in the same file.
    let both = world.ca.crl(&[], THIS_MONTH) + &world.ca.crl(&[7], newer);
    world.write("clients.crl", both);
    tls.reload().unwrap();
    let now = world.clock.now();
    let revoked = world.ca.client(7);
    assert!(tls.in_force().verify(&revoked.chain, now).is_err());
    tls.in_force()
        .verify(&world.ca.client(8).chain, now)
        .unwrap();
}

#[test]
fn lists_may_be_der() {
    let world = World::new();
    let pem = world.ca.crl(&[7], THIS_MONTH);
    let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap();
    world.write("clients.crl", &der);
    let tls = world.load().unwrap();
    let now = world.clock.now();
    assert!(
        tls.in_force()
            .verify(&world.ca.client(7).chain, now)
            .is_err()
    );
}

#[test]
fn what_runs_out_is_named_before_it_does() {
    let world = World::new();
    let tls = world.load().unwrap();
    let at = |moment: &str| tls.in_force().expiring(moment.parse().unwrap());
    assert!(at("2026-06-15T12:00:00Z").is_empty());
    let soon = format!("{:?}", at("2026-06-24T00:00:00Z"));
    assert!(
        soon.contains("clients.crl") && soon.contains("over: false"),
        "{soon}"
    );
    let over = format!("{:?}", at("2026-07-01T00:00:00Z"));
    assert!(
        over.contains("clients.crl") && over.contains("over: true"),
        "{over}"
    );
    assert_eq!(at("2026-12-10T00:00:00Z").len(), 2);
}

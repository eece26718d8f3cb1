//! Who gets in, and who cannot keep others out.

use std::time::Duration;

use jiff::SignedDuration;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::world::{Authority, Door, PATIENCE, THIS_MONTH, World};
use crate::config::Limits;
use crate::tls::PeerCertificate;
use crate::tls::incoming::rest_after;

fn fingerprint(identity: &super::world::Identity) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &identity.chain[0]);
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

#[tokio::test]
async fn a_good_client_gets_in_and_is_known_by_its_certificate() {
    let world = World::new();
    let client = world.ca.client(0x0a0b);
    let mut door = Door::open(world.load().unwrap(), &Limits::default()).await;
    let _held = door.knock(&world.client(Some(&client))).await.unwrap();

    let connection = door.next().await;
    let peer: &PeerCertificate = connection.peer();
    assert_eq!(peer.fingerprint(), fingerprint(&client));
    assert_eq!(peer.serial(), "0a0b");
    assert_eq!(peer.chain(), client.chain);
    assert_eq!(peer.not_after(), "2027-01-01T00:00:00Z".parse().unwrap());
    assert!(peer.remote().ip().is_loopback());
    assert!(!door.tls.is_revoked(peer));
    assert_eq!(
        format!("{peer:?}"),
        format!("PeerCertificate(\"{}\")", fingerprint(&client))
    );
}

#[tokio::test]
async fn key_exchange_is_post_quantum_where_the_client_can() {
    let world = World::new();
    let mut door = Door::open(world.load().unwrap(), &Limits::default()).await;
    let client = world.client(Some(&world.ca.client(2)));
    let _held = door.knock(&client).await.unwrap();
    let group = |connection: &crate::tls::Connection| {
        connection
            .handshake()
            .negotiated_key_exchange_group()
            .map(rustls::crypto::SupportedKxGroup::name)
    };
    let connection = door.next().await;
    assert_eq!(group(&connection), Some(NamedGroup::X25519MLKEM768));

    let mut classical = (**client.crypto_provider()).clone();
    classical.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let _also = door
        .knock(&world.client_with(Some(&world.ca.client(3)), classical, &[&TLS13]))
        .await
        .unwrap();
    let connection = door.next().await;
    assert_eq!(group(&connection), Some(NamedGroup::X25519));
}

#[tokio::test]
async fn no_session_is_ever_resumed() {
    let world = World::new();
    let mut door = Door::open(world.load().unwrap(), &Limits::default()).await;
    let client = world.client(Some(&world.ca.client(2)));
    for _ in 0..2 {
        let held = door.knock(&client).await.unwrap();
        assert_eq!(held.get_ref().1.tls13_tickets_received(), 0);
        let connection = door.next().await;
        // Its own hello was answered with a retry or not, but never with an old session.
        assert_ne!(
            connection.handshake().handshake_kind(),
            Some(HandshakeKind::Resumed)
        );
    }
}

/// Everyone who must stay out, in one table: who, what they show, what they are told.
#[tokio::test]
async fn everyone_else_is_refused() {
    let world = World::new();
    let stranger = Authority::root("Test authority");
    let issuing = world.ca.intermediate("Issuing authority", 50);
    let gone = world.ca.intermediate("Closed authority", 51);
    world.write("clients.crl", world.ca.crl(&[7, 51], THIS_MONTH));
    world.write("closed.crl", gone.crl(&[], THIS_MONTH));
    let mut config = world.config.clone();
    config.crls.push(world.path("closed.crl"));
    let tls = crate::tls::Tls::load(&config, world.clock.clone()).unwrap();
    let mut door = Door::open(tls, &Limits::default()).await;

    let good = world.ca.client(2);
    let mut http1 = world.client(Some(&good));
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut silent = world.client(Some(&good));
    silent.alpn_protocols.clear();
    let cases = [
        (
            "TLS 1.2",
            world.client_speaking(Some(&good), &[&TLS12]),
            "ProtocolVersion",
        ),
        ("no certificate", world.client(None), "CertificateRequired"),
        (
            "revoked",
            world.client(Some(&world.ca.client(7))),
            "CertificateRevoked",
        ),
        (
            "expired",
            world.client(Some(&world.ca.client_until(8, (2026, 6, 1)))),
            "CertificateExpired",
        ),
        (
            "authority with the right name and the wrong key",
            world.client(Some(&stranger.client(2))),
            "",
        ),
        (
            "authority never heard of",
            world.client(Some(&Authority::root("Elsewhere").client(2))),
            "UnknownCA",
        ),
        (
            "a server's certificate",
            world.client(Some(&world.ca.server(9))),
            "",
        ),
        (
            "issuer without a list",
            world.client(Some(&issuing.client(2))),
            "",
        ),
        (
            "issuer that was itself revoked",
            world.client(Some(&gone.client(2))),
            "CertificateRevoked",
        ),
        ("HTTP/1.1", http1, "NoApplicationProtocol"),
        ("no application protocol", silent, ""),
    ];
    for (who, client, told) in cases {
        let refusal = door.knock(&client).await.map(drop).expect_err(who);
        assert!(refusal.contains(told), "{who}: {refusal}");
    }
    // None of them came through: the first to do so is the one good client.
    let _held = door.knock(&world.client(Some(&good))).await.unwrap();
    assert_eq!(door.next().await.peer().fingerprint(), fingerprint(&good));
}

#[tokio::test]
async fn an_intermediate_with_its_own_list_is_fine() {
    let world = World::new();
    let issuing = world.ca.intermediate("Issuing authority", 50);
    world.write("issuing.crl", issuing.crl(&[3], THIS_MONTH));
    let mut config = world.config.clone();
    config.crls.push(world.path("issuing.crl"));
    let tls = crate::tls::Tls::load(&config, world.clock.clone()).unwrap();
    let door = Door::open(tls, &Limits::default()).await;
    let knock = async |serial| {
        let client = world.client(Some(&issuing.client(serial)));
        door.knock(&client).await.map(drop)
    };
    knock(2).await.unwrap();
    let refusal = knock(3).await.unwrap_err();
    assert!(refusal.contains("CertificateRevoked"), "{refusal}");
}

#[tokio::test]
async fn an_expired_list_refuses_its_own_authority_and_no_other() {
    let world = World::new();
    let other = Authority::root("Other authority");
    world.write("other.pem", other.pem());
    world.write("other.crl", other.crl(&[], ((2026, 6, 1), (2026, 9, 1))));
    let mut config = world.config.clone();
    config.client_roots.push(world.path("other.pem"));
    config.crls.push(world.path("other.crl"));
    let tls = crate::tls::Tls::load(&config, world.clock.clone()).unwrap();
    let mut door = Door::open(tls, &Limits::default()).await;
    let ours = world.client(Some(&world.ca.client(2)));
    let theirs = world.client(Some(&other.client(2)));
    let _ours = door.knock(&ours).await.unwrap();
    let our_peer = door.next().await.peer().clone();
    let _theirs = door.knock(&theirs).await.unwrap();
    let their_peer = door.next().await.peer().clone();
    assert!(!door.tls.is_revoked(&our_peer) && !door.tls.is_revoked(&their_peer));

    world
        .clock
        .advance(SignedDuration::from_hours(30 * 24))
        .unwrap();
    door.knock(&ours)
        .await
        .map(drop)
        .expect_err("its list has run out");
    door.knock(&theirs).await.expect("its list is current");
    assert!(door.tls.is_revoked(&our_peer));
    assert!(!door.tls.is_revoked(&their_peer));
    // The same from a fresh start: what is wrong with one authority keeps nobody else out.
    let fresh = crate::tls::Tls::load(&config, world.clock.clone()).unwrap();
    let door = Door::open(fresh, &Limits::default()).await;
    door.knock(&ours)
        .await
        .map(drop)
        .expect_err("its list has run out");
    door.knock(&theirs).await.expect("its list is current");
}

#[tokio::test]
async fn a_stalled_handshake_holds_nobody_up_and_is_ended() {
    let world = World::new();
    let limits = Limits {
        handshake_timeout_seconds: 1,
        ..Limits::default()
    };
    let door = Door::open(world.load().unwrap(), &limits).await;
    let mut mute = TcpStream::connect(door.address).await.unwrap();
    let mut halting = TcpStream::connect(door.address).await.unwrap();
    // A handshake record's first bytes, and then nothing.
    halting.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    let client = world.client(Some(&world.ca.client(2)));
    door.knock(&client).await.expect("let in past the stalled");
    for stalled in [&mut mute, &mut halting] {
        let end = timeout(PATIENCE, stalled.read_u8()).await;
        end.expect("still open").expect_err("closed by the gateway");
    }
}

#[tokio::test]
async fn places_are_bounded_and_given_back() {
    let world = World::new();
    let client = world.client(Some(&world.ca.client(2)));
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let mut door = Door::open(world.load().unwrap(), &limits).await;
    let held = door.knock(&client).await.unwrap();
    let connection = door.next().await;
    door.knock(&client)
        .await
        .map(drop)
        .expect_err("no place left");
    drop((held, connection));
    let _held = door.knock(&client).await.expect("the place was given back");

    let limits = Limits {
        max_handshakes: 1,
        handshake_timeout_seconds: 4,
        ..Limits::default()
    };
    let door = Door::open(world.load().unwrap(), &limits).await;
    let mut mute = TcpStream::connect(door.address).await.unwrap();
    let mut second = TcpStream::connect(door.address).await.unwrap();
    let closed_at_once = timeout(Duration::from_secs(3), second.read_u8()).await;
    closed_at_once.expect("kept waiting").expect_err("no place");
    let ended = timeout(PATIENCE, mute.read_u8()).await;
    ended.expect("still open").expect_err("timed out");
    door.knock(&client).await.expect("the place was given back");
}

#[tokio::test]
async fn only_a_want_of_resources_rests_the_door() {
    use std::io::{Error, ErrorKind};
    for kind in [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset] {
        assert_eq!(rest_after(&Error::from(kind)), None);
    }
    let too_many_open_files = Error::from_raw_os_error(24);
    assert!(rest_after(&too_many_open_files).is_some());
}

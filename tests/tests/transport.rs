//! Defends the door itself, on the real process: who has lost their certificate loses their open
//! streams, old TLS is refused, a stop lets calls end, and what is too large is turned away.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use evidence_tests::{client, ok, on_both, world::evidence::parts};
use evidence_wire::v1::{self, submit_response::Outcome};
use rustls::version::{TLS12, TLS13};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

/// How long what must happen may take.
const SOON: Duration = Duration::from_secs(20);

on_both! {
    /// SIGHUP with a new revocation list ends an open stream and every later call.
    async fn revoked(world: &mut World) -> Result<()> {
        let mut stream = ok!(world.other_trust.requests().watch(v1::WatchRequest::default()));
        while timeout(Duration::from_millis(500), stream.message()).await.is_ok_and(|message| matches!(message, Ok(Some(_)))) {}
        world.gateway.ca.revoke(&world.other_trust.identity);
        world.gateway.write_crl()?;
        world.gateway.reload()?;
        let ended = timeout(SOON, async { while let Ok(Some(_)) = stream.message().await {} }).await;
        ensure!(ended.is_ok(), "the stream is still open");
        let refused = world.other_trust.ledger().list_log_keys(v1::ListLogKeysRequest {}).await;
        ensure!(refused.is_err(), "a revoked certificate is served");
        ok!(world.trust.ledger().list_log_keys(v1::ListLogKeysRequest {}));
        // The checker asks as everybody, so everybody needs a certificate again.
        let identity = world.gateway.ca.client("renewed")?;
        ok!(world.operator.directory().add_certificate(v1::AddCertificateRequest {
            request_id: world.key(),
            organisation_id: world.other_trust.id.to_string(),
            fingerprint: identity.fingerprint().to_string(),
        }));
        world.other_trust.channel = client::channel(&world.gateway.address, &world.gateway.ca, &identity)?;
        Ok(())
    }

    /// TLS 1.2, and TLS 1.3 without a certificate or with another authority's, get nowhere.
    async fn handshakes(world: &mut World) -> Result<()> {
        let (ca, address) = (&world.gateway.ca, world.gateway.address.get());
        let old = client::tls(ca, Some(&world.trust.identity), &[&TLS12])?;
        ensure!(client::connect(address, Arc::new(old)).await.is_err(), "TLS 1.2 is taken");
        let foreign = evidence_tests::ca::Ca::new()?.client("ods:RX1")?;
        for identity in [None, Some(&foreign)] {
            let config = client::tls(ca, identity, &[&TLS13])?;
            let served = match client::connect(address, Arc::new(config)).await {
                // In TLS 1.3 the client learns at its first read that it is not accepted.
                Ok(mut stream) => tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await.is_ok_and(|read| read > 0),
                Err(_) => false,
            };
            ensure!(!served, "a stranger is served");
        }
        let good = client::tls(ca, Some(&world.trust.identity), &[&TLS13])?;
        let stream = client::connect(address, Arc::new(good)).await?;
        let group = stream.get_ref().1.negotiated_key_exchange_group().context("a group")?;
        ensure!(group.name() == rustls::NamedGroup::X25519MLKEM768, "{group:?} is not a hybrid");
        Ok(())
    }

    /// SIGTERM lets a push that is under way come to its receipt.
    async fn drained(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let document = vec![7; 600_000];
        let push = world.push(&world.trust, &grant.subject, world.evidence(&grant, None, &document))?;
        let (send, receive) = mpsc::channel(16);
        let mut begun = parts(&push, &document);
        let rest = begun.split_off(2);
        for part in begun {
            send.send(part).await?;
        }
        let mut answers = ok!(world.trust.evidence().submit(ReceiverStream::new(receive)));
        world.gateway.terminate()?;
        for part in rest {
            send.send(part).await?;
        }
        let answer = timeout(SOON, answers.message()).await??.context("no answer")?;
        ensure!(matches!(answer.outcome, Some(Outcome::Receipt(_))), "{answer:?}");
        world.accepted(answer, &document)?;
        drop((send, answers));
        world.gateway.stop().await?;
        world.gateway.serve().await
    }

    /// Messages and headers over their limits are refused, and the gateway serves on.
    async fn too_large(world: &mut World) -> Result<()> {
        let document = "x".repeat(32 * 1024 * 1024);
        let request = v1::SetPolicyRequest { request_id: world.key(), name: "purposes".to_owned(), document };
        let refused = world.operator.directory().set_policy(request).await.err().context("it was taken")?;
        ensure!(refused.code() == Code::OutOfRange || refused.code() == Code::ResourceExhausted, "{refused:?}");
        let mut request = tonic::Request::new(v1::ListLogKeysRequest {});
        request.metadata_mut().insert("x-large", "x".repeat(512 * 1024).parse()?);
        ensure!(world.operator.ledger().list_log_keys(request).await.is_err(), "the header was taken");
        // It may have cost the caller their connection; a new one is served.
        let channel = client::channel(&world.gateway.address, &world.gateway.ca, &world.gateway.operator)?;
        let mut again = v1::ledger_service_client::LedgerServiceClient::new(channel);
        ok!(again.list_log_keys(v1::ListLogKeysRequest {}));
        Ok(())
    }
}

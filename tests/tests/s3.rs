//! Production's shape: state in PostgreSQL, documents in an S3 store, both real.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use evidence_domain::ids::ItemId;
use evidence_tests::{
    Engine, Gateway, World,
    client::channel,
    gateway::{edit, private},
    ok, postgres, random,
    s3::S3,
    world::evidence::parts,
};
use evidence_wire::v1::{self, evidence_service_client::EvidenceServiceClient};
use tokio::{
    sync::mpsc,
    time::{interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Bytes in one message.
const PIECE: usize = 256 * KIB;
const PREFIX: &str = "region-north";
/// How long to wait for what the gateway does meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_any_size_come_back_byte_for_byte() -> Result<()> {
    let scene = Scene::start().await?;
    let (small, large) = (bytes(10 * KIB), bytes(3 * MIB));
    let small_id = scene.give(&small).await?;
    ensure!(
        scene.parts().await?.is_empty(),
        "a small document stays in the database"
    );
    let large_id = scene.give(&large).await?;

    let objects = scene.parts().await?;
    ensure!(objects.len() == 3, "a part for each MiB: {objects:?}");
    for name in &objects {
        let stored = scene.s3.object(name).await?;
        let plain = large
            .chunks(MIB)
            .any(|part| stored.windows(64).any(|window| window == &part[..64]));
        ensure!(!plain, "{name} holds bytes of the document as they came");
    }
    scene
        .pulls(&[(&small_id, &small), (&large_id, &large)])
        .await?;
    scene.world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_where_its_connection_broke() -> Result<()> {
    let scene = Scene::start().await?;
    let document = bytes(2 * MIB + 500 * KIB);
    let push = scene.push(&document)?;
    let started = ok!(scene
        .world
        .trust
        .evidence()
        .start_upload(v1::StartUploadRequest {
            push: Some(push.clone())
        }));
    let held = scene
        .send_and_break_off(&started.upload_id, &document[..MIB + 300 * KIB])
        .await?;
    ensure!(held == MIB, "whole parts are held, and only those: {held}");

    let again = ok!(scene
        .world
        .trust
        .evidence()
        .start_upload(v1::StartUploadRequest { push: Some(push) }));
    ensure!(
        again.upload_id == started.upload_id && again.offset == held as u64,
        "the same push finds its upload"
    );
    let rest = upload_parts(&started.upload_id, held, &document[held..]);
    let sent = ok!(scene
        .world
        .trust
        .evidence()
        .send_upload(tokio_stream::iter(rest)));
    ensure!(sent.offset == document.len() as u64, "all of it is held");
    let complete = v1::CompleteUploadRequest {
        upload_id: started.upload_id,
    };
    let done = ok!(scene
        .world
        .trust
        .evidence()
        .complete_upload(complete.clone()));
    let item = scene.world.accepted(done.clone(), &document)?;
    let replay = ok!(scene.world.trust.evidence().complete_upload(complete));
    ensure!(
        receipt(&replay)?.receipt == receipt(&done)?.receipt,
        "one upload, one receipt"
    );

    ensure!(scene.parts().await?.len() == 3, "nothing is kept twice");
    scene.pulls(&[(&item, &document)]).await?;
    scene.world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_finished_is_swept_and_nothing_else() -> Result<()> {
    let mut scene = Scene::start().await?;
    let kept = bytes(MIB + 1);
    let item = scene.give(&kept).await?;
    let whole = scene.parts().await?;

    // Left by a gateway that was killed in the middle of a document.
    let cut_short = bytes(4 * MIB);
    let push = scene.push(&cut_short)?;
    scene.submit_and_kill(&push, &cut_short[..3 * MIB]).await?;
    ensure!(
        scene.parts().await?.len() > whole.len(),
        "parts without an entry are left"
    );
    // The sender's retry is a document of its own; the rest stays an orphan.
    let second = scene
        .world
        .give(&scene.world.trust, &push, &cut_short)
        .await?;

    // Left by a sender who never came back.
    let abandoned = bytes(2 * MIB);
    let push = scene.push(&abandoned)?;
    let started = ok!(scene
        .world
        .trust
        .evidence()
        .start_upload(v1::StartUploadRequest { push: Some(push) }));
    scene
        .send_and_break_off(&started.upload_id, &abandoned[..=MIB])
        .await?;

    scene.world.gateway.stop().await?;
    let store = scene.world.gateway.store().await?;
    ensure!(
        store.sweep_orphans(Duration::from_hours(1)).await? == 0,
        "nothing is old enough"
    );
    ensure!(
        store.sweep_orphans(Duration::ZERO).await? == 1,
        "the killed gateway's parts"
    );
    let in_a_week = scene.world.now().plus_seconds(7 * 24 * 60 * 60);
    ensure!(
        store.sweep_uploads(in_a_week).await? == 1,
        "the abandoned upload"
    );
    store.close().await;
    let left = scene.parts().await?;
    ensure!(
        left.len() == whole.len() + 4,
        "two documents' parts are left: {left:?}"
    );
    ensure!(
        whole.iter().all(|name| left.contains(name)),
        "what an entry names is still there"
    );

    scene.world.gateway.serve().await?;
    scene
        .pulls(&[(&item, &kept), (&second, &cut_short)])
        .await?;
    scene.world.finish().await
}

/// A gateway in production's shape, with a case that waits for letters.
struct Scene {
    world: World,
    s3: S3,
    grant: v1::Grant,
    case: v1::Case,
    request: v1::EvidenceRequest,
    _database: postgres::Database,
}

impl Scene {
    async fn start() -> Result<Self> {
        let s3 = S3::start("evidence-documents").await?;
        let database = tokio::task::spawn_blocking(postgres::database).await??;
        let mut gateway = Gateway::new(Engine::Postgres, Some(&database.url()), "")?;
        edit(&gateway.path("gateway.toml"), |config| {
            config.insert(
                "documents".to_owned(),
                documents(&s3, &gateway.path("s3-key")).into(),
            );
        })?;
        private(&gateway.path("s3-key"), "test")?;
        gateway.init().await?;
        gateway.serve().await?;
        let world = World::with(gateway).await?;
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let request = world.request(&case, &grant, &world.trust).await?;
        Ok(Self {
            world,
            s3,
            grant,
            case,
            request,
            _database: database,
        })
    }

    /// The objects that hold parts of documents.
    async fn parts(&self) -> Result<Vec<String>> {
        let mut names = self.s3.objects().await?;
        names.retain(|name| name.starts_with(&format!("{PREFIX}/document/")));
        Ok(names)
    }

    fn push(&self, document: &[u8]) -> Result<v1::Push> {
        let evidence = self
            .world
            .evidence(&self.grant, Some(&self.request), document);
        self.world
            .push(&self.world.trust, &self.request.subject, evidence)
    }

    async fn give(&self, document: &[u8]) -> Result<ItemId> {
        self.world
            .give(&self.world.trust, &self.push(document)?, document)
            .await
    }

    /// Pulls the case: exactly these items, each as it was sent.
    async fn pulls(&self, expected: &[(&ItemId, &Vec<u8>)]) -> Result<()> {
        let pulled = self.world.pull(&self.case).await?;
        ensure!(
            pulled.documents.len() == expected.len(),
            "{:?}",
            pulled.items()
        );
        for (item, document) in expected {
            let came = pulled
                .documents
                .get(item.as_str())
                .context("the item was not pulled")?;
            ensure!(came == *document, "{item} came back with other bytes");
        }
        Ok(())
    }

    /// Sends the start of an upload on a connection that breaks once a part is held; what is held.
    async fn send_and_break_off(&self, upload: &str, start: &[u8]) -> Result<usize> {
        let trust = &self.world.trust;
        let own = channel(
            &self.world.gateway.address,
            &self.world.gateway.ca,
            &trust.identity,
        )?;
        let (pieces, stream) = mpsc::channel(64);
        for piece in upload_parts(upload, 0, start) {
            pieces.send(piece).await?;
        }
        let sending = tokio::spawn(async move {
            EvidenceServiceClient::new(own)
                .send_upload(ReceiverStream::new(stream))
                .await
        });
        let query = v1::QueryUploadRequest {
            upload_id: upload.to_owned(),
        };
        let mut ticks = interval(Duration::from_millis(20));
        let held = timeout(PATIENCE, async {
            loop {
                ticks.tick().await;
                let held = ok!(trust.evidence().query_upload(query.clone()));
                if held.offset > 0 {
                    return anyhow::Ok(held.offset);
                }
            }
        });
        let held = held.await.context("nothing was held")??;
        // With its task goes the connection, in the middle of the call.
        sending.abort();
        drop(pieces);
        ensure!(
            sending.await.is_err_and(|error| error.is_cancelled()),
            "the call had ended before"
        );
        Ok(usize::try_from(held)?)
    }

    /// Kills the gateway once it has written a part of the document, and starts it again.
    async fn submit_and_kill(&mut self, push: &v1::Push, start: &[u8]) -> Result<()> {
        let before = self.parts().await?.len();
        let mut messages = parts(push, start);
        // The document does not end.
        messages.pop();
        let (pieces, stream) = mpsc::channel(64);
        for message in messages {
            pieces.send(message).await?;
        }
        let mut client = self.world.trust.evidence();
        let sending = tokio::spawn(async move { client.submit(ReceiverStream::new(stream)).await });
        let mut ticks = interval(Duration::from_millis(5));
        let written = timeout(PATIENCE, async {
            while self.parts().await?.len() == before {
                ticks.tick().await;
            }
            anyhow::Ok(())
        });
        written.await.context("no part was written")??;
        self.world.gateway.kill9().await?;
        drop((pieces, sending));
        self.world.gateway.serve().await
    }
}

fn documents(s3: &S3, key: &Path) -> toml::Table {
    toml::Table::from_iter([
        ("kind".to_owned(), "s3".into()),
        ("bucket".to_owned(), s3.bucket.clone().into()),
        ("region".to_owned(), s3.region.into()),
        ("endpoint".to_owned(), s3.endpoint.clone().into()),
        ("allow_http".to_owned(), true.into()),
        (
            "access_key_id_file".to_owned(),
            key.display().to_string().into(),
        ),
        (
            "secret_access_key_file".to_owned(),
            key.display().to_string().into(),
        ),
        ("prefix".to_owned(), PREFIX.into()),
    ])
}

fn upload_parts(upload: &str, offset: usize, document: &[u8]) -> Vec<v1::SendUploadRequest> {
    let mut parts: Vec<v1::SendUploadRequest> = document
        .chunks(PIECE)
        .map(|piece| v1::SendUploadRequest {
            chunk: Bytes::copy_from_slice(piece),
            ..Default::default()
        })
        .collect();
    if let Some(first) = parts.first_mut() {
        upload.clone_into(&mut first.upload_id);
        first.offset = offset as u64;
    }
    parts
}

fn receipt(answer: &v1::SubmitResponse) -> Result<&v1::Receipt> {
    match &answer.outcome {
        Some(v1::submit_response::Outcome::Receipt(receipt)) => Ok(receipt),
        other => anyhow::bail!("no receipt: {other:?}"),
    }
}

/// A document that compresses and repeats nowhere.
fn bytes(length: usize) -> Vec<u8> {
    std::iter::repeat_with(random::<32>)
        .flatten()
        .take(length)
        .collect()
}

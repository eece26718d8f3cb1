//! What a refusal must look like, and what may be left after it.

use anyhow::{Context as _, Result, ensure};
use evidence_domain::{event::Evidence, ids::ItemId};
use evidence_tests::{Org, World, forged::Forged, ok, refused};
use evidence_wire::v1;

pub const LETTER: &[u8] = b"a letter";

/// What there is before something is refused.
pub struct Before {
    size: u64,
    files: usize,
}

impl Before {
    pub async fn of(world: &World) -> Result<Self> {
        Ok(Self {
            size: size(world).await?,
            files: files(world)?,
        })
    }

    /// That no more than `entries` were logged since, and no document is left.
    pub async fn and_only(&self, world: &World, entries: u64) -> Result<()> {
        self.log(world, entries).await?;
        ensure!(files(world)? == self.files, "documents are left");
        Ok(())
    }

    pub async fn log(&self, world: &World, entries: u64) -> Result<()> {
        let grown = size(world).await? - self.size;
        ensure!(grown == entries, "the log grew by {grown}, not {entries}");
        Ok(())
    }
}

/// Pushes of one organisation that must be refused.
pub struct Trial<'w> {
    pub world: &'w World,
    pub org: &'w Org,
}

impl Trial<'_> {
    pub async fn refuses(&self, subject: &str, evidence: Evidence, reason: &str) -> Result<()> {
        let push = self.world.push(self.org, subject, evidence)?;
        refuses(self.world, self.org, push, LETTER, reason).await
    }
}

/// A push that is refused for this reason, twice alike, and of which only the refusals are kept;
/// `Validate` sees what can be seen without the bytes.
pub async fn refuses(
    world: &World,
    org: &Org,
    push: v1::Push,
    document: &[u8],
    reason: &str,
) -> Result<()> {
    for _ in 0..2 {
        let before = Before::of(world).await?;
        let answer = world
            .submit(org, &push, document)
            .await
            .map_err(|status| anyhow::anyhow!("{reason}: {status}"))?;
        let found = world.refused(answer)?;
        ensure!(found == reason, "refused for {found}, not {reason}");
        before.and_only(world, 1).await?;
    }
    let before = Before::of(world).await?;
    let told = ok!(org
        .evidence()
        .validate(v1::ValidateRequest { push: Some(push) }));
    let needs_bytes =
        ["digest_mismatch", "size_mismatch", "idempotency_key_reused"].contains(&reason);
    ensure!(told.acceptable == needs_bytes, "Validate: {}", told.reason);
    ensure!(
        needs_bytes || told.reason == reason,
        "Validate says {}, not {reason}",
        told.reason
    );
    before.and_only(world, 0).await
}

pub async fn decision_refused(
    world: &World,
    decide: &evidence_tests::world::Decide,
    reason: &str,
) -> Result<()> {
    let request = world.decision(&world.dwp, decide)?;
    let found = refused!(world.dwp.decisions().record(request));
    ensure!(found == reason, "refused for {found}, not {reason}");
    Ok(())
}

/// Sends a piece of an upload; the reason of a refusal, or `ok`.
pub async fn send(world: &World, id: &str, offset: u64, bytes: &[u8]) -> String {
    let mut pieces = bytes.chunks(1 << 20);
    let first = chunk(id, offset, pieces.next().unwrap_or_default());
    let rest = pieces.map(|piece| chunk("", 0, piece));
    let stream = tokio_stream::iter([first].into_iter().chain(rest).collect::<Vec<_>>());
    match world.trust.evidence().send_upload(stream).await {
        Ok(_) => "ok".to_owned(),
        Err(status) => evidence_tests::world::reason(&status),
    }
}

pub async fn held(world: &World, id: &str) -> Result<u64> {
    Ok(
        ok!(world.trust.evidence().query_upload(v1::QueryUploadRequest {
            upload_id: id.to_owned()
        }))
        .offset,
    )
}

pub fn chunk(id: &str, offset: u64, bytes: &[u8]) -> v1::SendUploadRequest {
    v1::SendUploadRequest {
        upload_id: id.to_owned(),
        offset,
        chunk: bytes.to_vec().into(),
    }
}

pub async fn size(world: &World) -> Result<u64> {
    Ok(ok!(world
        .operator
        .ledger()
        .get_checkpoint(v1::GetCheckpointRequest { size: 0 }))
    .size)
}

/// How many files the document store has.
pub fn files(world: &World) -> Result<usize> {
    fn count(folder: &std::path::Path) -> Result<usize> {
        let mut files = 0;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            files += if entry.file_type()?.is_dir() {
                count(&entry.path())?
            } else {
                1
            };
        }
        Ok(files)
    }
    count(&world.gateway.documents())
}

pub fn push(evidence: v1::SignedStatement) -> v1::Push {
    v1::Push {
        request_id: String::new(),
        evidence: Some(evidence),
        relay: None,
    }
}

pub fn forged(push: &v1::Push) -> Result<Forged> {
    Forged::of(push.evidence.as_ref().context("no statement")?)
}

/// The push with another statement and the same texts.
pub fn with(push: &v1::Push, statement: Vec<u8>) -> Result<v1::Push> {
    let mut push = push.clone();
    push.evidence.as_mut().context("no statement")?.statement = statement;
    // The texts are those that the forged statement was made with.
    Ok(push)
}

pub fn push_item(push: &v1::Push) -> Result<ItemId> {
    let statement = evidence_ledger::Statement::parse(
        &push.evidence.as_ref().context("no statement")?.statement,
    )?;
    let payload = evidence_ledger::Payload::decode(statement.payload())?;
    match evidence_domain::Event::from_payload(&payload)? {
        evidence_domain::Event::Evidence(body) => Ok(body.item),
        other => anyhow::bail!("{}", other.name()),
    }
}

pub fn texts() -> evidence_domain::Aside {
    [("title".to_owned(), "Letter".to_owned())].into()
}

use std::fs;

use futures::StreamExt as _;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use tempfile::TempDir;

use super::*;
use crate::seal::OVERHEAD;

const MIB: usize = PART_SIZE;

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn rng() -> SystemRandom {
    SystemRandom::new()
}

/// Something done to the files of document `d`.
type Tamper = fn(&Place);

/// A store of files, and a key.
struct Place {
    documents: Documents,
    key: Arc<DataKey>,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = DocumentsConfig::Files {
            dir: folder.path().to_owned(),
        };
        let documents = Documents::open(&config).unwrap();
        Self {
            documents,
            key: Arc::new(DataKey::generate(&rng()).unwrap()),
            folder,
        }
    }

    fn writer(&self, id: &str) -> PartWriter {
        PartWriter::start(self.documents.clone(), id, Arc::clone(&self.key))
    }

    async fn resume(&self, id: &str) -> Result<PartWriter, DocumentError> {
        PartWriter::resume(self.documents.clone(), id, Arc::clone(&self.key)).await
    }

    async fn write(&self, id: &str, plain: &[u8]) -> Written {
        let mut writer = self.writer(id);
        for chunk in plain.chunks(300_000) {
            writer.push(chunk, &rng()).await.unwrap();
        }
        writer.finish(&rng()).await.unwrap()
    }

    /// The whole stream: the bytes up to its end, and the error it ended with.
    async fn read(&self, id: &str, size: usize, offset: usize) -> (Vec<u8>, Option<DocumentError>) {
        let key = Arc::clone(&self.key);
        let parts = self
            .documents
            .read(id, key, size as u64, offset as u64)
            .unwrap();
        let mut parts = Box::pin(parts);
        let mut plain = Vec::new();
        while let Some(part) = parts.next().await {
            match part {
                Ok(bytes) => plain.extend_from_slice(&bytes),
                Err(error) => {
                    assert!(
                        parts.next().await.is_none(),
                        "the stream goes on after {error}"
                    );
                    return (plain, Some(error));
                }
            }
        }
        (plain, None)
    }

    fn file(&self, id: &str, part: u64) -> PathBuf {
        self.folder.path().join(format!("document/{id}/{part}"))
    }
}

/// Bytes that differ from place to place.
fn text(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0])
        .collect()
}

#[tokio::test]
async fn a_document_of_any_size_comes_back_whole_and_from_any_offset() {
    let place = Place::new();
    for size in [
        INLINE_MAX + 1,
        MIB - 1,
        MIB,
        MIB + 1,
        2 * MIB,
        3 * MIB + 777,
    ] {
        let id = format!("d{size}");
        let plain = text(size);
        let written = place.write(&id, &plain).await;
        assert_eq!(written.size, size as u64);
        assert_eq!(written.sha256, digest(&SHA256, &plain).as_ref());
        assert_eq!(written.body, Body::Parts(size.div_ceil(MIB) as u64));
        let stored = place.documents.parts(&id).await.unwrap();
        assert_eq!(
            stored.values().sum::<u64>(),
            (size + stored.len() * OVERHEAD) as u64
        );
        for offset in [0, 1, MIB - 1, MIB, MIB + 5, size - 1, size] {
            if offset <= size {
                let (found, error) = place.read(&id, size, offset).await;
                assert!(
                    error.is_none() && found == plain[offset..],
                    "{size} from {offset}: {error:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_short_document_is_sealed_for_the_database_and_stores_no_part() {
    let place = Place::new();
    for size in [0, 1, INLINE_MAX] {
        let plain = text(size);
        let written = place.write("short", &plain).await;
        let Body::Inline(sealed) = written.body else {
            panic!("{size} bytes were put into the store")
        };
        assert_eq!(
            (written.size, written.sha256.as_slice()),
            (size as u64, digest(&SHA256, &plain).as_ref())
        );
        assert_eq!(open_inline("short", &place.key, &sealed).unwrap(), plain);
        assert!(open_inline("other", &place.key, &sealed).is_err());
    }
    assert!(place.documents.parts("short").await.unwrap().is_empty());
}

#[tokio::test]
async fn no_plaintext_reaches_the_disk() {
    let place = Place::new();
    place
        .write("d", &b"Patient name: plain to read. ".repeat(50_000))
        .await;
    for part in 0..2 {
        let bytes = fs::read(place.file("d", part)).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"Patient name"));
    }
}

#[tokio::test]
async fn a_broken_upload_goes_on_from_its_last_whole_part() {
    let place = Place::new();
    let plain = text(3 * MIB + 9);
    let mut writer = place.writer("d");
    writer.push(&plain[..2 * MIB + 500], &rng()).await.unwrap();
    assert_eq!(writer.offset(), (2 * MIB + 500) as u64);
    drop(writer);

    assert_eq!(
        place.documents.resume_point("d", &place.key).await.unwrap(),
        2
    );
    let mut writer = place.resume("d").await.unwrap();
    assert_eq!(writer.offset(), 2 * MIB as u64);
    writer.push(&plain[2 * MIB..], &rng()).await.unwrap();
    let written = writer.finish(&rng()).await.unwrap();
    assert_eq!(written.sha256, digest(&SHA256, &plain).as_ref());
    assert_eq!(written.body, Body::Parts(4));
    let (found, error) = place.read("d", plain.len(), 0).await;
    assert!(error.is_none() && found == plain, "{error:?}");
}

#[tokio::test]
async fn a_finished_upload_that_was_never_committed_can_be_finished_again() {
    let place = Place::new();
    // With a short last part, and with a last part that is as long as any.
    for size in [MIB + 9, 2 * MIB] {
        let (id, plain) = (format!("d{size}"), text(size));
        let first = place.write(&id, &plain).await;
        let mut writer = place.resume(&id).await.unwrap();
        assert_eq!(
            writer.offset(),
            MIB as u64,
            "the last part has to be sent again"
        );
        writer.push(&plain[MIB..], &rng()).await.unwrap();
        assert_eq!(writer.finish(&rng()).await.unwrap(), first);
        let (found, error) = place.read(&id, size, 0).await;
        assert!(error.is_none() && found == plain, "{error:?}");
    }
}

#[tokio::test]
async fn an_upload_of_which_nothing_is_whole_starts_at_nought() {
    let place = Place::new();
    let mut writer = place.resume("d").await.unwrap();
    assert_eq!(writer.offset(), 0);
    writer.push(&text(MIB + 1), &rng()).await.unwrap();
    drop(writer);
    // A gap: what follows it does not count.
    fs::rename(place.file("d", 0), place.file("d", 1)).unwrap();
    assert_eq!(
        place.documents.resume_point("d", &place.key).await.unwrap(),
        0
    );
}

#[tokio::test]
async fn a_damaged_upload_is_not_gone_on_with() {
    let place = Place::new();
    let mut writer = place.writer("d");
    writer.push(&text(3 * MIB), &rng()).await.unwrap();
    drop(writer);
    for part in [0, 1] {
        let path = place.file("d", part);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[500] ^= 1;
        fs::write(&path, bad).unwrap();
        let refused = place.resume("d").await.err();
        let Some(DocumentError::Damaged { part: found, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(found, part);
        fs::write(&path, good).unwrap();
    }
    assert_eq!(place.resume("d").await.unwrap().offset(), 2 * MIB as u64);
}

#[tokio::test]
async fn a_part_is_written_once_unless_the_upload_is_resumed() {
    let place = Place::new();
    place.write("d", &text(MIB)).await;
    let before = fs::read(place.file("d", 0)).unwrap();
    let mut second = place.writer("d");
    second.push(&text(MIB), &rng()).await.unwrap();
    let refused = second.finish(&rng()).await;
    assert!(
        matches!(refused, Err(DocumentError::AlreadyExists { part: 0, .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(place.file("d", 0)).unwrap(), before);

    let sealed = Bytes::from_static(b"sealed");
    place
        .documents
        .put_part("d", 0, sealed.clone(), true)
        .await
        .unwrap();
    assert_eq!(place.documents.get_part("d", 0).await.unwrap(), sealed);
}

#[tokio::test]
async fn a_document_that_was_tampered_with_is_refused() {
    let size = 2 * MIB + 9;
    let plain = text(size);
    let tampers: [(&str, usize, Tamper); 7] = [
        ("two parts swapped", 0, |place| {
            let (one, two) = (place.file("d", 0), place.file("d", 1));
            let bytes = fs::read(&one).unwrap();
            fs::copy(&two, &one).unwrap();
            fs::write(&two, bytes).unwrap();
        }),
        ("the last part dropped", 2 * MIB, |place| {
            fs::remove_file(place.file("d", 2)).unwrap();
        }),
        ("a middle part dropped", MIB, |place| {
            fs::remove_file(place.file("d", 1)).unwrap();
        }),
        ("a bit flipped", MIB, |place| {
            let mut bytes = fs::read(place.file("d", 1)).unwrap();
            bytes[MIB] ^= 0x10;
            fs::write(place.file("d", 1), bytes).unwrap();
        }),
        ("a part cut short", 2 * MIB, |place| {
            let bytes = fs::read(place.file("d", 2)).unwrap();
            fs::write(place.file("d", 2), &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("a part of another document", MIB, |place| {
            fs::copy(place.file("other", 1), place.file("d", 1)).unwrap();
        }),
        ("the last part doubled", 2 * MIB, |place| {
            fs::copy(place.file("d", 1), place.file("d", 2)).unwrap();
        }),
    ];
    for (what, whole, tamper) in tampers {
        let place = Place::new();
        place.write("d", &plain).await;
        place.write("other", &plain).await;
        tamper(&place);
        let (found, error) = place.read("d", size, 0).await;
        let expected = matches!(
            error,
            Some(DocumentError::Damaged { .. } | DocumentError::NotFound { .. })
        );
        assert!(expected, "{what}: {error:?}");
        assert!(
            found == plain[..whole],
            "{what}: {} bytes were given out",
            found.len()
        );
    }
}

#[tokio::test]
async fn a_document_longer_or_shorter_than_its_entry_says_is_refused() {
    let place = Place::new();
    let size = 2 * MIB + 9;
    place.write("d", &text(size)).await;
    let claims = [
        (MIB, 0),
        (2 * MIB, MIB),
        (size - 1, 2 * MIB),
        (size + 1, 2 * MIB),
        (3 * MIB + 1, 2 * MIB),
    ];
    for (claim, whole) in claims {
        let (found, error) = place.read("d", claim, 0).await;
        let refused = matches!(
            error,
            Some(DocumentError::Damaged { .. } | DocumentError::Length { .. })
        );
        assert!(
            refused && found.len() == whole,
            "{claim}: {} bytes, then {error:?}",
            found.len()
        );
    }
    let outside = place
        .documents
        .read("d", Arc::clone(&place.key), 10, 11)
        .map(drop);
    assert!(matches!(outside, Err(DocumentError::OutOfRange { .. })));
}

#[tokio::test]
async fn another_key_opens_nothing() {
    let mut place = Place::new();
    place.write("d", &text(MIB)).await;
    place.key = Arc::new(DataKey::generate(&rng()).unwrap());
    let (found, error) = place.read("d", MIB, 0).await;
    assert!(found.is_empty() && matches!(error, Some(DocumentError::Damaged { part: 0, .. })));
}

#[tokio::test]
async fn deleting_takes_every_part_and_what_a_crash_left() {
    let place = Place::new();
    place.write("d", &text(MIB + 1)).await;
    place.write("kept", &text(MIB)).await;
    // A part that was being written when the power went.
    fs::write(place.folder.path().join("document/d/2#1"), b"half").unwrap();
    assert_eq!(place.documents.parts("d").await.unwrap().len(), 2);
    place.documents.delete_all("d").await.unwrap();
    place.documents.delete_all("d").await.unwrap();
    assert!(!place.folder.path().join("document/d").exists());
    assert_eq!(place.documents.parts("kept").await.unwrap().len(), 1);
    let gone = place.documents.get_part("d", 0).await;
    assert!(
        matches!(gone, Err(DocumentError::NotFound { part: 0, .. })),
        "{gone:?}"
    );
}

#[tokio::test]
async fn an_id_cannot_lead_out_of_its_folder() {
    let place = Place::new();
    fs::write(place.folder.path().join("keep"), b"x").unwrap();
    for id in ["", ".", "..", "../..", "a/b", "a\\b", "%2e%2e", "é"] {
        assert!(
            matches!(
                place.documents.delete_all(id).await,
                Err(DocumentError::Id(_))
            ),
            "{id}"
        );
        assert!(
            matches!(
                place.documents.get_part(id, 0).await,
                Err(DocumentError::Id(_))
            ),
            "{id}"
        );
    }
    assert!(place.folder.path().join("keep").exists());
}

#[tokio::test]
async fn the_probe_leaves_nothing_and_fails_when_the_folder_is_gone() {
    let place = Place::new();
    place.documents.probe(&rng()).await.unwrap();
    assert_eq!(
        fs::read_dir(place.folder.path().join("probe"))
            .unwrap()
            .count(),
        0
    );
    let missing = DocumentsConfig::Files {
        dir: place.folder.path().join("nowhere"),
    };
    assert!(matches!(
        Documents::open(&missing),
        Err(DocumentError::Open(_))
    ));
    // A file where the folder was: nothing can be written below it.
    fs::remove_dir_all(place.folder.path()).unwrap();
    fs::write(place.folder.path(), b"").unwrap();
    assert!(matches!(
        place.documents.probe(&rng()).await,
        Err(DocumentError::Store(_))
    ));
    fs::remove_file(place.folder.path()).unwrap();
}

#[tokio::test]
async fn an_s3_store_that_does_not_answer_fails_the_probe_and_tells_no_secret() {
    let config = DocumentsConfig::S3 {
        bucket: "evidence".to_owned(),
        region: "eu-west-2".to_owned(),
        // Nobody listens there.
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        allow_http: true,
        access_key_id: "gateway".to_owned(),
        secret: SecretString::from("hunter2".to_owned()),
        prefix: "pilot/".to_owned(),
    };
    let documents = Documents::open(&config).unwrap();
    let refused = documents.probe(&rng()).await;
    assert!(
        matches!(refused, Err(DocumentError::Store(_))),
        "{refused:?}"
    );
    assert!(!format!("{refused:?} {config:?} {documents:?}").contains("hunter2"));
}

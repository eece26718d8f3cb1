use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ring::rand::SystemRandom;

use super::*;

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn rng() -> SystemRandom {
    SystemRandom::new()
}

fn key() -> DataKey {
    DataKey::generate(&rng()).unwrap()
}

#[test]
fn a_frame_opens_where_it_was_sealed_and_says_nothing_of_its_contents() {
    let key = key();
    for plain in [&b""[..], b"x", &vec![7; 70_000]] {
        let sealed = key.seal("document/d1", 3, true, plain, &rng()).unwrap();
        assert_eq!(sealed.len(), plain.len() + OVERHEAD);
        assert_eq!(key.open("document/d1", 3, true, &sealed).unwrap(), plain);
        let again = key.seal("document/d1", 3, true, plain, &rng()).unwrap();
        assert_ne!(sealed, again, "two seals of one text share a nonce");
    }
    let sealed = key
        .seal("c", 0, false, b"a name in plain sight", &rng())
        .unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"a name"));
}

#[test]
fn a_frame_opens_nowhere_else() {
    let key = key();
    let sealed = key.seal("document/d1", 3, true, b"letter", &rng()).unwrap();
    let elsewhere = [
        key.open("document/d2", 3, true, &sealed),
        key.open("document/d", 3, true, &sealed),
        key.open("document/d1", 2, true, &sealed),
        key.open("document/d1", 3, false, &sealed),
        super::tests::key().open("document/d1", 3, true, &sealed),
    ];
    assert!(
        elsewhere
            .iter()
            .all(|opened| matches!(opened, Err(SealError::Refused))),
        "{elsewhere:?}"
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let key = key();
    let sealed = key
        .seal("document/d1", 0, false, b"a small frame", &rng())
        .unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let opened = key.open("document/d1", 0, false, &flipped);
        assert!(
            matches!(opened, Err(SealError::Refused | SealError::Version(_))),
            "bit {bit}"
        );
    }
    for length in 0..sealed.len() {
        assert!(
            key.open("document/d1", 0, false, &sealed[..length])
                .is_err(),
            "cut to {length}"
        );
    }
    let longer = [&sealed[..], b"x"].concat();
    assert!(key.open("document/d1", 0, false, &longer).is_err());
}

#[test]
fn keys_are_unwrapped_by_the_key_above_and_for_their_place_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = KeyEncryptionKey::generate_file(&folder.path().join("root"), &rng()).unwrap();
    let (claimant, document) = (key(), key());
    let claimant_wrapped = root.wrap(&claimant, "claimant-key/c1", &rng()).unwrap();
    let document_wrapped = claimant.wrap(&document, "document-key/d1", &rng()).unwrap();
    let sealed = document
        .seal("document/d1", 0, true, b"letter", &rng())
        .unwrap();

    let claimant_again = root.unwrap(&claimant_wrapped, "claimant-key/c1").unwrap();
    let document_again = claimant_again
        .unwrap(&document_wrapped, "document-key/d1")
        .unwrap();
    assert_eq!(
        document_again
            .open("document/d1", 0, true, &sealed)
            .unwrap(),
        b"letter"
    );

    assert!(root.unwrap(&claimant_wrapped, "claimant-key/c2").is_err());
    assert!(root.unwrap(&document_wrapped, "document-key/d1").is_err());
    assert!(
        claimant
            .unwrap(&document_wrapped, "document-key/d2")
            .is_err()
    );
}

#[test]
fn a_wrapped_key_and_a_frame_are_not_taken_for_each_other() {
    let (above, below) = (key(), key());
    let wrapped = above.wrap(&below, "c", &rng()).unwrap();
    assert!(above.open("c", 0, false, &wrapped).is_err());
    let frame = above.seal("c", 0, false, &[9; 32], &rng()).unwrap();
    assert!(above.unwrap(&frame, "c").is_err());
}

#[test]
fn the_blind_index_is_stable_for_one_root_key_and_tells_kinds_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let index = KeyEncryptionKey::generate_file(&path, &rng())
        .unwrap()
        .blind_index_key();
    let again = KeyEncryptionKey::from_file(&path)
        .unwrap()
        .blind_index_key();
    let found = index.index("nhs-number", "9434765919");
    assert_eq!(found, again.index("nhs-number", "9434765919"));
    assert_eq!(found.len(), 64);
    assert_ne!(found, index.index("nino", "9434765919"));
    assert_ne!(index.index("ab", "c"), index.index("a", "bc"));
    let other = KeyEncryptionKey::generate_file(&folder.path().join("other"), &rng()).unwrap();
    assert_ne!(
        found,
        other.blind_index_key().index("nhs-number", "9434765919")
    );
}

#[test]
fn the_blind_index_is_the_documented_computation() {
    // RFC 5869 and RFC 2104 worked through with another implementation for the root key 00 01 … 1f.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    fs::write(&path, (0..32).collect::<Vec<u8>>()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let index = KeyEncryptionKey::from_file(&path)
        .unwrap()
        .blind_index_key();
    assert_eq!(
        index.index("nino", "QQ123456C"),
        "23f4847785c399e54dbdf7d727455c6ec244eb4634c605292325f382ae3ad8a8"
    );
}

#[test]
fn a_key_file_must_be_private_and_of_the_right_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    assert!(matches!(
        KeyEncryptionKey::from_file(&path),
        Err(KeyFileError::Io { .. })
    ));

    KeyEncryptionKey::generate_file(&path, &rng()).unwrap();
    let made = fs::read(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let again = KeyEncryptionKey::generate_file(&path, &rng());
    assert!(
        matches!(again, Err(KeyFileError::Io { .. })),
        "a key was replaced"
    );
    assert_eq!(fs::read(&path).unwrap(), made);

    for mode in [0o660, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = KeyEncryptionKey::from_file(&path);
        assert!(matches!(refused, Err(KeyFileError::Exposed { mode: found, .. }) if found == mode));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for size in [0, 31, 33, 64] {
        fs::write(&path, vec![1; size]).unwrap();
        let refused = KeyEncryptionKey::from_file(&path).unwrap_err();
        assert!(matches!(refused, KeyFileError::Size { .. }));
        assert!(refused.to_string().contains("head -c 32 /dev/urandom"));
    }
}

#[test]
fn debug_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let root = KeyEncryptionKey::generate_file(&folder.path().join("root"), &rng()).unwrap();
    let shown = format!("{root:?} {:?} {:?}", key(), root.blind_index_key());
    assert_eq!(shown, "KeyEncryptionKey(..) DataKey(..) BlindIndexKey(..)");
}

use signed_note::{Note, StandardVerifier, VerifierList};

use super::*;
use crate::hash::sha256;
use crate::test_keys::{key, rng};

const ORIGIN: &str = "log.example/evidence";

fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, key(Alg::EdDsa)).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 20_852_163,
        root: sha256(b"root"),
    }
}

/// The example of C2SP tlog-checkpoint, whose text is fixed.
#[test]
fn the_text_is_as_c2sp_writes_it() {
    let root = BASE64
        .decode(b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
        .unwrap();
    let checkpoint = Checkpoint {
        origin: "example.com/behind-the-sofa".to_owned(),
        size: 20_852_163,
        root: Digest::try_from(&root[..]).unwrap(),
    };
    assert_eq!(
        checkpoint.body(),
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    );
}

/// The verifier key of Go's checksum database, whose key id is public knowledge.
#[test]
fn a_known_verifier_key_reads_and_writes() {
    let vkey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let verifier: NoteVerifier = vkey.parse().unwrap();
    assert_eq!(verifier.name(), "sum.golang.org");
    assert_eq!(verifier.to_string(), vkey);
}

#[test]
fn signs_and_reads_back() {
    let signer = signer();
    let note = checkpoint().sign(&signer, &rng());
    let read = Checkpoint::parse_verified(&note, signer.verifier());
    assert_eq!(read, Ok(checkpoint()));
}

#[test]
fn another_implementation_verifies_the_note() {
    let signer = signer();
    let text = checkpoint().sign(&signer, &rng());
    let note = Note::from_bytes(text.as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&signer.verifier().to_string()).unwrap();
    let (known, rest) = note
        .verify(&VerifierList::new(vec![Box::new(verifier)]))
        .unwrap();
    assert_eq!((known.len(), rest.len()), (1, 0));
    assert_eq!(note.to_bytes(), text.as_bytes());

    let body = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(body.origin(), ORIGIN);
    assert_eq!(body.size(), checkpoint().size);
    assert_eq!(&body.hash().0, checkpoint().root.as_bytes());
    assert_eq!(body.to_bytes(), checkpoint().body().as_bytes());
}

#[test]
fn every_single_bit_flip_is_refused() {
    let signer = signer();
    let note = checkpoint().sign(&signer, &rng()).into_bytes();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut flipped = note.clone();
            flipped[at] ^= 1 << bit;
            let Ok(text) = str::from_utf8(&flipped) else {
                continue; // not UTF-8, so no note: it cannot even be asked about
            };
            let read = Checkpoint::parse_verified(text, signer.verifier());
            assert!(read.is_err(), "bit {bit} of byte {at}: {text}");
        }
    }
}

#[test]
fn every_shortening_is_refused() {
    let signer = signer();
    let note = checkpoint().sign(&signer, &rng());
    for (at, _) in note.char_indices() {
        assert!(Checkpoint::parse_verified(&note[..at], signer.verifier()).is_err());
    }
}

#[test]
fn other_signatures_are_passed_over_and_a_false_one_is_not() {
    let (log, witness) = (signer(), key(Alg::EdDsa));
    let witness = NoteSigner::new("witness.example", witness).unwrap();
    let note = checkpoint().sign(&log, &rng());
    let cosigned = checkpoint().sign(&witness, &rng());
    let line = cosigned.lines().last().unwrap();
    let both = format!("{note}{line}\n");
    let read = |note: &str, by: &NoteSigner| Checkpoint::parse_verified(note, by.verifier());
    assert_eq!(read(&both, &log), Ok(checkpoint()));
    // A witness's verifier is not the log's: its name is another than the origin.
    assert_eq!(read(&both, &witness), Err(NoteError::OtherOrigin));
    assert_eq!(read(&cosigned, &log), Err(NoteError::NotSigned));

    // The same name with another key is another signer.
    assert_eq!(read(&note, &signer()), Err(NoteError::NotSigned));

    let mut moved = checkpoint();
    moved.size += 1;
    let false_line = moved.sign(&log, &rng());
    let false_line = false_line.lines().last().unwrap();
    let doubled = format!("{note}{false_line}\n");
    assert_eq!(read(&doubled, &log), Err(NoteError::BadSignature));
}

#[test]
fn signed_text_that_is_no_checkpoint_is_refused() {
    let signer = signer();
    let root = BASE64.encode(sha256(b"root").as_bytes());
    let sign = |body: &str| {
        let mut signature = signer.verifier().key_id().to_vec();
        signature.extend(signer.key.sign(body.as_bytes(), &rng()));
        format!("{body}\n\u{2014} {ORIGIN} {}\n", BASE64.encode(&signature))
    };
    let read = |body: &str| Checkpoint::parse_verified(&sign(body), signer.verifier());
    assert!(read(&format!("{ORIGIN}\n0\n{root}\n")).is_ok());
    for body in [
        format!("{ORIGIN}\n01\n{root}\n"),
        format!("{ORIGIN}\n+1\n{root}\n"),
        format!("{ORIGIN}\n-1\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n1\n{}\n", &root[..40]),
        format!("{ORIGIN}\n1\n\n"),
        format!("{ORIGIN}\n1\n{root}\nextension\n"),
        format!("{ORIGIN}\n1\n"),
        format!("\n{ORIGIN}\n1\n{root}\n"),
    ] {
        assert_eq!(read(&body), Err(NoteError::NotCheckpoint), "{body}");
    }
    let other = read(&format!("other.example\n1\n{root}\n"));
    assert_eq!(other, Err(NoteError::OtherOrigin));
    let carriage_return = read(&format!("{ORIGIN}\r\n1\n{root}\n"));
    assert_eq!(carriage_return, Err(NoteError::Malformed));
    let long = "x".repeat(MAX_NOTE_LEN + 1);
    let long = Checkpoint::parse_verified(&long, signer.verifier());
    assert_eq!(long, Err(NoteError::TooLarge));
}

#[test]
fn names_and_keys_that_cannot_sign_notes() {
    for name in ["", "two words", "a+b", "line\nbreak", "nbsp\u{a0}"] {
        let refused = NoteSigner::new(name, key(Alg::EdDsa)).unwrap_err();
        assert_eq!(refused, NoteError::Name, "{name}");
    }
    let refused = NoteSigner::new(ORIGIN, key(Alg::Es256)).unwrap_err();
    assert!(matches!(refused, NoteError::Key(KeyError::WrongAlg { .. })));

    let vkey = signer().verifier().to_string();
    let (start, key64) = vkey.rsplit_once('+').unwrap_or_default();
    let name = start.split('+').next().unwrap();
    for vkey in [
        format!("{name}+00000000+{key64}"),
        format!("other.example{}", &vkey[name.len()..]),
        vkey.to_uppercase(),
        name.to_owned(),
        format!("{vkey}="),
    ] {
        assert!(vkey.parse::<NoteVerifier>().is_err(), "{vkey}");
    }
}

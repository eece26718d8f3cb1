use ciborium::value::Value;
use proptest::prelude::*;

use super::*;

fn check_hex(hex: &str) -> Result<(), CborError> {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    check(&bytes)
}

#[test]
fn deterministic_encodings_are_read() {
    let nested = format!("{}00", "81".repeat(16));
    for hex in [
        "00",
        "17",
        "1818",
        "190100",
        "1a00010000",
        "1b0000000100000000",
        "1bffffffffffffffff",
        "20",
        "3bffffffffffffffff",
        "40",
        "43010203",
        "60",
        "62c3bc",
        "80",
        "83010203",
        "a0",
        "f4",
        "f5",
        "f6",
        // Keys in byte order of their encodings: 10, 100, -1, "z", "aa", [100], false.
        "a70a001864002000617a006261610081186400f400",
        nested.as_str(),
    ] {
        assert_eq!(check_hex(hex), Ok(()), "{hex}");
    }
}

fn refused(table: &[(&str, CborError)]) {
    for (hex, error) in table {
        assert_eq!(check_hex(hex), Err(error.clone()), "{hex:.40}");
    }
}

#[test]
fn second_spellings_are_refused() {
    use CborError::{DuplicateKey, Indefinite, NotShortest, Reserved, Unsorted};
    refused(&[
        // Long forms of small integers and lengths.
        ("1800", NotShortest),
        ("1817", NotShortest),
        ("190017", NotShortest),
        ("1900ff", NotShortest),
        ("1a0000ffff", NotShortest),
        ("1b00000000ffffffff", NotShortest),
        ("3817", NotShortest),
        ("580100", NotShortest),
        ("780161", NotShortest),
        ("980100", NotShortest),
        ("b8010000", NotShortest),
        // Map keys.
        ("a201000000", Unsorted),
        ("a2617a000100", Unsorted),
        ("a262616100617a00", Unsorted),
        ("a201000100", DuplicateKey),
        ("a2616100616101", DuplicateKey),
        ("81a3000001000100", DuplicateKey),
        // Indefinite lengths and their break.
        ("5f4100ff", Indefinite),
        ("7f6161ff", Indefinite),
        ("9f00ff", Indefinite),
        ("bf0000ff", Indefinite),
        ("ff", Reserved),
        ("1f", Reserved),
    ]);
}

#[test]
fn broken_and_unwanted_items_are_refused() {
    use CborError::{Float, NotUtf8, Reserved, Simple, Tag, TooDeep, Trailing, Truncated};
    let too_deep = format!("{}00", "81".repeat(17));
    let far_too_deep = "81".repeat(60_000);
    let deep_in_maps = format!("{}00", "a100".repeat(17));
    let deep_in_keys = format!("{}00", "a1".repeat(17));
    refused(&[
        // One item, whole.
        ("0000", Trailing(1)),
        ("a0a0a0", Trailing(2)),
        ("", Truncated),
        ("18", Truncated),
        ("1901", Truncated),
        ("4201", Truncated),
        ("6261", Truncated),
        ("8201", Truncated),
        ("a101", Truncated),
        ("5bffffffffffffffff", Truncated),
        ("7bffffffffffffffff", Truncated),
        ("9bffffffffffffffff", Truncated),
        ("bbffffffffffffffff", Truncated),
        // What signed data is better off without.
        ("f90000", Float),
        ("fa47c35000", Float),
        ("fb3ff199999999999a", Float),
        ("81f97e00", Float),
        ("c000", Tag),
        ("c249010000000000000000", Tag),
        ("d9d9f700", Tag),
        ("f7", Simple),
        ("e0", Simple),
        ("f820", Simple),
        ("61ff", NotUtf8),
        ("62c328", NotUtf8),
        ("1c", Reserved),
        ("5d", Reserved),
        ("fc", Reserved),
        (&too_deep, TooDeep),
        (&far_too_deep, TooDeep),
        (&deep_in_maps, TooDeep),
        (&deep_in_keys, TooDeep),
    ]);
}

#[test]
fn maps_are_sorted_by_encoded_bytes_not_by_length() {
    let value = Value::Map(vec![
        (Value::from("aa"), Value::from(1)),
        (Value::from(-1), Value::from(2)),
        (Value::from(1000), Value::from(3)),
        (Value::from("z"), Value::from(4)),
    ]);
    // 19 03e8, 20, 61 7a, 62 6161: RFC 7049's length-first order would begin with 20.
    let hex = data_encoding::HEXLOWER.encode(&to_canonical(&value).unwrap());
    assert_eq!(hex, "a41903e8032002617a0462616101");
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    assert_eq!(to_canonical(&1.5f64), Err(CborError::Float));
    assert_eq!(to_canonical(&u128::MAX), Err(CborError::Tag));
    let twice = Value::Map(vec![(0.into(), 0.into()), (0.into(), 1.into())]);
    assert_eq!(to_canonical(&twice), Err(CborError::DuplicateKey));
    let deep = (0..17).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert_eq!(to_canonical(&deep), Err(CborError::TooDeep));
}

#[test]
fn the_wrong_type_is_told_from_the_wrong_encoding() {
    let text = to_canonical(&"text").unwrap();
    assert!(matches!(
        from_canonical::<u64>(&text),
        Err(CborError::Type(_))
    ));
    assert_eq!(from_canonical::<String>(&text).unwrap(), "text");
    let negative = to_canonical(&-1).unwrap();
    assert!(matches!(
        from_canonical::<u64>(&negative),
        Err(CborError::Type(_))
    ));
}

#[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
struct Part {
    list: Vec<u64>,
    pair: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Each of these would decode to the same `Part`.
#[test]
fn one_value_has_one_encoding_whatever_the_decoder_takes() {
    let entry = |key: Value, value: Value| (key, value);
    let list = || entry("list".into(), Value::Array(vec![1.into(), 2.into()]));
    let pair = || entry("pair".into(), Value::Array(vec![3.into(), 4.into()]));
    let good = Value::Map(vec![list(), pair()]);
    let part = Part {
        list: vec![1, 2],
        pair: (3, 4),
        note: None,
    };
    assert_eq!(from_value::<Part>(&good), Ok(part));
    assert_eq!(to_value(&from_value::<Part>(&good).unwrap()), Ok(good));

    let longer = Value::Array(vec![3.into(), 4.into(), 5.into()]);
    let bytes_for_list = entry("list".into(), Value::Bytes(vec![1, 2]));
    let bytes_for_key = entry(Value::Bytes(b"list".to_vec()), list().1);
    let null_for_absent = entry("note".into(), Value::Null);
    let surplus = entry("surplus".into(), 1.into());
    for entries in [
        vec![list(), entry("pair".into(), longer)],
        vec![bytes_for_list, pair()],
        vec![bytes_for_key, pair()],
        vec![list(), pair(), null_for_absent],
        vec![list(), pair(), surplus],
    ] {
        let refused = from_value::<Part>(&Value::Map(entries)).unwrap_err();
        let expected = matches!(refused, CborError::OtherSpelling | CborError::Type(_));
        assert!(expected, "{refused}");
    }
}

/// The rules once more, by another way: decode with ciborium, sort, encode, compare.
fn oracle(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Ok(value) = ciborium::de::from_reader_with_recursion_limit::<Value, _>(&mut rest, 64)
    else {
        return false;
    };
    let mut sorted = value.clone();
    sort_maps(&mut sorted);
    rest.is_empty() && encode(&sorted) == bytes && plain(&value, u32::from(MAX_DEPTH))
}

fn plain(value: &Value, depth: u32) -> bool {
    match value {
        Value::Float(_) | Value::Tag(..) => false,
        Value::Array(items) => depth > 0 && items.iter().all(|item| plain(item, depth - 1)),
        Value::Map(entries) => {
            let keys: std::collections::BTreeSet<_> =
                entries.iter().map(|(key, _)| encode(key)).collect();
            depth > 0
                && keys.len() == entries.len()
                && entries
                    .iter()
                    .all(|(key, value)| plain(key, depth - 1) && plain(value, depth - 1))
        }
        _ => true,
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-30i64..300).prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        ".{0,12}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        any::<f64>().prop_map(Value::Float),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec(pair, 0..6).prop_map(Value::Map),
            (0u64..40, inner).prop_map(|(tag, inner)| Value::Tag(tag, Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_decoding_and_encoding_again(
        mut value in any_value(),
        sort: bool,
        flip in prop::option::of((any::<prop::sample::Index>(), 0u8..8)),
    ) {
        if sort {
            sort_maps(&mut value);
        }
        let mut bytes = encode(&value);
        if let Some((at, bit)) = flip {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        prop_assert_eq!(check(&bytes).is_ok(), oracle(&bytes));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let good = oracle(&bytes);
        prop_assert_eq!(from_canonical::<Value>(&bytes).is_ok(), good);
        prop_assert_eq!(decode(&bytes).is_ok(), good);
    }

    #[test]
    fn what_is_written_reads_back(value in any_value()) {
        if let Ok(bytes) = to_canonical(&value) {
            let again: Value = from_canonical(&bytes).unwrap();
            prop_assert_eq!(to_canonical(&again).unwrap(), bytes);
        }
    }
}

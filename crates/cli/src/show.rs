//! Messages of the API as JSON (the canonical protobuf mapping, with the field names of the
//! protos), and in words for people.

use std::{fmt::Write as _, sync::LazyLock};

use data_encoding::HEXLOWER;
use evidence_domain::Moment;
use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind,
    MapKey, ReflectMessage as _, SerializeOptions, Value,
};

use crate::{CliError, proof::moment};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(evidence_wire::DESCRIPTORS)
        .expect("the descriptors were made with the messages")
});

/// The message as JSON: every field present, bytes in base64, moments in RFC 3339, enums by name.
pub fn to_json<M: Message + Name>(message: &M) -> serde_json::Value {
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    dynamic(message)
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("a message of the API has a JSON form")
}

/// Reads what [`to_json`] wrote.
pub fn from_json<M: Message + Name + Default>(json: &serde_json::Value) -> Result<M, CliError> {
    let descriptor = POOL
        .get_message_by_name(&M::full_name())
        .expect("the pool holds every message");
    DynamicMessage::deserialize_with_options(descriptor, json, &DeserializeOptions::new())
        .map_err(|error| error.to_string())
        .and_then(|message| message.transcode_to().map_err(|error| error.to_string()))
        .map_err(|problem| {
            CliError::Usage(format!("This is not the JSON of a {}: {problem}.", M::NAME))
        })
}

/// The message for people: a line for each field that says something.
pub fn to_text<M: Message + Name>(message: &M) -> String {
    let mut text = String::new();
    fields(&dynamic(message), 0, &mut text);
    text
}

/// An enum value as people read it: `REQUEST_STATE_OPEN` is `open`.
fn plain_enum(descriptor: &EnumDescriptor, number: i32) -> String {
    let Some(value) = descriptor.get_value(number) else {
        return number.to_string();
    };
    let prefix: String = descriptor
        .name()
        .chars()
        .flat_map(|c| {
            if c.is_ascii_uppercase() {
                vec!['_', c]
            } else {
                vec![c.to_ascii_uppercase()]
            }
        })
        .skip(1)
        .chain(['_'])
        .collect();
    let name = value.name();
    name.strip_prefix(&prefix)
        .unwrap_or(name)
        .to_ascii_lowercase()
        .replace('_', " ")
}

fn dynamic<M: Message + Name>(message: &M) -> DynamicMessage {
    let descriptor = POOL
        .get_message_by_name(&M::full_name())
        .expect("the pool holds every message");
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic
        .transcode_from(message)
        .expect("a message decodes as itself");
    dynamic
}

/// Wide enough for most labels.
const COLUMN: usize = 22;

fn fields(message: &DynamicMessage, depth: usize, text: &mut String) {
    for (field, value) in message.fields() {
        let label = label(&field);
        match value {
            Value::List(values) if matches!(field.kind(), Kind::Message(_)) => {
                for value in values {
                    nested(&label, value, depth, text);
                }
            }
            Value::List(values) => {
                let list: Vec<String> = values.iter().map(|value| scalar(&field, value)).collect();
                line(&label, &list.join(", "), depth, text);
            }
            Value::Map(entries) => {
                let mut entries: Vec<(&MapKey, &Value)> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                for (key, value) in entries {
                    let key = key.as_str().unwrap_or_default();
                    line(
                        &format!("{label}, {key}"),
                        value.as_str().unwrap_or_default(),
                        depth,
                        text,
                    );
                }
            }
            Value::Message(_) => nested(&label, value, depth, text),
            value => line(&label, &scalar(&field, value), depth, text),
        }
    }
}

fn nested(label: &str, value: &Value, depth: usize, text: &mut String) {
    let Value::Message(message) = value else {
        return;
    };
    if let Some(short) = short(message) {
        line(label, &short, depth, text);
    } else {
        let _ = writeln!(text, "{}{label}", "  ".repeat(depth));
        fields(message, depth + 1, text);
    }
}

/// Messages that read better in one line.
fn short(message: &DynamicMessage) -> Option<String> {
    let descriptor = message.descriptor();
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let stamp: prost_types::Timestamp = message.transcode_to().ok()?;
            Some(in_words(moment(&stamp)?))
        }
        "evidence.v1.Period" => {
            let period: evidence_wire::v1::Period = message.transcode_to().ok()?;
            Some(match (period.from.as_str(), period.to.as_str()) {
                ("", "") => "any time".to_owned(),
                (from, "") => format!("from {from}"),
                ("", to) => format!("until {to}"),
                (from, to) => format!("{from} to {to}"),
            })
        }
        "evidence.v1.ChainHead" => {
            let chain: evidence_wire::v1::ChainHead = message.transcode_to().ok()?;
            Some(format!(
                "{} entries, head {}",
                chain.count,
                HEXLOWER.encode(&chain.head)
            ))
        }
        "evidence.v1.Receipt" => {
            let receipt: evidence_wire::v1::Receipt = message.transcode_to().ok()?;
            let at = receipt
                .received_at
                .as_ref()
                .and_then(moment)
                .map(in_words)
                .unwrap_or_default();
            let again = if receipt.replay { ", as before" } else { "" };
            Some(format!(
                "received {at}{again}; index {} in a log of {}; entry {}",
                receipt.index,
                receipt.tree_size,
                HEXLOWER.encode(&receipt.entry)
            ))
        }
        _ => None,
    }
}

/// Day and time where every party works.
fn in_words(at: jiff::Timestamp) -> String {
    let moment = Moment::from(at);
    match at.in_tz("Europe/London") {
        Ok(local) => local.strftime("%-d %B %Y, %H:%M:%S").to_string(),
        Err(_) => moment.day().to_string(),
    }
}

fn line(label: &str, value: &str, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    // Longer texts keep their lines, each under the first.
    let value = value.replace('\n', &format!("\n{indent}{:COLUMN$}", ""));
    // A label that is wider than the column still ends somewhere.
    let width = COLUMN.max(label.len() + 2);
    let _ = writeln!(text, "{indent}{label:<width$}{value}");
}

fn scalar(field: &FieldDescriptor, value: &Value) -> String {
    match (value, field.kind()) {
        (Value::Bool(value), _) => if *value { "yes" } else { "no" }.to_owned(),
        (Value::I32(value), _) => value.to_string(),
        (Value::I64(value), _) => value.to_string(),
        (Value::U32(value), _) => value.to_string(),
        (Value::U64(value), _) => value.to_string(),
        (Value::String(value), _) => value.clone(),
        (Value::Bytes(value), _) => HEXLOWER.encode(value),
        (Value::EnumNumber(number), Kind::Enum(descriptor)) => plain_enum(&descriptor, *number),
        _ => String::new(),
    }
}

/// `evidence_request_id` is `Evidence request id`.
fn label(field: &FieldDescriptor) -> String {
    let words = field.name().replace('_', " ");
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence_wire::v1;

    fn sample() -> v1::RequestResponse {
        v1::RequestResponse {
            request: Some(v1::EvidenceRequest {
                request_id: "request_1".into(),
                kinds: vec!["clinical-letter".into(), "care-plan".into()],
                period: Some(v1::Period {
                    from: "2026-01-01".into(),
                    to: String::new(),
                }),
                question: "First line\nsecond".into(),
                state: v1::RequestState::Open.into(),
                opened_at: Some(prost_types::Timestamp {
                    seconds: 1_790_000_000,
                    nanos: 0,
                }),
                clarifications: vec![v1::Clarification {
                    question: "Which year?".into(),
                    ..Default::default()
                }],
                overdue: true,
                ..Default::default()
            }),
            receipt: Some(v1::Receipt {
                entry: vec![0xab; 32],
                index: 3,
                tree_size: 9,
                ..Default::default()
            }),
        }
    }

    #[test]
    fn json_is_the_canonical_mapping_and_reads_back() {
        let json = to_json(&sample());
        assert_eq!(json["request"]["state"], "REQUEST_STATE_OPEN");
        assert_eq!(json["request"]["opened_at"], "2026-09-21T14:13:20Z");
        assert_eq!(json["request"]["final"], false);
        assert_eq!(json["receipt"]["index"], 3);
        assert_eq!(
            json["receipt"]["entry"],
            "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
        );
        assert_eq!(from_json::<v1::RequestResponse>(&json).unwrap(), sample());
        assert!(from_json::<v1::RequestResponse>(&serde_json::json!({ "request": 1 })).is_err());
    }

    #[test]
    fn text_is_for_people() {
        let text = to_text(&sample());
        for line in [
            "Request\n",
            "  Kinds                 clinical-letter, care-plan\n",
            "  Period                from 2026-01-01\n",
            "  State                 open\n",
            "  Opened at             21 September 2026, 15:13:20\n",
            "  Overdue               yes\n",
            "    Question              Which year?\n",
            "  Question              First line\n                        second\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains("index 3 in a log of 9; entry abababab"));
        assert!(!text.contains("Assurance"), "what says nothing is left out");
    }

    #[test]
    fn every_enum_value_loses_its_prefix() {
        for descriptor in POOL
            .all_enums()
            .filter(|e| e.full_name().starts_with("evidence.v1."))
        {
            for value in descriptor.values() {
                let plain = plain_enum(&descriptor, value.number());
                assert!(
                    value
                        .name()
                        .ends_with(&plain.to_ascii_uppercase().replace(' ', "_")),
                    "{plain}"
                );
                assert_ne!(plain.to_ascii_uppercase().replace(' ', "_"), value.name());
            }
        }
    }
}

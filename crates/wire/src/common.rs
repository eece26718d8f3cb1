//! Conversions that several services share.

use std::collections::BTreeSet;

use evidence_domain::{
    Moment, Refusal, Role,
    event::{Capture, Use},
    receipt::Issued,
    rows::{ItemState, RequestState},
    signed::Signed,
    time::Period,
};
use evidence_ledger::ChainHead;

use crate::{access::role_number, fields::Fields, v1};

pub fn receipt(issued: &Issued, replay: bool) -> v1::Receipt {
    v1::Receipt {
        entry: issued.entry.as_bytes().to_vec(),
        index: issued.index,
        tree_size: issued.tree_size,
        receipt: issued.receipt.clone(),
        statement: issued.statement.clone(),
        received_at: Some(timestamp(issued.at)),
        replay,
    }
}

pub fn timestamp(moment: Moment) -> prost_types::Timestamp {
    let micros = moment.micros().rem_euclid(1_000_000);
    prost_types::Timestamp {
        seconds: moment.seconds(),
        nanos: i32::try_from(micros * 1_000).expect("under a second of nanoseconds"),
    }
}

pub fn period(period: &Period) -> v1::Period {
    let text =
        |date: Option<jiff::civil::Date>| date.map(|date| date.to_string()).unwrap_or_default();
    v1::Period {
        from: text(period.from),
        to: text(period.to),
    }
}

pub fn chain_head(head: &ChainHead) -> v1::ChainHead {
    v1::ChainHead {
        count: head.count,
        head: head.head.as_bytes().to_vec(),
    }
}

/// Opens a statement signed at source, with its texts; its signature is not
/// verified yet.
pub fn signed(field: &str, statement: Option<&v1::SignedStatement>) -> Result<Signed, Refusal> {
    let statement = statement.ok_or_else(|| Refusal::field(field, "is required"))?;
    let mut f = Fields::new();
    f.aside(&format!("{field}.aside"), &statement.aside);
    f.done()?;
    Signed::open(&statement.statement, statement.aside.clone())
}

/// Ids or codes as the API lists them.
pub fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

pub fn roles(roles: &BTreeSet<Role>) -> Vec<i32> {
    roles.iter().copied().map(role_number).collect()
}

macro_rules! enums {
    ($($to:ident, $from:ident: $domain:ident = $api:ident { $($variant:ident),* })*) => {$(
        pub fn $to(value: $domain) -> i32 {
            match value { $($domain::$variant => v1::$api::$variant,)* }.into()
        }

        /// `None` for a number that is unspecified or unknown.
        pub fn $from(number: i32) -> Option<$domain> {
            match v1::$api::try_from(number).ok()? {
                v1::$api::Unspecified => None,
                $(v1::$api::$variant => Some($domain::$variant),)*
            }
        }
    )*};
}

enums! {
    capture_number, capture: Capture = Capture { InPerson, InWriting, ByPhone, InPortal }
    request_state_number, request_state: RequestState = RequestState { Open, Acknowledged, Paused, Answered, Declined, Cancelled, Lapsed }
    item_state_number, item_state: ItemState = ItemState { Received, Screened, Delivered, Considered, Quarantined, Withdrawn, Superseded, Erased }
    use_number, use_of: Use = Use { ReliedOn, Considered, GivenLittleWeight, Discounted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_its_microseconds() {
        let stamp = timestamp(Moment::from_micros(1_700_000_000_123_456));
        assert_eq!((stamp.seconds, stamp.nanos), (1_700_000_000, 123_456_000));
        let before = timestamp(Moment::from_micros(-1));
        assert_eq!((before.seconds, before.nanos), (-1, 999_999_000));
    }

    #[test]
    fn enum_numbers_translate_both_ways_and_unknown_ones_do_not() {
        for value in [
            Use::ReliedOn,
            Use::Considered,
            Use::GivenLittleWeight,
            Use::Discounted,
        ] {
            assert_eq!(use_of(use_number(value)), Some(value));
        }
        assert_eq!(use_of(0), None);
        assert_eq!(use_of(99), None);
    }
}

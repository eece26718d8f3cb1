//! The API's enums as words on the command line: `in-person` is `CAPTURE_IN_PERSON`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use evidence_wire::v1;

macro_rules! choices {
    ($($name:ident: $type:ident = $prefix:literal [$($word:literal),*];)*) => {$(
        /// Takes the words listed, gives the API's value.
        pub fn $name() -> impl TypedValueParser<Value = v1::$type> {
            PossibleValuesParser::new([$($word),*]).try_map(|word| {
                let name = format!(concat!($prefix, "_{}"), word.to_uppercase().replace('-', "_"));
                v1::$type::from_str_name(&name).ok_or_else(|| format!("{word} is unknown"))
            })
        }
    )*};
}

choices! {
    capture: Capture = "CAPTURE" ["in-person", "in-writing", "by-phone", "in-portal"];
    role: Role = "ROLE" ["operator", "discloser", "intermediary", "recipient", "portal"];
    request_state: RequestState = "REQUEST_STATE"
        ["open", "acknowledged", "paused", "answered", "declined", "cancelled", "lapsed"];
    representation_kind: RepresentationKind = "REPRESENTATION_KIND" ["representative", "appointee"];
    scope: RepresentationScope = "REPRESENTATION_SCOPE"
        ["see-progress", "read-evidence", "grant-consent", "add-statements"];
}

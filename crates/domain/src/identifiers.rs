//! Numbers that identify people and organisations: their shapes and checks.
//! A number that fails is never echoed: errors and `Debug` keep silent.

use std::{fmt, str::FromStr};

/// Longest value of an organisation's identifier, characters.
const ORGANISATION_VALUE_LIMIT: usize = 40;

/// Why a text is not an identifier. Never contains the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    #[error("must be ten digits; check it on the NHS letter or app")]
    NhsNumberShape,
    #[error("has a wrong check digit; check it for a mistyped or swapped digit")]
    NhsNumberCheckDigit,
    #[error("is a placeholder, ten times the same digit; leave it empty if it is not known")]
    NhsNumberPlaceholder,
    #[error("must be two letters, six digits and a letter A to D")]
    NinoShape,
    #[error("begins with two letters that are never issued; check them")]
    NinoPrefix,
    #[error("must be scheme:value, such as ods:RXX, charity:1234567 or dwp:unit, without spaces")]
    OrganisationShape,
}

/// An NHS number: ten digits, the last a check digit (NHS Data Dictionary, "NHS NUMBER").
#[derive(Clone, PartialEq, Eq)]
pub struct NhsNumber(String);

/// A National Insurance number: optional, never proof of identity
/// (HMRC, NIM39110: prefixes that are not issued).
#[derive(Clone, PartialEq, Eq)]
pub struct Nino(String);

/// An organisation's identifier under a scheme: `ods:RXX`, `charity:1234567`,
/// `company:…`, `dwp:…`, `local-authority:…`. Codes vary in shape: they are
/// looked up by the operator, not matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationIdentifier(String);

impl NhsNumber {
    /// Ten digits without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people read it: 3-3-4.
    pub fn formatted(&self) -> String {
        format!("{} {} {}", &self.0[..3], &self.0[3..6], &self.0[6..])
    }
}

impl FromStr for NhsNumber {
    type Err = IdentifierError;

    /// Spaces and hyphens between the digits do not count.
    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let number = without_separators(text);
        let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
        if number.len() != 10 || digits.len() != 10 {
            return Err(IdentifierError::NhsNumberShape);
        }
        // A placeholder that passes the check would make one record of several people.
        if digits.iter().all(|digit| *digit == digits[0]) {
            return Err(IdentifierError::NhsNumberPlaceholder);
        }
        let sum: u32 = digits
            .iter()
            .zip((2..=10).rev())
            .map(|(digit, weight)| digit * weight)
            .sum();
        match 11 - sum % 11 {
            10 => Err(IdentifierError::NhsNumberCheckDigit),
            check if check % 11 == digits[9] => Ok(Self(number)),
            _ => Err(IdentifierError::NhsNumberCheckDigit),
        }
    }
}

impl Nino {
    /// Nine characters in capitals without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people read it: `QQ 12 34 56 C`.
    pub fn formatted(&self) -> String {
        let n = &self.0;
        format!(
            "{} {} {} {} {}",
            &n[..2],
            &n[2..4],
            &n[4..6],
            &n[6..8],
            &n[8..]
        )
    }
}

impl FromStr for Nino {
    type Err = IdentifierError;

    /// Spaces, hyphens and case do not count.
    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let number = without_separators(text).to_ascii_uppercase();
        let [first, second, digits @ .., suffix] = number.as_bytes() else {
            return Err(IdentifierError::NinoShape);
        };
        let shaped = first.is_ascii_uppercase()
            && second.is_ascii_uppercase()
            && digits.len() == 6
            && digits.iter().all(u8::is_ascii_digit)
            && (b'A'..=b'D').contains(suffix);
        if !shaped {
            return Err(IdentifierError::NinoShape);
        }
        let never = |letter: &u8| b"DFIQUV".contains(letter);
        let prefix = &number[..2];
        if never(first)
            || never(second)
            || *second == b'O'
            || ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&prefix)
        {
            return Err(IdentifierError::NinoPrefix);
        }
        Ok(Self(number))
    }
}

impl OrganisationIdentifier {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganisationIdentifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let (scheme, value) = text
            .split_once(':')
            .ok_or(IdentifierError::OrganisationShape)?;
        let scheme_fits = (2..=30).contains(&scheme.len())
            && scheme.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let value_fits = (1..=ORGANISATION_VALUE_LIMIT).contains(&value.len())
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        if scheme_fits && value_fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentifierError::OrganisationShape)
        }
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(..)")
    }
}

impl fmt::Debug for Nino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nino(..)")
    }
}

fn without_separators(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nhs(text: &str) -> Result<String, IdentifierError> {
        text.parse::<NhsNumber>()
            .map(|number| number.as_str().to_owned())
    }

    fn nino(text: &str) -> Result<String, IdentifierError> {
        text.parse::<Nino>()
            .map(|number| number.as_str().to_owned())
    }

    #[test]
    fn reads_nhs_numbers_however_they_are_spaced() {
        // 943 476 5919 is the Data Dictionary's worked example.
        for text in [
            "9434765919",
            "943 476 5919",
            "943-476-5919",
            " 943 476 5919 ",
        ] {
            assert_eq!(nhs(text), Ok("9434765919".to_owned()), "{text}");
        }
        // A sum that leaves nothing over wants the check digit 0.
        assert_eq!(nhs("9990000050"), Ok("9990000050".to_owned()));
        assert_eq!(
            "9434765919".parse::<NhsNumber>().map(|n| n.formatted()),
            Ok("943 476 5919".to_owned())
        );
    }

    #[test]
    fn exactly_one_check_digit_fits_each_nine_and_some_nine_have_none() {
        for nine in [
            "999000000",
            "999000001",
            "401023213",
            "943476591",
            "320000001",
            "600000000",
        ] {
            let weighed: u32 = nine
                .chars()
                .filter_map(|c| c.to_digit(10))
                .zip((2..=10).rev())
                .map(|(d, w)| d * w)
                .sum();
            let fitting: Vec<u32> = (0..10)
                .filter(|check| nhs(&format!("{nine}{check}")).is_ok())
                .collect();
            let expected: Vec<u32> = (0..10)
                .filter(|check| (weighed + check).is_multiple_of(11))
                .collect();
            assert_eq!(fitting, expected, "{nine}");
        }
    }

    #[test]
    fn refuses_what_is_no_nhs_number() {
        for text in [
            "",
            "943476591",
            "94347659190",
            "943476591X",
            "９434765919",
            "٩434765919",
        ] {
            assert_eq!(nhs(text), Err(IdentifierError::NhsNumberShape), "{text}");
        }
        for text in ["9434765918", "9434756919", "9343765919"] {
            assert_eq!(
                nhs(text),
                Err(IdentifierError::NhsNumberCheckDigit),
                "{text}"
            );
        }
        for text in ["0000000000", "9999999999", "111 111 1111"] {
            assert_eq!(
                nhs(text),
                Err(IdentifierError::NhsNumberPlaceholder),
                "{text}"
            );
        }
    }

    #[test]
    fn reads_ninos_however_they_are_spaced() {
        for text in ["AB123456C", "ab 12 34 56 c", "AB-12-34-56-C"] {
            assert_eq!(nino(text), Ok("AB123456C".to_owned()), "{text}");
        }
        assert_eq!(
            "AB123456C".parse::<Nino>().map(|n| n.formatted()),
            Ok("AB 12 34 56 C".to_owned())
        );
    }

    #[test]
    fn refuses_what_is_no_nino() {
        for text in [
            "",
            "A",
            "AB12345C",
            "AB1234567C",
            "A1123456C",
            "AB12345XC",
            "AB123456E",
            "AB123456",
            "ÄB123456C",
        ] {
            assert_eq!(nino(text), Err(IdentifierError::NinoShape), "{text}");
        }
        for prefix in [
            "QQ", "DA", "AD", "FA", "IA", "UA", "VA", "AO", "BG", "GB", "KN", "NK", "NT", "TN",
            "ZZ",
        ] {
            assert_eq!(
                nino(&format!("{prefix}123456C")),
                Err(IdentifierError::NinoPrefix),
                "{prefix}"
            );
        }
        // O is never second, but may be first.
        assert!(nino("OA123456C").is_ok());
    }

    #[test]
    fn neither_debug_nor_error_tells_the_number() {
        let number: NhsNumber = "9434765919".parse().expect("valid");
        let nino: Nino = "AB123456C".parse().expect("valid");
        assert_eq!(format!("{number:?} {nino:?}"), "NhsNumber(..) Nino(..)");
        let error = "9434765918"
            .parse::<NhsNumber>()
            .expect_err("wrong check digit");
        assert!(!error.to_string().contains("943"));
    }

    #[test]
    fn an_organisations_identifier_has_a_scheme() {
        let read = |text: &str| text.parse::<OrganisationIdentifier>();
        for text in [
            "ods:RXX",
            "charity:1234567",
            "company:SC123456",
            "dwp:assessments",
            "local-authority:E09000030",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
        for text in [
            "", "RXX", "ods:", ":RXX", "ODS:RXX", "ods:R XX", "ods:R/X", "ods:RÄX",
        ] {
            assert_eq!(
                read(text),
                Err(IdentifierError::OrganisationShape),
                "{text}"
            );
        }
    }
}

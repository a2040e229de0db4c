//! BYTEA, which stands for VARBYTE: pairs of hexadecimal digits, as Redshift's COPY reads them from text, CSV and
//! JSON ("Loading a column of the VARBYTE data type"). PostgreSQL's own `\x` in front is taken too.

use super::{Judged, Outcome, Refusal};
use crate::error::ErrorCode;

/// `text` has no blanks around it and is not empty.
pub(super) fn convert(text: &[u8], out: &mut Vec<u8>) -> Judged {
    let digits = text.strip_prefix(br"\x").unwrap_or(text);
    if let Some(at) = digits.iter().position(|byte| !byte.is_ascii_hexdigit()) {
        let found = digits.get(at).copied().unwrap_or_default();
        return Err(Refusal::new(
            ErrorCode::HEXADECIMAL,
            format!(
                "Invalid hex digit, Value '{}', Pos {}, Type: Varbyte",
                found.escape_ascii(),
                at + text.len() - digits.len()
            ),
        ));
    }
    if !digits.len().is_multiple_of(2) {
        return Err(Refusal::new(
            ErrorCode::HEXADECIMAL,
            "Odd number of hex digits, Type: Varbyte",
        ));
    }
    out.extend_from_slice(br"\\x");
    out.extend_from_slice(digits);
    Ok(Outcome::Written)
}

//! What options say together: no contradiction, and every default.

use super::{CopyOptions, Format, error::OptionsError, parse::Draft};

/// Which options cannot be together: the first with any of the others (SPEC §5.5).
const CONTRADICTIONS: [(&str, &[&str]); 6] = [
    ("CSV", &["FIXEDWIDTH", "REMOVEQUOTES", "ESCAPE"]),
    ("FIXEDWIDTH", &["DELIMITER", "ESCAPE", "REMOVEQUOTES"]),
    (
        "JSON",
        &[
            "CSV",
            "DELIMITER",
            "ESCAPE",
            "FILLRECORD",
            "FIXEDWIDTH",
            "IGNOREBLANKLINES",
            "NULL AS",
            "READRATIO",
            "REMOVEQUOTES",
        ],
    ),
    ("IGNOREALLERRORS", &["MAXERROR"]),
    ("GZIP", &["BZIP2", "ZSTD"]),
    ("BZIP2", &["ZSTD"]),
];

pub(super) fn settle(draft: Draft) -> Result<CopyOptions, OptionsError> {
    contradictions(&draft)?;
    let csv = draft.position("CSV").is_some();
    if let (Some(position), false) = (draft.position("QUOTE"), csv) {
        return Err(OptionsError::incorrect(
            "QUOTE can be used with CSV only",
            position,
        ));
    }
    let escape = draft.position("ESCAPE").is_some();
    let remove_quotes = draft.position("REMOVEQUOTES").is_some();
    // Where one of these is wrong it was given: the defaults are right.
    let position = draft.position("DELIMITER").unwrap_or_default();
    let quote_position = draft.position("QUOTE").unwrap_or_default();
    let format = match (draft.json, draft.fixed_width) {
        (Some(json), _) => Format::Json(json),
        (None, Some(columns)) => Format::FixedWidth(columns),
        (None, None) if csv => {
            let (delimiter, quote) = (draft.delimiter.unwrap_or(b','), draft.quote.unwrap_or(b'"'));
            not_a_line_end("DELIMITER", delimiter, position)?;
            not_a_line_end("QUOTE", quote, quote_position)?;
            if delimiter == quote {
                return Err(OptionsError::incorrect(
                    "DELIMITER and QUOTE must be different characters",
                    position.max(quote_position),
                ));
            }
            Format::Csv { delimiter, quote }
        }
        (None, None) => {
            let delimiter = draft.delimiter.unwrap_or(b'|');
            not_a_line_end("DELIMITER", delimiter, position)?;
            if escape && delimiter == b'\\' {
                return Err(OptionsError::incorrect(
                    "DELIMITER cannot be a backslash with ESCAPE",
                    position,
                ));
            }
            if remove_quotes && matches!(delimiter, b'"' | b'\'') {
                return Err(OptionsError::incorrect(
                    "DELIMITER cannot be a quote with REMOVEQUOTES",
                    position,
                ));
            }
            Format::Delimited {
                delimiter,
                escape,
                remove_quotes,
            }
        }
    };
    Ok(CopyOptions {
        format,
        ..draft.options
    })
}

/// Refuses the first pair that cannot be together, at the later of the two.
fn contradictions(draft: &Draft) -> Result<(), OptionsError> {
    for (one, others) in CONTRADICTIONS {
        let Some(first) = draft.position(one) else {
            continue;
        };
        for other in others {
            if let Some(second) = draft.position(other) {
                return Err(OptionsError::incorrect(
                    format!("{one} cannot be used with {other}"),
                    first.max(second),
                ));
            }
        }
    }
    Ok(())
}

fn not_a_line_end(name: &str, character: u8, position: usize) -> Result<(), OptionsError> {
    if matches!(character, b'\n' | b'\r') {
        let message = format!("{name} cannot be a line's end, which ends the row");
        return Err(OptionsError::incorrect(message, position));
    }
    Ok(())
}

//! What may stand in an option's string.

use super::{
    JsonFormat, MAX_COLUMNS,
    error::{OptionsError, excerpt},
    lex::{Token, twice_escaped},
};
use crate::{MAX_ROW_BYTES, datetime::check_format, manifest::S3Url};

/// The longest `TIMEFORMAT` and `DATEFORMAT`, in bytes.
const MAX_TIME_FORMAT_BYTES: usize = 128;
/// The longest `NULL AS`, in bytes; no field is longer than a VARCHAR can be.
const MAX_NULL_BYTES: usize = 65_535;

/// A string and where it stands.
pub(super) struct Text<'t, 'a> {
    pub(super) token: &'t Token<'a>,
    /// With quotes and backslashes resolved.
    pub(super) value: &'t [u8],
}

impl<'t> Text<'t, '_> {
    fn incorrect(&self, message: impl Into<String>) -> OptionsError {
        OptionsError::incorrect(message, self.token.position)
    }

    /// Octal escapes can make bytes that are no text.
    fn utf8(&self) -> Result<&'t str, OptionsError> {
        std::str::from_utf8(self.value)
            .map_err(|_| self.incorrect(format!("{} is not UTF-8", excerpt(self.token.raw))))
    }
}

/// One ASCII character other than NUL.
pub(super) fn one_character(name: &str, text: &Text<'_, '_>) -> Result<u8, OptionsError> {
    let byte = match text.value {
        [byte] => Some(*byte),
        value => twice_escaped(value),
    };
    byte.filter(|byte| byte.is_ascii() && *byte != 0)
        .ok_or_else(|| {
            text.incorrect(format!(
                "{name} must be one ASCII character other than NUL, not {}",
                excerpt(text.token.raw)
            ))
        })
}

pub(super) fn json_format(text: &Text<'_, '_>) -> Result<JsonFormat, OptionsError> {
    Ok(match text.utf8()? {
        "auto" => JsonFormat::Auto,
        "auto ignorecase" => JsonFormat::AutoIgnoreCase,
        "noshred" => JsonFormat::NoShred,
        url if url.starts_with("s3://") => match S3Url::parse(url) {
            Ok(_) => JsonFormat::Paths(url.to_string()),
            Err(error) => return Err(text.incorrect(format!("JSON: {error}"))),
        },
        other => {
            return Err(text.incorrect(format!(
                "JSON takes 'auto', 'auto ignorecase', 'noshred' or the s3:// URL of a JSONPaths file, not '{}'",
                excerpt(other)
            )));
        }
    })
}

/// `NULL AS`: any bytes but a line's end, which would be the row's.
pub(super) fn null_string(text: &Text<'_, '_>) -> Result<Vec<u8>, OptionsError> {
    if text.value.len() > MAX_NULL_BYTES {
        return Err(text.incorrect(format!("NULL AS is longer than {MAX_NULL_BYTES} bytes")));
    }
    if text.value.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(text.incorrect("NULL AS cannot hold a line's end, which ends the row"));
    }
    Ok(text.value.to_vec())
}

/// `TIMEFORMAT` and `DATEFORMAT`, as they are written; the conversion says whether it is one.
pub(super) fn time_format<'t>(name: &str, text: &Text<'t, '_>) -> Result<&'t str, OptionsError> {
    let format = text.utf8()?;
    if format.is_empty() || format.len() > MAX_TIME_FORMAT_BYTES {
        return Err(text.incorrect(format!(
            "{name} must have 1 to {MAX_TIME_FORMAT_BYTES} bytes"
        )));
    }
    if format.chars().any(char::is_control) {
        return Err(text.incorrect(format!("{name} cannot hold control characters")));
    }
    let words: &[&str] = match name {
        "DATEFORMAT" => &["auto"],
        _ => &["auto", "epochsecs", "epochmillisecs"],
    };
    for word in words {
        if format == *word {
            return Ok(format);
        }
        if format.eq_ignore_ascii_case(word) {
            return Err(text.incorrect(format!("{name}: '{word}' is written in small letters")));
        }
    }
    check_format(format).map_err(|detail| text.incorrect(format!("{name}: {detail}")))?;
    Ok(format)
}

/// `REGION`, which changes nothing here.
pub(super) fn region(text: &Text<'_, '_>) -> Result<(), OptionsError> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if (1..=64).contains(&text.value.len()) && text.value.iter().all(fits) {
        return Ok(());
    }
    Err(text.incorrect(format!("{} is not a region", excerpt(text.token.raw))))
}

/// `label:width,…`.
pub(super) fn fixed_width(text: &Text<'_, '_>) -> Result<Vec<(String, u32)>, OptionsError> {
    let spec = text.utf8()?;
    let mut columns = Vec::new();
    let mut total = 0;
    for column in spec.split(',') {
        let parsed = column.split_once(':').and_then(|(label, width)| {
            let (label, width) = (label.trim(), width.trim());
            let digits = !width.is_empty() && width.bytes().all(|b| b.is_ascii_digit());
            // A width that is too large for a number is refused below, like any other too large.
            let width = digits.then(|| width.parse::<u32>().unwrap_or(u32::MAX))?;
            (!label.is_empty() && width > 0).then(|| (label.to_string(), width))
        });
        let Some((label, width)) = parsed else {
            return Err(text.incorrect(format!(
                "FIXEDWIDTH must be 'label:width,…' with widths from 1 on, which \"{}\" is not",
                excerpt(column.trim())
            )));
        };
        total += width as usize;
        if columns.len() == MAX_COLUMNS {
            return Err(text.incorrect(format!("FIXEDWIDTH has more than {MAX_COLUMNS} columns")));
        }
        if total > MAX_ROW_BYTES {
            return Err(text.incorrect(format!(
                "FIXEDWIDTH: columns are wider than the longest row, {MAX_ROW_BYTES} bytes"
            )));
        }
        columns.push((label, width));
    }
    Ok(columns)
}

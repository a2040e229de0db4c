//! The text format of PostgreSQL's COPY: a row is a line, fields lie between tabs, `\N` is NULL.
//!
//! Four bytes mean something in it — backslash, tab, line feed, carriage return — and only those are escaped;
//! PostgreSQL takes every other byte as it is, other control characters too. NUL cannot be written at all: whoever
//! appends text has refused it before.

/// NULL, as a field.
pub const NULL: &[u8] = br"\N";

/// What [`survey`] saw in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Every byte is below 0x80.
    pub(crate) ascii: bool,
    /// There is no control character and no backslash, so nothing to escape and no NUL.
    pub(crate) plain: bool,
}

/// Looks at every byte once, at some twice: those at the end together with ones before them, since a loop over single
/// bytes would cost short texts, which most are, more than all the rest.
#[inline]
pub(crate) fn survey(text: &[u8]) -> Survey {
    let none = Survey {
        ascii: true,
        plain: true,
    };
    if let Some(last) = text.last_chunk::<16>() {
        let (strides, _) = text.as_chunks::<16>();
        let seen = strides
            .iter()
            .fold(none, |seen, stride| seen.and(look(stride)));
        return seen.and(look(last));
    }
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => look(first).and(look(last)),
        _ => text
            .iter()
            .fold(none, |seen, byte| seen.and(look(&[*byte]))),
    }
}

/// Without a branch, which the compiler turns into vector instructions.
#[inline]
fn look<const LENGTH: usize>(bytes: &[u8; LENGTH]) -> Survey {
    let mut high = 0;
    let mut special = false;
    for &byte in bytes {
        high |= byte;
        special |= byte < b' ' || byte == b'\\';
    }
    Survey {
        ascii: high < 0x80,
        plain: !special,
    }
}

impl Survey {
    #[inline]
    fn and(self, other: Survey) -> Survey {
        Survey {
            ascii: self.ascii & other.ascii,
            plain: self.plain & other.plain,
        }
    }
}

/// Appends a field's text, escaped; it must hold no NUL.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    if survey(text).plain {
        out.extend_from_slice(text);
    } else {
        escape_each(text, out);
    }
}

/// [`escape`] for a text that is known to need it, in runs between what is escaped.
pub(crate) fn escape_each(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let end = rest.iter().position(|&byte| letter(byte).is_some());
        let (run, tail) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend_from_slice(run);
        let Some((&byte, after)) = tail.split_first() else {
            return;
        };
        if let Some(letter) = letter(byte) {
            out.extend_from_slice(&[b'\\', letter]);
        }
        rest = after;
    }
}

/// What stands behind the backslash for a byte that has to be escaped.
fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// COPY text's own rules, read backwards (PostgreSQL's documentation of COPY, "Text Format").
    fn unescape(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = text.iter();
        while let Some(&byte) = bytes.next() {
            assert!(!matches!(byte, b'\t' | b'\n' | b'\r'), "a bare {byte:?}");
            out.push(match byte {
                b'\\' => match bytes.next() {
                    Some(b't') => b'\t',
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b'\\') => b'\\',
                    other => panic!("an escape of {other:?}"),
                },
                byte => byte,
            });
        }
        out
    }

    #[test]
    fn what_means_something_is_escaped_and_nothing_else() {
        let mut out = Vec::new();
        escape(b"a\tb\\N\r\n\x08\x0b\x0c\x7f\x01\"'|,", &mut out);
        assert_eq!(out, b"a\\tb\\\\N\\r\\n\x08\x0b\x0c\x7f\x01\"'|,");
    }

    proptest! {
        #[test]
        fn text_comes_back(text: Vec<u8>) {
            let mut out = b"before".to_vec();
            escape(&text, &mut out);
            prop_assert_eq!(unescape(&out[6..]), text);
        }

        #[test]
        fn a_survey_is_what_it_says(text: Vec<u8>) {
            let seen = survey(&text);
            prop_assert_eq!(seen.ascii, text.is_ascii());
            prop_assert_eq!(seen.plain, !text.iter().any(|&b| b < 0x20 || b == b'\\'));
        }
    }
}

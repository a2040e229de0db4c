//! From a file's bytes to records, byte for byte: whatever separates records stays at the end of
//! the record before it, so that the records glued together are the file.

use std::io::{self, BufRead, Read};

use bytes::Bytes;

use crate::client::limits::RECORD_BYTES;

/// What is a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Everything up to and including this; not empty.
    Delimited(Vec<u8>),
    /// The whole file.
    Whole,
}

/// Why the next record could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SplitError {
    #[error(
        "{unit} {number} (from byte {offset}) is longer than a record may be ({RECORD_BYTES} bytes); \
         another --delimiter may cut it"
    )]
    TooLong {
        unit: &'static str,
        number: u64,
        offset: u64,
    },
    #[error(
        "the file is larger than a record may be ({RECORD_BYTES} bytes); without --whole it is sent line by line"
    )]
    FileTooLong,
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// The records of one file, in order. Holds one record at a time.
pub(crate) struct Records<R> {
    input: R,
    framing: Framing,
    offset: u64,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R, framing: Framing) -> Self {
        Records {
            input,
            framing,
            offset: 0,
            number: 0,
            ended: false,
        }
    }

    fn whole(&mut self) -> Result<Option<Vec<u8>>, SplitError> {
        let mut record = Vec::new();
        let limit = RECORD_BYTES as u64 + 1;
        self.input.by_ref().take(limit).read_to_end(&mut record)?;
        self.ended = true;
        if record.len() > RECORD_BYTES {
            return Err(SplitError::FileTooLong);
        }
        // An empty file is an empty record, which the API allows (SPEC §2.7).
        Ok(Some(record))
    }

    fn delimited(&mut self, delimiter: &[u8]) -> Result<Option<Vec<u8>>, SplitError> {
        let mut record = Vec::new();
        let &last = delimiter
            .last()
            .ok_or(io::ErrorKind::InvalidInput)
            .map_err(io::Error::from)?;
        loop {
            // One byte more than allowed is enough to know that it is too long.
            let room = (RECORD_BYTES + 1 - record.len()) as u64;
            let read = self
                .input
                .by_ref()
                .take(room)
                .read_until(last, &mut record)?;
            if record.len() > RECORD_BYTES {
                self.ended = true;
                return Err(SplitError::TooLong {
                    unit: if delimiter == b"\n" { "line" } else { "record" },
                    number: self.number + 1,
                    offset: self.offset,
                });
            }
            if read == 0 {
                self.ended = true;
                return Ok((!record.is_empty()).then_some(record));
            }
            if record.ends_with(delimiter) {
                return Ok(Some(record));
            }
        }
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Bytes, SplitError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = match self.framing.clone() {
            Framing::Whole => self.whole(),
            Framing::Delimited(delimiter) => self.delimited(&delimiter),
        };
        if let Ok(Some(record)) = &record {
            self.number += 1;
            self.offset += record.len() as u64;
        }
        record.map(|record| record.map(Bytes::from)).transpose()
    }
}

/// The bytes that a `--delimiter` names: `\n`, `\r`, `\t`, `\0`, `\\` and `\xHH` are escapes.
pub(crate) fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        bytes.push(match characters.next() {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 2)
                    .ok_or_else(|| format!("\\x{digits} is not \\x and two hex digits"))?
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(format!(
                    "unknown escape \\{other}; known are \\n \\r \\t \\0 \\\\ \\xHH"
                ));
            }
        });
    }
    if bytes.is_empty() {
        return Err(
            "a delimiter has at least one byte; for a file as one record use --whole".into(),
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(input: &[u8], framing: Framing) -> Vec<Bytes> {
        Records::new(input, framing).map(Result::unwrap).collect()
    }

    fn lines() -> Framing {
        Framing::Delimited(b"\n".to_vec())
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(split(b"a\n\nb", lines()), [&b"a\n"[..], b"\n", b"b"]);
        assert_eq!(split(b"a\r\n", lines()), [&b"a\r\n"[..]]);
        assert!(split(b"", lines()).is_empty());
    }

    #[test]
    fn delimiters_of_several_bytes() {
        let framing = Framing::Delimited(b"--;".to_vec());
        assert_eq!(split(b"a;--;b-;--;", framing), [&b"a;--;"[..], b"b-;--;"]);
    }

    #[test]
    fn a_whole_file_is_one_record_also_when_empty() {
        assert_eq!(split(b"a\nb", Framing::Whole), [&b"a\nb"[..]]);
        assert_eq!(split(b"", Framing::Whole), [&b""[..]]);
    }

    #[test]
    fn the_longest_record_and_one_byte_more() {
        let mut input = b"first\n".to_vec();
        input.extend(vec![b'x'; RECORD_BYTES - 1]);
        input.push(b'\n');
        assert_eq!(split(&input, lines())[1].len(), RECORD_BYTES);
        input.insert(6, b'x');
        let mut records = Records::new(&input[..], lines());
        assert!(records.next().unwrap().is_ok());
        let error = records.next().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("line 2 (from byte 6)"), "{error}");
        assert!(records.next().is_none());

        let input = vec![0; RECORD_BYTES + 1];
        assert_eq!(split(&input[1..], Framing::Whole).len(), 1);
        let error = Records::new(&input[..], Framing::Whole).next().unwrap();
        assert!(matches!(error, Err(SplitError::FileTooLong)));
    }

    #[test]
    fn escapes() {
        assert_eq!(delimiter(r"\r\n"), Ok(b"\r\n".to_vec()));
        assert_eq!(delimiter(r"\x1e\0\\é"), Ok(b"\x1e\0\\\xc3\xa9".to_vec()));
        for wrong in ["", r"\", r"\q", r"\x", r"\x1", r"\xzz"] {
            assert!(delimiter(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn glued_together_the_records_are_the_file(
            input in proptest::collection::vec(0u8..4, 0..200),
            delimiter in proptest::collection::vec(0u8..4, 1..3),
        ) {
            let records = split(&input, Framing::Delimited(delimiter.clone()));
            prop_assert_eq!(records.concat(), input);
            for record in records.iter().rev().skip(1) {
                prop_assert!(record.ends_with(&delimiter));
            }
        }
    }
}

//! Reading one object.

use super::{
    super::row::{Fault, Piece, Value},
    shape::{ROOT, Shape},
    unescape::unescape,
};
use crate::ErrorCode;

/// Reads objects, and keeps what the last one gave.
#[derive(Default)]
pub(super) struct Scanner {
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
    /// Columns whose path does not fit, and why. The last word about a column counts.
    misfits: Vec<(usize, &'static str)>,
    /// Which brackets are open, within a value that nobody looks into.
    open: Vec<u8>,
    key: Vec<u8>,
}

/// Why there is no row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing is wrong so far, but there is more to come.
    More,
    /// This is wrong, and where.
    Bad { at: usize, what: &'static str },
}

const NO_ARRAY: &str = "Invalid JSONPath format: Not an array or index out of range.";
const NO_OBJECT: &str = "Invalid JSONPath format: Member is not an object.";
const ARRAY_ROW: &str = "Invalid JSON: an array is a row only with a jsonpaths file";
const ENDS: &str = "Invalid JSON: the file ends within an object";

/// How deep brackets may lie in one another.
const MAX_DEPTH: usize = 1024;

impl Scanner {
    /// Reads the row at the beginning of `seen`, and returns where it ends.
    pub(super) fn row(
        &mut self,
        shape: &mut Shape,
        seen: &[u8],
        last: bool,
    ) -> Result<usize, Stop> {
        self.pieces.clear();
        self.pieces.resize(
            shape.columns(),
            Piece {
                start: 0,
                end: 0,
                value: Value::Null,
            },
        );
        self.scratch.clear();
        self.misfits.clear();
        let mut cursor = Cursor { bytes: seen, at: 0 };
        match self.value(&mut cursor, shape, ROOT) {
            Ok(()) => Ok(cursor.at),
            Err(Stop::More) if last => Err(Stop::Bad {
                at: seen.len(),
                what: ENDS,
            }),
            Err(stop) => Err(stop),
        }
    }

    /// What is wrong with the row although it is JSON.
    pub(super) fn fault(&self, shape: &Shape, raw: &[u8]) -> Option<Fault> {
        if raw.first() == Some(&b'[') && !shape.arrays() {
            return Some(Fault::of_row(ErrorCode::LINE, ARRAY_ROW));
        }
        let (column, reason) = *self.misfits.first()?;
        Some(Fault {
            code: ErrorCode::LINE,
            reason,
            column: Some(column),
            span: None,
        })
    }

    /// What columns the row has.
    pub(super) fn found(&self) -> (&[Piece], &[u8]) {
        (&self.pieces, &self.scratch)
    }

    /// A value that columns take, or take something out of.
    fn value(&mut self, cursor: &mut Cursor, shape: &mut Shape, id: usize) -> Result<(), Stop> {
        let node = shape.node(id);
        let (keys, indices) = (!node.keys.is_empty(), !node.indices.is_empty());
        if !keys && !indices {
            let start = cursor.at;
            let value = self.leaf(cursor)?;
            self.take(shape, id, Piece::new(start, cursor.at, value));
            return Ok(());
        }
        if id != ROOT {
            self.forget(shape, id);
        }
        let start = cursor.at;
        let first = cursor.peek()?;
        match first {
            b'{' if keys => self.object(cursor, shape, id)?,
            b'[' if indices => self.array(cursor, shape, id)?,
            _ => cursor.skip(&mut self.open)?,
        }
        let null = first == b'n';
        let node = shape.node(id);
        if !null && keys && first != b'{' {
            for (_, child) in &node.keys {
                self.misfit(shape, *child, NO_OBJECT);
            }
        }
        if !null && indices && first != b'[' {
            for (_, child) in &node.indices {
                self.misfit(shape, *child, NO_ARRAY);
            }
        }
        let value = match first {
            b'n' => Value::Null,
            b'"' => self.text(cursor.bytes, start, cursor.at),
            _ => Value::Raw,
        };
        self.take(shape, id, Piece::new(start, cursor.at, value));
        Ok(())
    }

    /// A value that nothing is taken out of.
    #[inline]
    fn leaf(&mut self, cursor: &mut Cursor) -> Result<Value, Stop> {
        let start = cursor.at;
        match cursor.peek()? {
            b'"' => {
                let escapes = cursor.string()?;
                if escapes {
                    return Ok(self.text(cursor.bytes, start, cursor.at));
                }
                Ok(Value::Inner(start as u32 + 1, cursor.at as u32 - 1))
            }
            b'n' => cursor.literal(b"null").map(|()| Value::Null),
            _ => cursor.skip(&mut self.open).map(|()| Value::Raw),
        }
    }

    /// The characters of the string from `start` to `end`.
    fn text(&mut self, bytes: &[u8], start: usize, end: usize) -> Value {
        let from = self.scratch.len();
        unescape(
            bytes.get(start + 1..end - 1).unwrap_or_default(),
            &mut self.scratch,
        );
        Value::Scratch(from as u32, self.scratch.len() as u32)
    }

    fn object(&mut self, cursor: &mut Cursor, shape: &mut Shape, id: usize) -> Result<(), Stop> {
        cursor.at += 1;
        if cursor.token()? == b'}' {
            cursor.at += 1;
            return Ok(());
        }
        let mut nth = 0;
        loop {
            let (start, end, escapes) = cursor.key()?;
            let raw = cursor.bytes.get(start..end).unwrap_or_default();
            let child = match shape.recall(id, nth, raw) {
                Some(child) => child,
                None if escapes => {
                    self.key.clear();
                    unescape(raw, &mut self.key);
                    shape.find(id, nth, raw, &self.key)
                }
                None => shape.find(id, nth, raw, raw),
            };
            nth += 1;
            match child {
                Some(child) => self.value(cursor, shape, child)?,
                None => cursor.skip(&mut self.open)?,
            }
            match cursor.token()? {
                b',' => {
                    cursor.at += 1;
                    cursor.token()?;
                }
                b'}' => {
                    cursor.at += 1;
                    return Ok(());
                }
                _ => return cursor.bad("Invalid JSON: neither , nor } after a member"),
            }
        }
    }

    fn array(&mut self, cursor: &mut Cursor, shape: &mut Shape, id: usize) -> Result<(), Stop> {
        cursor.at += 1;
        let mut nth = 0;
        if cursor.token()? == b']' {
            cursor.at += 1;
        } else {
            loop {
                let mut children = shape.node(id).indices.iter();
                match children
                    .find(|(index, _)| *index == nth)
                    .map(|(_, child)| *child)
                {
                    Some(child) => self.value(cursor, shape, child)?,
                    None => cursor.skip(&mut self.open)?,
                }
                nth += 1;
                match cursor.token()? {
                    b',' => {
                        cursor.at += 1;
                        cursor.token()?;
                    }
                    b']' => {
                        cursor.at += 1;
                        break;
                    }
                    _ => return cursor.bad("Invalid JSON: neither , nor ] after an element"),
                }
            }
        }
        for (_, child) in shape
            .node(id)
            .indices
            .iter()
            .filter(|(index, _)| *index >= nth)
        {
            self.misfit(shape, *child, NO_ARRAY);
        }
        Ok(())
    }

    fn take(&mut self, shape: &Shape, id: usize, piece: Piece) {
        for column in &shape.node(id).columns {
            if let Some(slot) = self.pieces.get_mut(*column) {
                *slot = piece;
            }
        }
    }

    /// A key that comes twice: nothing of the first value stays.
    fn forget(&mut self, shape: &Shape, id: usize) {
        for column in &shape.node(id).below {
            if let Some(slot) = self.pieces.get_mut(*column) {
                slot.value = Value::Null;
            }
            self.misfits.retain(|(misfit, _)| misfit != column);
        }
    }

    fn misfit(&mut self, shape: &Shape, id: usize, why: &'static str) {
        self.misfits
            .extend(shape.node(id).below.iter().map(|column| (*column, why)));
    }
}

/// A place in an object.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::More)
    }

    /// The next byte that is not white space.
    #[inline]
    fn token(&mut self) -> Result<u8, Stop> {
        loop {
            match self.peek()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Ok(byte),
            }
        }
    }

    #[inline]
    fn bad<T>(&self, what: &'static str) -> Result<T, Stop> {
        Err(Stop::Bad { at: self.at, what })
    }

    /// A key and its colon: where it is without quotes, and whether it has escapes. Stands at the value then.
    #[inline]
    fn key(&mut self) -> Result<(usize, usize, bool), Stop> {
        if self.peek()? != b'"' {
            return self.bad("Invalid JSON: a key is not a string");
        }
        let start = self.at + 1;
        let escapes = self.string()?;
        let end = self.at - 1;
        if self.token()? != b':' {
            return self.bad("Invalid JSON: no : after a key");
        }
        self.at += 1;
        self.token()?;
        Ok((start, end, escapes))
    }

    /// Goes behind the string that begins here, and tells whether it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Stop> {
        self.at += 1;
        let mut escapes = false;
        loop {
            self.at += plain_length(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(escapes);
                }
                b'\\' => {
                    escapes = true;
                    self.escape()?;
                }
                _ => return self.bad("Invalid JSON: a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        self.at += 1;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek()?.is_ascii_hexdigit() {
                        return self.bad("Invalid JSON: no four hexadecimal digits after \\u");
                    }
                    self.at += 1;
                }
            }
            _ => return self.bad("Invalid JSON: an unknown escape in a string"),
        }
        Ok(())
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Stop> {
        for byte in literal {
            if self.peek()? != *byte {
                return self.bad("Invalid JSON: neither a string, a number, true, false nor null");
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek()? == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if let b'e' | b'E' = self.peek()? {
            self.at += 1;
            if let b'+' | b'-' = self.peek()? {
                self.at += 1;
            }
            self.digits()?;
        }
        // A digit here would be one behind a leading zero; what else does not belong here, others see.
        if self.peek()?.is_ascii_digit() {
            return self.bad("Invalid JSON: a number begins with 0");
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        if !self.peek()?.is_ascii_digit() {
            return self.bad("Invalid JSON: not a number");
        }
        while self.peek()?.is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    #[inline]
    fn scalar(&mut self) -> Result<(), Stop> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.bad("Invalid JSON: neither a string, a number, true, false nor null"),
        }
    }

    /// Goes behind the value that begins here, as strictly as if it were of interest.
    #[inline]
    fn skip(&mut self, open: &mut Vec<u8>) -> Result<(), Stop> {
        match self.peek()? {
            b'{' | b'[' => self.skip_nested(open),
            _ => self.scalar(),
        }
    }

    fn skip_nested(&mut self, open: &mut Vec<u8>) -> Result<(), Stop> {
        open.clear();
        loop {
            // At a value, or at the bracket that closes what was opened just now.
            match self.peek()? {
                bracket @ (b'{' | b'[') => {
                    if open.len() == MAX_DEPTH {
                        return self
                            .bad("Invalid JSON: more than 1024 brackets within one another");
                    }
                    open.push(bracket);
                    self.at += 1;
                    let close = if bracket == b'{' { b'}' } else { b']' };
                    if self.token()? != close {
                        if bracket == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    self.at += 1;
                    open.pop();
                }
                _ => self.scalar()?,
            }
            // Behind a value.
            loop {
                let Some(bracket) = open.last() else {
                    return Ok(());
                };
                match (self.token()?, bracket) {
                    (b',', b'{') => {
                        self.at += 1;
                        self.token()?;
                        self.key()?;
                        break;
                    }
                    (b',', _) => {
                        self.at += 1;
                        self.token()?;
                        break;
                    }
                    (b'}', b'{') | (b']', b'[') => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return self.bad("Invalid JSON: neither , nor a closing bracket"),
                }
            }
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many bytes at the beginning of `text` are neither `"` nor `\` nor control characters: eight at a time.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    let (words, remainder) = text.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The lowest high bit that is set is of the first byte that is less than the other, or equal to it.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * b'"' as u64);
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * b'\\' as u64);
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let found = (control | quote | backslash) & HIGH;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let is_plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..0x20);
    length + remainder.iter().take_while(is_plain).count()
}

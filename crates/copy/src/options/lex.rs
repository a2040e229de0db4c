//! Options, cut into words, numbers and strings.
//!
//! ```text
//! white space   blank, tab, LF, CR, FF, VT
//! word          [A-Za-z_][A-Za-z0-9_]*
//! number        [0-9][A-Za-z0-9_.]*       (digits alone are a number; the rest is refused by who wanted one)
//! string        ' … '                     ('' is a quote)
//! ;             the end
//! ```
//!
//! A backslash in a string means what it does in Redshift, whose strings are those of PostgreSQL 8.0: `\b \f \n \r
//! \t`, `\\`, `\'`, and one to three octal digits for a byte. Before anything else it stands for itself, so that
//! `'\N'`, which every example of `NULL AS` has, and `'\\N'`, which the escaping makes of it, both mean `\N`.

use super::error::OptionsError;

/// One piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    /// As it stands in the text.
    pub(super) raw: &'a str,
    /// Where, in bytes from 0.
    pub(super) position: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword, in capitals.
    Word(String),
    Number,
    Text {
        /// With quotes and backslashes resolved.
        value: Vec<u8>,
        /// Whether it has a `\'`, which means one thing where backslashes escape and another where they do not.
        escaped_quote: bool,
    },
    Semicolon,
}

/// All pieces of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, OptionsError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut all = Vec::new();
    while let Some(token) = lexer.next()? {
        all.push(token);
    }
    Ok(all)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Option<Token<'a>>, OptionsError> {
        let blank = self.rest().bytes().take_while(|b| is_space(*b)).count();
        self.at += blank;
        let (rest, position) = (self.rest(), self.at);
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        if rest.starts_with("--") || rest.starts_with("/*") {
            return Err(OptionsError::syntax(
                "a comment cannot stand among COPY options",
                position,
            ));
        }
        let (kind, length) = match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let word = leading(rest, |b| b.is_ascii_alphanumeric() || b == b'_');
                (TokenKind::Word(word.to_ascii_uppercase()), word.len())
            }
            '0'..='9' => {
                let number = leading(rest, |b| {
                    b.is_ascii_alphanumeric() || b == b'_' || b == b'.'
                });
                (TokenKind::Number, number.len())
            }
            '\'' => string(rest, position)?,
            ';' => (TokenKind::Semicolon, 1),
            other => return Err(OptionsError::unexpected(&other.to_string(), position)),
        };
        self.at += length;
        let raw = rest.get(..length).unwrap_or_default();
        Ok(Some(Token {
            kind,
            raw,
            position,
        }))
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The longest beginning of `text` of such bytes, all of which must be ASCII.
fn leading(text: &str, belongs: impl Fn(u8) -> bool) -> &str {
    let length = text.bytes().take_while(|b| belongs(*b)).count();
    text.get(..length).unwrap_or_default()
}

/// The string that `text` begins with, and its length there.
fn string(text: &str, position: usize) -> Result<(TokenKind, usize), OptionsError> {
    let (mut value, mut escaped_quote) = (Vec::new(), false);
    let mut bytes = text.bytes().enumerate().skip(1).peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            0 => {
                return Err(OptionsError::syntax(
                    r"a string cannot hold the character NUL; write it '\000'",
                    position + at,
                ));
            }
            b'\'' => match bytes.next_if(|(_, next)| *next == b'\'') {
                Some(_) => value.push(b'\''),
                None => {
                    let kind = TokenKind::Text {
                        value,
                        escaped_quote,
                    };
                    return Ok((kind, at + 1));
                }
            },
            b'\\' => {
                // A string that ends in its escape is found unterminated by the loop.
                let Some((_, escaped)) = bytes.next() else {
                    break;
                };
                escaped_quote |= escaped == b'\'';
                match escaped {
                    b'0'..=b'7' => {
                        let mut code = u32::from(escaped - b'0');
                        for _ in 0..2 {
                            match bytes.next_if(|(_, next)| matches!(next, b'0'..=b'7')) {
                                Some((_, digit)) => code = code * 8 + u32::from(digit - b'0'),
                                None => break,
                            }
                        }
                        value.push(u8::try_from(code).map_err(|_| {
                            OptionsError::syntax(
                                format!(r"\{code:o} is not a byte; the largest is \377"),
                                position + at,
                            )
                        })?);
                    }
                    other => match simple_escape(other) {
                        Some(meant) => value.push(meant),
                        None => value.extend([b'\\', other]),
                    },
                }
            }
            other => value.push(other),
        }
    }
    Err(OptionsError::syntax(
        format!(
            "unterminated quoted string at or near \"{}\"",
            super::error::excerpt(text)
        ),
        position,
    ))
}

/// What a backslash before `byte` makes of it; `None` where it makes nothing of it.
fn simple_escape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'\\' | b'\'' => byte,
        _ => return None,
    })
}

/// The one byte that `value`, an escape that was itself escaped (`'\\t'`, `'\\001'`) or one of a character that needs
/// none (`'\|'`), was meant to be.
///
/// Scripts escape once too often, and Redshift's own documentation has `DELIMITER '\\t'`. Where one character is
/// wanted nothing else can be meant.
pub(super) fn twice_escaped(value: &[u8]) -> Option<u8> {
    match value {
        [b'\\', digits @ ..] if matches!(digits.len(), 1..=3) => {
            let octal = digits.iter().try_fold(0u32, |code, digit| {
                matches!(digit, b'0'..=b'7').then(|| code * 8 + u32::from(digit - b'0'))
            });
            match (octal, digits) {
                (Some(code), _) => u8::try_from(code).ok(),
                (None, [one]) => Some(simple_escape(*one).unwrap_or(*one)),
                (None, _) => None,
            }
        }
        _ => None,
    }
}

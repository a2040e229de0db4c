//! Text of strangers on a terminal or in a log. Pure.
//!
//! What a store, a database or a client sends may end up in an error or a status. A control character in it could forge a
//! log line, or take over the terminal that shows it.

use std::borrow::Cow;

/// `text` with every control character written out as in a Rust string, but for those in `kept`. So are the characters
/// that end a line or turn its direction.
pub(crate) fn printable<'t>(text: &'t str, kept: &[char]) -> Cow<'t, str> {
    let odd = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let ends = matches!(c, '\u{2028}' | '\u{2029}');
        (c.is_control() || turns || ends) && !kept.contains(&c)
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match odd(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(
            printable("a\n\u{1b}[2J\u{9b}1m\u{7f}\0\r", &[]),
            r"a\n\u{1b}[2J\u{9b}1m\u{7f}\u{0}\r"
        );
        assert_eq!(printable("a\tb\nc\r", &['\n', '\t']), "a\tb\nc\\r");
        assert_eq!(
            printable("a\u{202e}b\u{2028}c", &[]),
            r"a\u{202e}b\u{2028}c"
        );
        let plain = "Grüße: 日本 …\\n\"";
        assert!(matches!(printable(plain, &[]), Cow::Borrowed(same) if same == plain));
    }
}

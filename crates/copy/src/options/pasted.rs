//! Options that are pasted into a statement which somebody else will judge.

use super::{
    MAX_OPTIONS_BYTES,
    error::{OptionsError, excerpt},
    lex::{Token, TokenKind, tokens},
};

/// What the service itself writes into the statement, or what cannot be beside that (SPEC §5.3).
///
/// None of these words means anything else among COPY's options.
const RESERVED: [&str; 12] = [
    "ACCESS_KEY_ID",
    "CREDENTIALS",
    "ENCRYPTED",
    "FROM",
    "IAM_ROLE",
    "MANIFEST",
    "MASTER_SYMMETRIC_KEY",
    "SECRET_ACCESS_KEY",
    "SESSION_TOKEN",
    "SSH",
    "TO",
    "WITH",
];

/// Whether options can be pasted into the COPY statement that is sent to Redshift (SPEC §5.3).
///
/// They must be pieces of one statement: strings that end, no comment, nothing after a `;`; and none of the options
/// that the service gives itself. Which options there are and what they take is Redshift's to say.
pub fn check_pasted(text: &str) -> Result<(), OptionsError> {
    for token in whole(text)? {
        match &token.kind {
            TokenKind::Word(word) => refuse_reserved(word, token.position)?,
            // Whether a backslash escapes is a setting of the database, and with it where the string ends.
            TokenKind::Text {
                escaped_quote: true,
                ..
            } => {
                return Err(OptionsError::syntax(
                    r"a quote within a string is written '' here, not \'",
                    token.position,
                ));
            }
            TokenKind::Text { .. } | TokenKind::Number | TokenKind::Semicolon => {}
        }
    }
    Ok(())
}

/// The pieces of `text` but for the `;` that may end it.
pub(super) fn whole(text: &str) -> Result<Vec<Token<'_>>, OptionsError> {
    if text.len() > MAX_OPTIONS_BYTES {
        return Err(OptionsError::incorrect(
            format!(
                "COPY options of {} bytes are too long; the limit is {MAX_OPTIONS_BYTES}",
                text.len()
            ),
            0,
        ));
    }
    let mut tokens = tokens(text)?;
    let end = tokens.iter().position(|t| t.kind == TokenKind::Semicolon);
    if let Some(end) = end {
        if let Some(after) = tokens.get(end + 1) {
            return Err(OptionsError::syntax(
                format!(
                    "nothing can follow the ; that ends COPY options, but \"{}\" does",
                    excerpt(after.raw)
                ),
                after.position,
            ));
        }
        tokens.truncate(end);
    }
    Ok(tokens)
}

/// Refuses what the service writes itself.
pub(super) fn refuse_reserved(word: &str, position: usize) -> Result<(), OptionsError> {
    if !RESERVED.contains(&word) {
        return Ok(());
    }
    let why = match word {
        "MANIFEST" | "FROM" | "TO" => "the service itself says what is loaded, by a manifest",
        "SSH" => "the service loads objects of its bucket",
        "ENCRYPTED" | "MASTER_SYMMETRIC_KEY" => {
            "the service's objects are not encrypted by a client"
        }
        _ => "the service itself gives the credentials",
    };
    Err(OptionsError::incorrect(
        format!("{word} cannot be among COPY options: {why}"),
        position,
    ))
}

//! What is wrong with options, in the words a database would use.

use std::fmt;

/// Options that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    /// Which of the service's two codes it is (SPEC §6.4).
    pub kind: OptionsErrorKind,
    /// What is wrong and, where it is not plain, what to write instead.
    pub message: String,
    /// Where, in bytes from 0; the text's length where its end is what is wrong.
    pub position: usize,
}

/// The two codes of SPEC §6.4 that options can end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsErrorKind {
    /// `Redshift.SyntaxError`: it cannot be read.
    Syntax,
    /// `Redshift.IncorrectCopyOptions`: it can be read, and cannot be done.
    Incorrect,
}

impl OptionsError {
    /// `near` cannot stand where it does; nothing is `near` at the end.
    pub(super) fn unexpected(near: &str, position: usize) -> Self {
        let message = match near {
            "" => "syntax error at end of input".to_string(),
            near => format!("syntax error at or near \"{}\"", excerpt(near)),
        };
        Self::syntax(message, position)
    }

    pub(super) fn syntax(message: impl Into<String>, position: usize) -> Self {
        OptionsError {
            kind: OptionsErrorKind::Syntax,
            message: message.into(),
            position,
        }
    }

    pub(super) fn incorrect(message: impl Into<String>, position: usize) -> Self {
        OptionsError {
            kind: OptionsErrorKind::Incorrect,
            message: message.into(),
            position,
        }
    }
}

impl fmt::Display for OptionsError {
    /// Redshift's way: the position, counted from 1, follows what is a matter of syntax.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            OptionsErrorKind::Syntax => {
                write!(f, "{} Position: {}", self.message, self.position + 1)
            }
            OptionsErrorKind::Incorrect => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for OptionsError {}

/// The most of somebody's text that an error repeats, in characters.
const EXCERPT_CHARS: usize = 64;

/// So much of `text` as an error may repeat.
pub(super) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_string(),
    }
}

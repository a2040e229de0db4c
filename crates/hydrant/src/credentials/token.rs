//! The admin port's token: a secret text that who asks must bring, as `Authorization: Bearer TOKEN`.
//!
//! It lies in a file and nowhere else: an argument would show in every list of processes.

use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time;

use super::{
    Secret,
    private::{self, PrivateFileError},
};

/// The shortest token, in characters: nobody should guess one.
const MIN_CHARS: usize = 16;

/// The token. Never in `Debug`, never in a log.
#[derive(Clone, Debug)]
pub struct Token(Secret);

/// Why there is no token. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file.
    #[error("the admin token's file {0}")]
    File(#[from] PrivateFileError),
    /// What it holds could not travel in a header, or could be guessed.
    #[error(
        "the admin token's file {} must hold {MIN_CHARS} or more visible ASCII characters in one line: `openssl rand -hex 32` makes some",
        .0.display()
    )]
    Unusable(PathBuf),
}

impl Token {
    /// The token in the file at `path`, without white space around it.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = private::read(path)?;
        let token = text.trim();
        if token.len() < MIN_CHARS || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unusable(path.to_owned()));
        }
        Ok(Token(Secret::new(token)))
    }

    /// The token itself; for sending only.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether `given` is the token. Takes the same time wherever they differ.
    pub fn is(&self, given: &str) -> bool {
        constant_time::verify_slices_are_equal(given.as_bytes(), self.expose().as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_token_is_read_from_a_file_of_its_own_and_shown_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&path)
        };
        let token = write("0123456789abcdef\n", 0o600).unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in [
            "",
            "0123456789abcdeF",
            "0123456789abcdef\n",
            "0123456789abcde",
        ] {
            assert!(!token.is(other), "{other:?}");
        }
        assert!(!format!("{token:?}").contains("0123"));
        for short in [
            "",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789abcdeü",
        ] {
            let refused = write(short, 0o600).unwrap_err().to_string();
            assert!(refused.contains("openssl rand"), "{refused}");
            assert!(!refused.contains("0123"), "{refused}");
        }
        let refused = write("0123456789abcdef", 0o644).unwrap_err().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
        fs::remove_file(&path).unwrap();
        assert!(Token::read(&path).is_err());
    }
}

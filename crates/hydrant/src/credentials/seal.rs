//! Secrets at rest: a stream's database password lies in the catalog sealed, and the key to it in a file of its own.
//!
//! ```text
//! sealed = "1:" base64( nonce (12) | AES-256-GCM( secret ) and tag (16) )      associated data: whose secret it is
//! ```
//!
//! * The key file is made at the first start, 32 bytes of chance as 64 hex digits, of mode 0600. One that others may read
//!   is refused.
//! * The associated data binds a sealed secret to its owner: copied into another stream it does not open.
//! * A catalog without its key file gives nothing away; a data directory that lost its key file still works
//!   but for the streams with passwords, which say so and take a new one.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hydrant_engine::Chance;
use serde::{Deserialize, Serialize};

use super::{
    Secret,
    private::{self, PrivateFileError},
};

/// Bytes of the key.
const KEY_BYTES: usize = 32;
/// What a sealed secret begins with: the format.
const FORMAT: &str = "1:";

/// A secret that only its [`Vault`] can open. Safe to store; shown to nobody all the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

/// Seals and opens secrets.
pub struct Vault {
    key: RandomizedNonceKey,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

/// Why there is no vault. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file cannot be read or made, or others may read it.
    #[error("the key file {0}")]
    File(#[from] PrivateFileError),
    /// It holds something else.
    #[error("the key file {} does not hold {} hex digits", .path.display(), KEY_BYTES * 2)]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
}

/// A sealed secret did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored secret cannot be opened with this node's key file: restore the file, or set the secret again"
)]
pub struct Unopened;

impl Vault {
    /// The vault of the key file at `path`, which is made if there is none.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub fn open(path: &Path, chance: &Chance) -> Result<Self, VaultError> {
        let text = match private::read(path) {
            Err(PrivateFileError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                let text = hex::encode(Self::draw(chance)) + "\n";
                create(path, &text).map_err(|source| PrivateFileError::Io {
                    path: path.to_owned(),
                    source,
                })?;
                // Another node may have been faster: one key, or what it seals is lost to the other.
                private::read(path)?
            }
            read => read?,
        };
        let damaged = || VaultError::Damaged {
            path: path.to_owned(),
        };
        let key = hex::decode(text.trim()).map_err(|_| damaged())?;
        Self::with_key(&key).ok_or_else(damaged)
    }

    /// A vault whose key dies with it.
    pub fn ephemeral(chance: &Chance) -> Option<Self> {
        Self::with_key(&Self::draw(chance))
    }

    fn draw(chance: &Chance) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        chance.fill(&mut key);
        key
    }

    fn with_key(key: &[u8]) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
        Some(Vault { key })
    }

    /// Seals `secret` for `owner`. `None` only if the library fails.
    pub fn seal(&self, secret: &Secret, owner: &str) -> Option<Sealed> {
        let mut bytes = secret.expose().as_bytes().to_vec();
        let aad = Aad::from(owner.as_bytes());
        let nonce = self.key.seal_in_place_append_tag(aad, &mut bytes).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Some(Sealed(format!("{FORMAT}{}", STANDARD.encode(sealed))))
    }

    /// The secret that was sealed for `owner`.
    ///
    /// # Errors
    /// [`Unopened`] with another key, another owner, or when it was changed.
    pub fn unseal(&self, sealed: &Sealed, owner: &str) -> Result<Secret, Unopened> {
        let coded = sealed.0.strip_prefix(FORMAT).ok_or(Unopened)?;
        let mut bytes = STANDARD.decode(coded).map_err(|_| Unopened)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Unopened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened)?;
        let aad = Aad::from(owner.as_bytes());
        let opened = self.key.open_in_place(nonce, aad, sealed);
        let opened = opened.map_err(|_| Unopened)?;
        let secret = std::str::from_utf8(opened).map_err(|_| Unopened)?;
        Ok(Secret::new(secret))
    }
}

/// Writes the file whole and safe before it has its name: half a key would lose every password. One that is there already
/// stays as it is.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension(format!("{}.part", process::id()));
    match fs::remove_file(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link never replaces. File systems without links have the rename, which may.
    match fs::hard_link(&part, path) {
        Ok(()) => fs::remove_file(&part)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(&part)?,
        Err(_) => fs::rename(&part, path)?,
    }
    // A name alone is in the directory that the process is in.
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret() -> Secret {
        Secret::new("Pa55-wörd with spaces")
    }

    #[test]
    fn a_secret_opens_for_its_owner_alone_also_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        let vault = Vault::open(&path, &Chance::seeded(1)).unwrap();
        let sealed = vault.seal(&secret(), "stream a").unwrap();
        assert_eq!(vault.unseal(&sealed, "stream b"), Err(Unopened));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let again = Vault::open(&path, &Chance::seeded(2)).unwrap();
        assert_eq!(again.unseal(&sealed, "stream a").unwrap(), secret());
        let other = Vault::ephemeral(&Chance::seeded(3)).unwrap();
        assert_eq!(other.unseal(&sealed, "stream a"), Err(Unopened));
    }

    #[test]
    fn the_same_secret_never_looks_the_same_and_shows_nothing() {
        let vault = Vault::ephemeral(&Chance::seeded(1)).unwrap();
        let [a, b] = [(); 2].map(|()| vault.seal(&secret(), "s").unwrap());
        assert_ne!(a, b);
        assert!(!a.0.contains("Pa55") && !format!("{a:?}").contains(&a.0));
        for cut in 0..a.0.len() {
            let cut = Sealed(a.0[..cut].to_owned());
            assert_eq!(vault.unseal(&cut, "s"), Err(Unopened));
        }
    }

    #[test]
    fn a_key_file_that_cannot_be_trusted_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        Vault::open(&path, &Chance::seeded(1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Vault::open(&path, &Chance::seeded(1)).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "half").unwrap();
        let refused = Vault::open(&path, &Chance::seeded(1)).unwrap_err();
        assert!(matches!(refused, VaultError::Damaged { .. }), "{refused}");
    }

    #[test]
    fn a_key_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        Vault::open(&path, &Chance::seeded(1)).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        create(&path, "another\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        // Nor is what a link names that leads nowhere, such as a disk that is not mounted.
        let lost = directory.path().join("lost");
        std::os::unix::fs::symlink(directory.path().join("unmounted/key"), &lost).unwrap();
        let refused = Vault::open(&lost, &Chance::seeded(1)).unwrap_err();
        assert!(
            matches!(refused, VaultError::File(PrivateFileError::Io { .. })),
            "{refused}"
        );
        assert!(lost.is_symlink());
        let names = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 2, "nothing half made is left");
    }
}

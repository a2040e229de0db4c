//! What an object's key may be.
//!
//! A prefix is glued in front of a key as the user wrote it, so a key may hold anything that a prefix may.
//! Stores take nearly everything; file systems and URLs do not. What each cannot hold is
//! decided here, once, for the check at creation and for delivery.

/// Bytes that a key may have in S3.
pub const MAX_KEY_BYTES: usize = 1024;
/// Bytes that one component of a path may have in common file systems.
pub const MAX_COMPONENT_BYTES: usize = 255;

/// The key's place below a bucket's directory, in components that are safe to join.
///
/// * Empty components vanish, as they do in any path: `/a//b` lies at `a/b`. No two objects can meet
///   there, since every key ends in a UUID of its own.
/// * `.` and `..` are written `%2E` and `%2E%2E`, control characters and `\` as `%XX`: nothing leaves the bucket.
///
/// # Errors
/// What is wrong, when the key is empty or too long for a file system.
pub fn path_components(key: &str) -> Result<Vec<String>, String> {
    if key.len() > MAX_KEY_BYTES {
        return Err(format!(
            "the key has {} bytes; {MAX_KEY_BYTES} are allowed",
            key.len()
        ));
    }
    if key.ends_with('/') {
        return Err("the key names a directory".to_owned());
    }
    let components: Vec<String> = key
        .split('/')
        .filter(|component| !component.is_empty())
        .map(safe_component)
        .collect();
    match components.iter().find(|c| c.len() > MAX_COMPONENT_BYTES) {
        Some(long) => Err(format!(
            "a component of the key has {} bytes; a directory takes {MAX_COMPONENT_BYTES}",
            long.len()
        )),
        None if components.is_empty() => Err("the key is empty".to_owned()),
        None => Ok(components),
    }
}

fn safe_component(component: &str) -> String {
    if component == "." || component == ".." {
        return component.replace('.', "%2E");
    }
    let mut safe = String::with_capacity(component.len());
    for character in component.chars() {
        if character.is_control() || character == '\\' {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                safe.push_str(&format!("%{byte:02X}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Whether a key can be named in a URL.
///
/// # Errors
/// What is wrong: every URL library resolves `.` and `..` before a request leaves, however they are written.
pub fn check_url(key: &str) -> Result<(), String> {
    if key.len() > MAX_KEY_BYTES {
        return Err(format!(
            "the key has {} bytes; {MAX_KEY_BYTES} are allowed",
            key.len()
        ));
    }
    if key.split('/').any(|part| part == "." || part == "..") {
        return Err("a key with a component '.' or '..' cannot be sent over HTTP".to_owned());
    }
    Ok(())
}

/// Whether a bucket may have this name: what AWS allows (3–63 of `[a-z0-9.-]`, a letter or digit at
/// both ends) and, for older buckets and other stores, upper case, `_` and any length that the API
/// allows (SPEC §2.0).
///
/// # Errors
/// What is wrong with it.
pub fn check_bucket(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !(1..=255).contains(&name.len()) {
        return Err(format!(
            "a bucket's name has 1 to 255 characters, not {}",
            name.len()
        ));
    }
    if let Some(character) = name.chars().find(|&c| !allowed(c)) {
        return Err(format!(
            "a bucket's name cannot hold {:?}",
            character.to_string()
        ));
    }
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !ends(name.chars().next()) || !ends(name.chars().next_back()) || name.contains("..") {
        return Err(
            "a bucket's name begins and ends with a letter or digit and holds no '..'".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(key: &str) -> String {
        path_components(key).unwrap().join("/")
    }

    #[test]
    fn keys_become_paths_inside_the_bucket() {
        assert_eq!(path("a/2015/x"), "a/2015/x");
        assert_eq!(path("/a//x"), "a/x");
        assert_eq!(path("a/../b/x"), "a/%2E%2E/b/x");
        assert_eq!(path("../../etc/x"), "%2E%2E/%2E%2E/etc/x");
        assert_eq!(path("./x"), "%2E/x");
        assert_eq!(path("a\0b\nc\\d"), "a%00b%0Ac%5Cd");
        assert_eq!(path("ü/…"), "ü/…");
        for bad in ["", "/", "a/", &"x".repeat(256), &"x/".repeat(600)] {
            path_components(bad).unwrap_err();
        }
    }

    #[test]
    fn urls_cannot_hold_dot_segments() {
        check_url("/a//b..c/x").unwrap();
        check_url("a/../x").unwrap_err();
        check_url("./x").unwrap_err();
    }

    #[test]
    fn bucket_names() {
        for good in ["b", "abc", "my-bucket.logs", "0ld_Bucket"] {
            check_bucket(good).unwrap();
        }
        for bad in ["", "..", "a..b", "a/b", "-ab", "ab.", "a b", "büc", "a\0b"] {
            check_bucket(bad).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn no_key_leaves_the_bucket(key in "[./\\PC\\x00-\\x1f]{0,60}") {
            for component in path_components(&key).unwrap_or_default() {
                prop_assert!(!component.is_empty() && component != "." && component != "..");
                prop_assert!(!component.contains(['/', '\0', '\\']));
            }
        }
    }
}

//! What an S3 request asks for, as far as a store needs to know that only keeps objects.

/// A request of S3's, path style.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The whole object.
    Put(String),
    /// A multipart upload begins.
    Begin(String),
    /// Part `number` of upload `id`.
    Part { id: u64, number: u32 },
    /// Upload `id` becomes the object.
    Complete { id: u64, key: String },
    /// Upload `id` is given up.
    Abort(u64),
    /// Is the object there?
    Head(String),
    /// The object's bytes.
    Get(String),
    /// Anything else.
    Other,
}

/// Reads a request's method and target (`/BUCKET/KEY?QUERY`).
pub(crate) fn asked(method: &str, target: &str) -> Asked {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = path.to_owned();
    let value = |name: &str| {
        let mut pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let id = value("uploadId").and_then(|id| id.parse().ok());
    let number = value("partNumber").and_then(|number| number.parse().ok());
    match (method, id, number) {
        ("PUT", Some(id), Some(number)) => Asked::Part { id, number },
        ("PUT", None, None) => Asked::Put(key),
        ("POST", None, None) if value("uploads").is_some() => Asked::Begin(key),
        ("POST", Some(id), None) => Asked::Complete { id, key },
        ("DELETE", Some(id), None) => Asked::Abort(id),
        ("HEAD", None, None) => Asked::Head(key),
        ("GET", None, None) if query.is_empty() => Asked::Get(key),
        _ => Asked::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let key = || "/b/2015/10/07/x".to_owned();
        let cases = [
            ("PUT", "", Asked::Put(key())),
            ("POST", "?uploads", Asked::Begin(key())),
            ("POST", "?uploads=", Asked::Begin(key())),
            (
                "PUT",
                "?partNumber=2&uploadId=7",
                Asked::Part { id: 7, number: 2 },
            ),
            ("POST", "?uploadId=7", Asked::Complete { id: 7, key: key() }),
            ("DELETE", "?uploadId=7", Asked::Abort(7)),
            ("HEAD", "", Asked::Head(key())),
            ("GET", "?list-type=2", Asked::Other),
        ];
        for (method, query, expected) in cases {
            assert_eq!(asked(method, &format!("{}{query}", key())), expected);
        }
    }
}

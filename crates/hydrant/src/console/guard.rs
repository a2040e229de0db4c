//! Who may ask the admin port.
//!
//! Beyond loopback who asks must bring the token; so must everybody where one is set. `/livez` and `/readyz` are for
//! load balancers and tell nothing that a connection would not.
//!
//! Without a token what protects the port is that only this machine reaches it. A browser on this machine reaches it too,
//! on behalf of any page:
//!
//! * A page's own name can be made to resolve to 127.0.0.1 (DNS rebinding). The `Host` header still
//!   shows the name, so only addresses and `localhost` are served.
//! * A page can send a simple POST to 127.0.0.1. It then carries the page's `Origin`, so a request
//!   whose origin is not this very port is refused.

use std::net::IpAddr;

use http::{HeaderMap, header};

use crate::credentials::Token;

/// Says whether the process answers.
pub(super) const LIVEZ: &str = "/livez";
/// Says whether puts can be acknowledged.
pub(super) const READYZ: &str = "/readyz";

/// Who may ask.
#[derive(Debug)]
pub(super) enum Guard {
    /// Who asks by address or as `localhost`.
    Loopback,
    /// Who brings this, by any name.
    Token(Token),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// A web page may have sent it.
    Page(&'static str),
    /// It brings no token, or a wrong one.
    NoToken,
}

impl Guard {
    /// Why a request for `path` with these headers is refused; `None` lets it in.
    pub(super) fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<Refused> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let host = text(header::HOST).unwrap_or("");
        if let Some(origin) = text(header::ORIGIN)
            && !is_same(origin, host)
        {
            return Some(Refused::Page("not for other pages: the Origin differs"));
        }
        match self {
            Guard::Loopback if !is_address(host) => Some(Refused::Page(
                "ask by address or as localhost: the Host header names something else",
            )),
            Guard::Token(token) if !matches!(path, LIVEZ | READYZ) => {
                let given = text(header::AUTHORIZATION).and_then(bearer);
                let known = given.is_some_and(|given| token.is(given));
                (!known).then_some(Refused::NoToken)
            }
            _ => None,
        }
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `localhost` or an IP address, with or without a port.
fn is_address(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_same(origin: &str, host: &str) -> bool {
    let bare = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    bare == Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guarded() -> Guard {
        use std::{io::Write, os::unix::fs::PermissionsExt};
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(TOKEN.as_bytes()).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(file.path(), mode).unwrap();
        Guard::Token(Token::read(file.path()).unwrap())
    }

    fn refusal(
        guard: &Guard,
        path: &str,
        headers: &[(header::HeaderName, &str)],
    ) -> Option<Refused> {
        let named = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()));
        guard.refusal(path, &named.collect())
    }

    fn refused(guard: &Guard, host: &str, origin: Option<&str>) -> bool {
        let bearer = format!("Bearer {TOKEN}");
        let mut headers = vec![(header::HOST, host), (header::AUTHORIZATION, &bearer)];
        headers.extend(origin.map(|origin| (header::ORIGIN, origin)));
        refusal(guard, "/metrics", &headers).is_some()
    }

    #[test]
    fn names_are_refused_on_loopback() {
        for host in [
            "127.0.0.1:4574",
            "localhost",
            "LOCALHOST:1",
            "[::1]:4574",
            "10.0.0.7",
        ] {
            assert!(!refused(&Guard::Loopback, host, None), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:4574",
            "localhost.evil.example",
            "",
            "[evil]",
        ] {
            assert!(refused(&Guard::Loopback, host, None), "{host}");
        }
        assert!(!refused(&guarded(), "hydrant.internal:4574", None));
        assert!(Guard::Loopback.refusal("/", &HeaderMap::new()).is_some());
    }

    #[test]
    fn other_pages_are_refused() {
        let here = "127.0.0.1:4574";
        for guard in [Guard::Loopback, guarded()] {
            assert!(!refused(&guard, here, Some("http://127.0.0.1:4574")));
            for origin in ["http://evil.example", "null", "http://127.0.0.1:80"] {
                assert!(refused(&guard, here, Some(origin)), "{origin}");
            }
        }
    }

    #[test]
    fn a_token_that_is_set_must_be_brought() {
        let guard = guarded();
        let asked = |path: &str, value: Option<&str>| {
            let headers: Vec<_> = value
                .map(|value| (header::AUTHORIZATION, value))
                .into_iter()
                .collect();
            refusal(&guard, path, &headers)
        };
        for value in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef"] {
            assert_eq!(asked("/metrics", Some(value)), None);
        }
        for value in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer 0123456789abcdee"),
            Some("Bearer 0123456789abcde"),
            Some("Bearer 0123456789abcdeff"),
            Some("Basic 0123456789abcdef"),
            Some("0123456789abcdef"),
        ] {
            for path in ["/metrics", "/api/streams", "/livez/", "//livez", "/nothing"] {
                assert_eq!(
                    asked(path, value),
                    Some(Refused::NoToken),
                    "{path} {value:?}"
                );
            }
            for path in [LIVEZ, READYZ] {
                assert_eq!(asked(path, value), None, "{path} {value:?}");
            }
        }
    }
}

//! Keeps web pages out. The admin port asks nobody for a password; what protects it is that only this
//! machine reaches it. A browser on this machine reaches it too, on behalf of any page:
//!
//! * A page's own name can be made to resolve to 127.0.0.1 (DNS rebinding). The `Host` header still
//!   shows the name, so only addresses and `localhost` are served.
//! * A page can send a simple POST to 127.0.0.1. It then carries the page's `Origin`, so a request
//!   whose origin is not this very port is refused.

use std::net::IpAddr;

use http::{HeaderMap, header};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Who asks by address or as `localhost`.
    Loopback,
    /// Whoever reaches the port, by any name: the operator said so.
    Anybody,
}

impl Guard {
    /// Why a request with these headers is refused; `None` lets it in.
    pub(super) fn refusal(self, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let host = text(header::HOST).unwrap_or("");
        if self == Guard::Loopback && !is_address(host) {
            return Some("ask by address or as localhost: the Host header names something else");
        }
        match text(header::ORIGIN) {
            Some(origin) if !is_same(origin, host) => {
                Some("not for other pages: the Origin differs")
            }
            _ => None,
        }
    }
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

    fn refused(guard: Guard, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        guard.refusal(&headers).is_some()
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
            assert!(!refused(Guard::Loopback, host, None), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:4574",
            "localhost.evil.example",
            "",
            "[evil]",
        ] {
            assert!(refused(Guard::Loopback, host, None), "{host}");
        }
        assert!(!refused(Guard::Anybody, "hydrant.internal:4574", None));
        assert!(Guard::Loopback.refusal(&HeaderMap::new()).is_some());
    }

    #[test]
    fn other_pages_are_refused() {
        let here = "127.0.0.1:4574";
        for guard in [Guard::Loopback, Guard::Anybody] {
            assert!(!refused(guard, here, Some("http://127.0.0.1:4574")));
            for origin in ["http://evil.example", "null", "http://127.0.0.1:80"] {
                assert!(refused(guard, here, Some(origin)), "{origin}");
            }
        }
    }
}

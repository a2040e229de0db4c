//! Which web pages may speak to an open node.
//!
//! A browser on this machine reaches the loopback on behalf of any page that it shows. An open node believes whoever
//! reaches it, so a page from elsewhere could make it create, read and delete streams, and connect to any database. What
//! gives such a page away is its `Origin`: browsers send it with every POST, whatever the page wants, also where the
//! page's own name was made to resolve to 127.0.0.1 (DNS rebinding). So without keys only pages of this machine are
//! served. With keys a page must sign as everybody must, and CORS is as AWS has it (SPEC §1.5).

use http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::config::is_loopback;

/// Whether a request with these headers was sent by a page that is not of this machine. One without `Origin` was sent by
/// no page.
pub(super) fn is_foreign(headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.any(|origin| !is_of_this_machine(origin))
}

/// `http` or `https` at `localhost` or an address of the loopback. Not `null`: every page can have that.
fn is_of_this_machine(origin: &HeaderValue) -> bool {
    let Some(url) = origin.to_str().ok().and_then(|text| Url::parse(text).ok()) else {
        return false;
    };
    // Browsers resolve these names themselves.
    let by_name = url
        .domain()
        .is_some_and(|name| name.ends_with(".localhost"));
    (by_name || is_loopback(&url)) && matches!(url.scheme(), "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(origins: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        is_foreign(&headers)
    }

    #[test]
    fn only_pages_of_this_machine_are_at_home() {
        assert!(!foreign(&[]));
        for origin in [
            "http://localhost",
            "http://LOCALHOST:3000",
            "https://app.localhost:8443",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:5173",
        ] {
            assert!(!foreign(&[origin]), "{origin}");
        }
        for origin in [
            "",
            "null",
            "https://example.com",
            "http://localhost.example.com",
            "http://localhost@example.com",
            "http://notlocalhost",
            "http://192.168.0.7",
            "http://0.0.0.0:4573",
            "http://[::2]",
            "file://localhost/page.html",
            "chrome-extension://localhost",
            "http://localhost https://example.com",
        ] {
            assert!(foreign(&[origin]), "{origin}");
        }
        assert!(foreign(&["http://localhost", "https://example.com"]));
    }
}

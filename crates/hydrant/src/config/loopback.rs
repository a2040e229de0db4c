//! What never leaves this machine.

use url::{Host, Url};

/// Whether a URL's host is this machine, reached over its loopback interface: then nobody is in between. Of names only
/// `localhost`; others would have to be resolved, and may mean something else the next time.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

//! Who may have how many of the process's file descriptors.
//!
//! Every connection is one, and clients make as many as they like. A log that cannot open its next segment takes
//! nothing any more, and a delivery that cannot open its bucket delivers nothing. So clients get what is left when
//! each of those has its share, and wait in the listen queue for the rest.

use crate::{api::ServerLimits, delivery::Settings};

/// Most connections to the admin port: whatever it meets there, the API keeps its own.
const ADMIN_CONNECTIONS: usize = 64;
/// What everything but clients of the API needs when it does all that it may: 64 uploads with a connection for each
/// of two parts and a segment that is read, 32 COPYs with a connection and a file, 64 connections to the admin port, and
/// log, catalog and runtime with a few dozens.
const RESERVED: usize = 512;

/// How they are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenFiles {
    /// Connections to the API.
    pub(super) connections: usize,
    /// Connections to the admin port.
    pub(super) admin_connections: usize,
    /// Uploads at a time; each takes up to three.
    pub(super) uploads: usize,
    /// COPYs at a time; each takes up to two.
    pub(super) copies: usize,
}

impl OpenFiles {
    /// The shares in `limit` descriptors; `None` is as many as wanted.
    pub(super) fn share(limit: Option<u64>) -> Self {
        let limit = limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let wanted = ServerLimits::default().connections;
        let delivery = Settings::default();
        // A process with few of them gives half to its clients, and does less at a time with the rest.
        let reserved = RESERVED.min(limit / 2);
        let part = |wanted: usize, of: usize| wanted.min(reserved / of).max(1);
        OpenFiles {
            connections: wanted.min(limit - reserved).max(1),
            admin_connections: part(ADMIN_CONNECTIONS, 8),
            uploads: part(delivery.uploads, 8),
            copies: part(delivery.copies, 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_many_does_all_that_it_may() {
        let all = OpenFiles {
            connections: 10_000,
            admin_connections: 64,
            uploads: 64,
            copies: 32,
        };
        assert_eq!(OpenFiles::share(None), all);
        assert_eq!(OpenFiles::share(Some(u64::MAX)), all);
        assert_eq!(OpenFiles::share(Some(10_512)), all);
    }

    #[test]
    fn the_shares_leave_room_for_log_and_catalog() {
        for limit in 0..20_000 {
            let it = OpenFiles::share(Some(limit));
            let shared = it.connections + it.admin_connections + 3 * it.uploads + 2 * it.copies;
            let left = usize::try_from(limit).unwrap().saturating_sub(shared);
            assert!(limit < 256 || left >= 32, "{limit}: {it:?} leaves {left}");
            assert!(
                it.connections
                    .min(it.uploads)
                    .min(it.copies)
                    .min(it.admin_connections)
                    > 0
            );
        }
        assert_eq!(OpenFiles::share(Some(1024)).connections, 512);
        assert_eq!(OpenFiles::share(Some(256)).connections, 128);
    }
}

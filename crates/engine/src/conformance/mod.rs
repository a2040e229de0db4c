//! One suite that every engine passes: the promises of [`Log`](crate::Log) and
//! [`Catalog`](crate::Catalog) as tests.
//!
//! [`log`] and [`catalog`](mod@catalog) have one function for each case; the macros [`log_conformance!`](crate::log_conformance) and
//! [`catalog_conformance!`](crate::catalog_conformance) make a test of each:
//!
//! ```ignore
//! mod my_log {
//!     async fn fresh() -> (Arc<dyn Log>, TempDir) { … }
//!     hydrant_engine::log_conformance!(fresh);
//! }
//! ```
//!
//! Each case gets a fresh log or catalog of its own. What a crash may do is not tested here: that
//! depends on what the engine is made of.

// These are tests: a panic is how they fail.
#![allow(clippy::unwrap_used)]

pub mod catalog;
pub mod log;

use std::{future::Future, time::Duration};

use futures::{Stream, StreamExt};

/// What any one step of a case may take before it counts as stuck. Generous: disks have bad moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// The outcome of `work`, which must not get stuck.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that is stuck must fail, in real time"
)]
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.expect("this should have happened long ago")
}

/// The next item of a stream that must have one.
pub async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> T {
    soon(stream.next())
        .await
        .expect("the stream ended too soon")
}

/// Makes a test of each named case; the other macros name them all.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_cases {
    ($fresh:path, $suite:ident, $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (subject, _guard) = $fresh().await;
                $crate::conformance::$suite::$case(&subject).await;
            }
        )*
    };
}

/// A test of every case of [`conformance::log`](mod@log), each with a log that `$fresh` opens: an async
/// function without arguments that returns an `Arc<dyn Log>` and something to hold until the end.
#[macro_export]
macro_rules! log_conformance {
    ($fresh:path) => {
        $crate::conformance_cases! { $fresh, log,
            a_frame_comes_back_as_it_was
            a_frame_of_the_greatest_size_is_taken_and_a_larger_one_refused
            positions_rise_within_a_lane
            an_append_after_another_resolved_stands_higher
            reading_a_range_is_half_open
            reading_nothing_ends_at_once
            a_long_read_is_complete_and_in_order
            following_shows_what_is_there_and_then_what_comes
            following_from_the_middle
            following_before_the_first_frame
            followers_do_not_disturb_each_other
            a_follower_of_one_lane_does_not_see_another
            a_thousand_followers
            lanes_do_not_hold_each_other_back
            a_dropped_append_is_not_withdrawn
            concurrent_appends_are_each_shown_once_in_order
            usage_counts_what_is_kept
            trim_forgets_what_is_below_and_nothing_else
            trim_is_idempotent_and_never_goes_back
            trim_beyond_the_end_keeps_what_comes_later
            trim_of_an_unknown_lane_does_nothing
            a_follower_skips_what_was_trimmed
            a_follower_waits_through_a_trim_of_everything
            remove_forgets_and_refuses
            remove_ends_followers
            remove_of_an_unknown_lane_is_remembered
            remove_while_appending_settles
            lanes_are_those_that_hold_something
            close_waits_then_refuses
            close_ends_followers_after_the_last_frame
        }
    };
}

/// A test of every case of [`conformance::catalog`](mod@catalog), each with a catalog that `$fresh` opens: an
/// async function without arguments that returns an `Arc<dyn Catalog>` and something to hold until
/// the end.
#[macro_export]
macro_rules! catalog_conformance {
    ($fresh:path) => {
        $crate::conformance_cases! { $fresh, catalog,
            a_value_comes_back_as_it_was
            a_put_needs_the_expected_value
            a_delete_needs_the_expected_version
            versions_rise_and_are_never_given_twice
            a_list_is_what_begins_with_the_prefix_in_order
            reads_see_what_was_written
            of_concurrent_puts_one_wins
            concurrent_increments_are_all_counted
            a_dropped_put_is_not_withdrawn
            a_watch_shows_what_is_there_and_then_each_change
            a_watch_shows_deletions
            a_watch_sees_its_prefix_alone
            a_slow_watcher_sees_the_latest
            a_watch_misses_nothing_of_a_busy_catalog
            close_refuses_and_ends_watches
        }
    };
}

#[cfg(test)]
mod tests {
    /// The case functions of a suite that no macro names.
    fn forgotten<'a>(suite: &'a str, macros: &str) -> Vec<&'a str> {
        suite
            .split("pub async fn ")
            .skip(1)
            .filter_map(|rest| rest.split('(').next())
            .filter(|name| !macros.lines().any(|line| line.trim() == *name))
            .collect()
    }

    #[test]
    fn no_case_is_forgotten() {
        let macros = include_str!("mod.rs");
        let none: [&str; 0] = [];
        assert_eq!(forgotten(include_str!("log.rs"), macros), none);
        assert_eq!(forgotten(include_str!("catalog.rs"), macros), none);
    }

    mod mem_log {
        async fn fresh() -> (std::sync::Arc<dyn crate::Log>, ()) {
            (crate::Engine::mem().log, ())
        }
        crate::log_conformance!(fresh);
    }

    mod mem_catalog {
        async fn fresh() -> (std::sync::Arc<dyn crate::Catalog>, ()) {
            (crate::Engine::mem().catalog, ())
        }
        crate::catalog_conformance!(fresh);
    }

    mod local_log {
        async fn fresh() -> (std::sync::Arc<dyn crate::Log>, tempfile::TempDir) {
            let dir = tempfile::tempdir().unwrap();
            let config = crate::EngineConfig::new(dir.path());
            let (engine, _) = crate::Engine::open(config).await.unwrap();
            (engine.log, dir)
        }
        crate::log_conformance!(fresh);
    }

    mod local_catalog {
        async fn fresh() -> (std::sync::Arc<dyn crate::Catalog>, tempfile::TempDir) {
            let dir = tempfile::tempdir().unwrap();
            let config = crate::EngineConfig::new(dir.path());
            let (engine, _) = crate::Engine::open(config).await.unwrap();
            (engine.catalog, dir)
        }
        crate::catalog_conformance!(fresh);
    }
}

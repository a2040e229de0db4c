//! Paging of the list-like operations: a start that is itself left out, and a limit.

/// The items after `start`, `limit` at most, and whether there are more. `items` must be in order of
/// `key`; `start` need not be among them (SPEC §2.4).
pub(super) fn page<'i, T>(
    items: &'i [T],
    key: impl Fn(&T) -> &str,
    start: Option<&str>,
    limit: usize,
) -> (&'i [T], bool) {
    let from = start.map_or(0, |start| items.partition_point(|item| key(item) <= start));
    let rest = &items[from..];
    (&rest[..limit.min(rest.len())], rest.len() > limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_start_need_not_exist() {
        let names = ["a-1", "a-10", "a-2", "b"];
        let after = |start| page(&names, |name| *name, start, 2);
        assert_eq!(after(None), (&names[..2], true));
        assert_eq!(after(Some("a-10")), (&names[2..], false));
        assert_eq!(after(Some("a-11")), (&names[2..], false));
        assert_eq!(after(Some("b")), (&names[4..], false));
    }

    proptest! {
        #[test]
        fn pages_together_are_everything(
            names in proptest::collection::btree_set("[a-c]{1,3}", 0..12),
            limit in 1usize..5,
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let (mut seen, mut start) = (Vec::new(), None::<String>);
            loop {
                let (found, more) = page(&names, |name| name, start.as_deref(), limit);
                seen.extend_from_slice(found);
                prop_assert!(found.len() <= limit);
                if !more {
                    break;
                }
                prop_assert_eq!(found.len(), limit);
                start = found.last().cloned();
            }
            prop_assert_eq!(seen, names);
        }
    }
}

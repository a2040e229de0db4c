//! The house rules that the compiler does not know (docs/ARCHITECTURE.md): which module may use
//! which, and who may read the environment. Read from the source text; unit tests are exempt.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each module with those that it may use. Later ones use earlier ones, so there is no cycle.
const HOUSE: [(&str, &[&str]); 15] = [
    ("sigv4", &[]),
    ("credentials", &["sigv4"]),
    ("config", &["credentials"]),
    ("metrics", &["config"]),
    ("stream", &["credentials", "config", "metrics"]),
    (
        "destination",
        &["stream", "credentials", "config", "metrics"],
    ),
    (
        "warehouse",
        &["destination", "stream", "credentials", "config", "metrics"],
    ),
    // API and delivery never meet but in the engine and the registry.
    (
        "api",
        &["stream", "credentials", "config", "metrics", "sigv4"],
    ),
    (
        "delivery",
        &["stream", "destination", "warehouse", "config", "metrics"],
    ),
    (
        "console",
        &["delivery", "stream", "credentials", "config", "metrics"],
    ),
    ("client", &["console", "credentials", "sigv4"]),
    (
        "node",
        &[
            "api",
            "delivery",
            "console",
            "warehouse",
            "destination",
            "stream",
            "credentials",
            "config",
            "metrics",
        ],
    ),
    (
        "cli",
        &[
            "node",
            "client",
            "console",
            "credentials",
            "config",
            "sigv4",
        ],
    ),
    // In no program.
    (
        "fuzzing",
        &[
            "api",
            "delivery",
            "warehouse",
            "destination",
            "stream",
            "credentials",
            "config",
            "metrics",
            "sigv4",
        ],
    ),
    ("main", &["cli"]),
];

/// What of the engine destinations and warehouses may know: time and chance, but no log and no catalog.
const ENGINE_FOR_DESTINATIONS: [&str; 8] = [
    "Chance",
    "Clock",
    "SystemClock",
    "SystemThreads",
    "Threads",
    "Timestamp",
    // A directory is files, and what blocks runs on threads.
    "disk",
    "threads",
];

struct Source {
    path: PathBuf,
    module: String,
    /// Without comments and unit tests.
    text: String,
}

fn sources() -> Vec<Source> {
    sources_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

fn sources_of(root: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_test {
                directories.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
                files.push(path);
            }
        }
    }
    let source = |path: PathBuf| {
        let inside = path.strip_prefix(root).unwrap();
        let first = inside.components().next().unwrap().as_os_str();
        let module = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        let text = without_tests(&fs::read_to_string(&path).unwrap());
        Source { path, module, text }
    };
    files.into_iter().map(source).collect()
}

/// Unit tests stand at the end of a file; comments may mention anything.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The names that follow `root::` in `text`, also in braces: `root::{a::{b, c}, d}` is a and d.
fn names_after(root: &str, text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let root = format!("{root}::");
    for (at, _) in text.match_indices(&root) {
        let whole_word = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &text[at + root.len()..];
        if !whole_word {
            continue;
        }
        if !rest.starts_with('{') {
            names.insert(word(rest));
            continue;
        }
        let (mut depth, mut fresh) = (0, false);
        for (index, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            let starts_word = c.is_alphanumeric() || c == '_';
            if depth == 1 && fresh && starts_word {
                names.insert(word(&rest[index..]));
                fresh = false;
            }
            if depth == 1 && matches!(c, '{' | ',') {
                fresh = true;
            }
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn names_are_read_as_the_compiler_would() {
    let text = "use crate::{\n    a::{x, y},\n    b,\n};\nfn f() { crate::c::g(); mycrate::d(); }";
    let names: Vec<String> = names_after("crate", text).into_iter().collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let house: BTreeMap<&str, &[&str]> = HOUSE.into();
    let order: Vec<&str> = HOUSE.iter().map(|(name, _)| *name).collect();
    let below = |name: &str| order.iter().position(|known| *known == name);
    for (name, uses) in HOUSE {
        for used in uses {
            assert!(below(used) < below(name), "{name} → {used} closes a cycle");
        }
    }
    let mut seen = BTreeSet::new();
    for source in sources() {
        if source.module == "lib" {
            continue;
        }
        let allowed = house
            .get(source.module.as_str())
            .unwrap_or_else(|| panic!("{} is a new module: give it a place", source.module));
        seen.insert(source.module.clone());
        let root = if source.module == "main" {
            "hydrant"
        } else {
            "crate"
        };
        for used in names_after(root, &source.text) {
            assert!(
                used == source.module || allowed.contains(&used.as_str()),
                "{}: {} must not use {used}",
                source.path.display(),
                source.module
            );
        }
    }
    assert_eq!(
        seen.len(),
        HOUSE.len(),
        "modules that are gone: {order:?} against {seen:?}"
    );
}

#[test]
fn destinations_and_warehouses_know_no_log() {
    let outside = |source: &&Source| matches!(&*source.module, "destination" | "warehouse");
    for source in sources().iter().filter(outside) {
        for name in names_after("hydrant_engine", &source.text) {
            assert!(
                ENGINE_FOR_DESTINATIONS.contains(&name.as_str()),
                "{}: must not know hydrant_engine::{name}",
                source.path.display()
            );
        }
    }
}

#[test]
fn copy_is_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../copy/src");
    let sources = sources_of(&root);
    assert!(sources.len() > 20, "{}", sources.len());
    for source in sources {
        for door in [
            "std::fs",
            "std::net",
            "std::env",
            "std::time",
            "std::thread",
            "tokio",
            "tracing",
            "rand",
        ] {
            let used = source.text.contains(&format!("{door}::"))
                || source.text.contains(&format!("{door};"));
            assert!(!used, "{}: {door}", source.path.display());
        }
    }
}

#[test]
fn only_the_command_line_reads_the_environment() {
    for source in sources()
        .iter()
        .filter(|s| !matches!(&*s.module, "cli" | "main"))
    {
        for reader in [
            "std::env",
            "env::var",
            "env::args",
            "temp_dir(",
            "current_dir(",
        ] {
            assert!(
                !source.text.contains(reader),
                "{}: {reader} outside the command line",
                source.path.display()
            );
        }
    }
}

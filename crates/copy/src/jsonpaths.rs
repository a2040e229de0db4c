//! JSONPaths files: which place in an object belongs to which column (SPEC §5.5).
//!
//! ```text
//! {"jsonpaths": ["$.id", "$.tags[0]", "$.place.city"]}          dot notation
//! {"jsonpaths": ["$['id']", "$['tags'][0]", "$['a b']['c']"]}   bracket notation
//! ```
//!
//! * One object, and nothing after it. Without a `jsonpaths` it asks for `'auto'`, as it does in Redshift.
//! * A path names one place: no wildcards, slices, filters, nor `..`.
//! * Names are in one of the two notations throughout a path; `[0]` is the only way to write an index, and belongs to both.
//! * Whatever is wrong ends the COPY before it began; MAXERROR speaks of rows.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use crate::options::MAX_COLUMNS;

/// The largest JSONPaths file that is read, in bytes.
pub const MAX_JSONPATHS_BYTES: usize = 1 << 20;
/// The most steps in a path; no object that is read is nested deeper.
pub const MAX_STEPS: usize = 128;

/// What a JSONPaths file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonPaths {
    /// It has no `jsonpaths`: keys are column names.
    Auto,
    /// A path for each column, in the order of the column list or of the table; at least one.
    Paths(Vec<Path>),
}

/// The way to one place in a value, from the outside in; at least one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a member of an object.
    Key(String),
    /// To an element of an array, counted from 0.
    Index(usize),
}

/// Why bytes are no JSONPaths file.
#[derive(Debug, thiserror::Error)]
pub enum JsonPathsError {
    /// More bytes than [`MAX_JSONPATHS_BYTES`].
    #[error("the JSONPaths file has {0} bytes; the limit is {MAX_JSONPATHS_BYTES}")]
    TooLarge(usize),
    /// More paths than a table can have columns.
    #[error("the JSONPaths file has {0} paths; the limit is {MAX_COLUMNS}")]
    TooMany(usize),
    /// `"jsonpaths": []`.
    #[error("the JSONPaths file has no paths")]
    Empty,
    /// Not JSON, not one object, or elements that are not strings.
    #[error("the JSONPaths file is not valid: {0}")]
    Invalid(#[from] serde_json::Error),
    /// A path that cannot be read.
    #[error("Invalid JSONPath format: {reason}: \"{path}\" (number {number})")]
    Path {
        /// Which, counted from 1.
        number: usize,
        /// As it was written, its beginning.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// `jsonpaths` of the one object of a file; what else it has is skipped.
struct File {
    jsonpaths: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FileVisitor)
    }
}

/// By hand, since a derived one takes an array for the object and `null` for an absent member.
struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = File;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"jsonpaths\"")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<File, M::Error> {
        let mut jsonpaths = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "jsonpaths" {
                map.next_value::<IgnoredAny>()?;
            } else if jsonpaths.replace(map.next_value()?).is_some() {
                return Err(M::Error::duplicate_field("jsonpaths"));
            }
        }
        Ok(File { jsonpaths })
    }
}

impl JsonPaths {
    /// Reads a JSONPaths file.
    pub fn parse(bytes: &[u8]) -> Result<JsonPaths, JsonPathsError> {
        if bytes.len() > MAX_JSONPATHS_BYTES {
            return Err(JsonPathsError::TooLarge(bytes.len()));
        }
        let Some(paths) = serde_json::from_slice::<File>(bytes)?.jsonpaths else {
            return Ok(JsonPaths::Auto);
        };
        if paths.is_empty() {
            return Err(JsonPathsError::Empty);
        }
        if paths.len() > MAX_COLUMNS {
            return Err(JsonPathsError::TooMany(paths.len()));
        }
        let path = |(at, text): (usize, &String)| {
            Path::parse(text).map_err(|reason| JsonPathsError::Path {
                number: at + 1,
                path: text.chars().take(100).collect(),
                reason,
            })
        };
        let paths = paths.iter().enumerate().map(path).collect::<Result<_, _>>();
        Ok(JsonPaths::Paths(paths?))
    }
}

impl Path {
    /// Reads one path; the error is why it is none.
    pub fn parse(text: &str) -> Result<Path, &'static str> {
        let mut rest = text
            .strip_prefix('$')
            .ok_or("a path begins with $, the object itself")?;
        let (mut steps, mut notation) = (Vec::new(), None);
        while !rest.is_empty() {
            let (step, used, after) = step(rest)?;
            if let Some(used) = used
                && *notation.get_or_insert(used) != used
            {
                return Err("dot and bracket notation cannot be mixed");
            }
            if steps.len() == MAX_STEPS {
                return Err("it has more than 128 steps");
            }
            steps.push(step);
            rest = after;
        }
        if steps.is_empty() {
            return Err("it names nothing within the object");
        }
        Ok(Path { steps })
    }
}

/// How a name is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notation {
    Dot,
    Bracket,
}

/// A step, the notation it commits the path to, and what follows it.
type Parsed<'a> = (Step, Option<Notation>, &'a str);

/// The step that `text` begins with.
fn step(text: &str) -> Result<Parsed<'_>, &'static str> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        return match name {
            "" => Err("a name is missing after a ."),
            _ if name.contains('*') => Err(NO_WILDCARDS),
            _ if name.contains([']', '(', ')', '?', '\'', '"']) => {
                Err("a name with such characters is written ['name']")
            }
            _ => Ok((Step::Key(name.to_string()), Some(Notation::Dot), after)),
        };
    }
    let rest = text
        .strip_prefix('[')
        .ok_or("a . or [ is missing between two steps")?;
    let first = rest.chars().next().ok_or(NOT_CLOSED)?;
    match first {
        '\'' | '"' => {
            let (name, after) = quoted(rest, first)?;
            let after = after.strip_prefix(']').ok_or(NOT_CLOSED)?;
            Ok((Step::Key(name), Some(Notation::Bracket), after))
        }
        '0'..='9' => {
            let (digits, after) = rest.split_once(']').ok_or(NOT_CLOSED)?;
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err("an index is one number; there are no slices or lists");
            }
            let index = digits.parse().map_err(|_| "an index is too large")?;
            Ok((Step::Index(index), None, after))
        }
        '*' => Err(NO_WILDCARDS),
        '-' => Err("an index counts from 0, and not from the end"),
        _ => Err("in brackets there is an index or a 'name' in quotes"),
    }
}

const NO_WILDCARDS: &str = "there are no wildcards: a path names one place";
const NOT_CLOSED: &str = "a [ is not closed";

/// The name in quotes that `text` begins with, and what follows. A backslash makes the next character literal.
fn quoted(text: &str, quote: char) -> Result<(String, &str), &'static str> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == quote {
            let after = text.get(at + quote.len_utf8()..).unwrap_or_default();
            return Ok((name, after));
        }
        match character {
            '\\' => name.push(characters.next().ok_or(NOT_CLOSED)?.1),
            other => name.push(other),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> Step {
        Step::Key(name.to_string())
    }

    #[test]
    fn paths_in_either_notation() {
        for (text, steps) in [
            ("$.id", vec![key("id")]),
            ("$.a.b_c.d-e", vec![key("a"), key("b_c"), key("d-e")]),
            ("$.tags[0]", vec![key("tags"), Step::Index(0)]),
            ("$[0]", vec![Step::Index(0)]),
            ("$[2][03].x", vec![Step::Index(2), Step::Index(3), key("x")]),
            ("$['id']", vec![key("id")]),
            (r#"$["a b"]['c.d']"#, vec![key("a b"), key("c.d")]),
            (
                "$['tags'][12]['*']",
                vec![key("tags"), Step::Index(12), key("*")],
            ),
            (r"$['it\'s']['\\']", vec![key("it's"), key(r"\")]),
            ("$['']", vec![key("")]),
            ("$.größe", vec![key("größe")]),
        ] {
            assert_eq!(Path::parse(text), Ok(Path { steps }), "{text}");
        }
    }

    #[test]
    fn what_does_not_name_one_place_is_refused() {
        for (text, reason) in [
            ("", "a path begins with $, the object itself"),
            ("id", "a path begins with $, the object itself"),
            ("$", "it names nothing within the object"),
            ("$id", "a . or [ is missing between two steps"),
            ("$['a']b", "a . or [ is missing between two steps"),
            ("$.", "a name is missing after a ."),
            ("$.a.", "a name is missing after a ."),
            ("$..a", "a name is missing after a ."),
            ("$.*", NO_WILDCARDS),
            ("$.a[*]", NO_WILDCARDS),
            ("$.a['b']", "dot and bracket notation cannot be mixed"),
            ("$['a'].b", "dot and bracket notation cannot be mixed"),
            ("$['a'][0].b", "dot and bracket notation cannot be mixed"),
            ("$[", NOT_CLOSED),
            ("$[0", NOT_CLOSED),
            ("$['a'", NOT_CLOSED),
            ("$['a'x]", NOT_CLOSED),
            ("$['a", "a quote is not closed"),
            (r"$['a\", NOT_CLOSED),
            (
                "$[0:2]",
                "an index is one number; there are no slices or lists",
            ),
            (
                "$[0,1]",
                "an index is one number; there are no slices or lists",
            ),
            ("$[-1]", "an index counts from 0, and not from the end"),
            ("$[99999999999999999999]", "an index is too large"),
            (
                "$[?(@.a)]",
                "in brackets there is an index or a 'name' in quotes",
            ),
            (
                "$[a]",
                "in brackets there is an index or a 'name' in quotes",
            ),
            ("$[]", "in brackets there is an index or a 'name' in quotes"),
            ("$.a]", "a name with such characters is written ['name']"),
        ] {
            assert_eq!(Path::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_file_gives_a_path_for_each_column() {
        let file = br#" {"jsonpaths": ["$.id", "$['a b']"], "comment": {"jsonpaths": 1}} "#;
        let paths = vec![
            Path {
                steps: vec![key("id")],
            },
            Path {
                steps: vec![key("a b")],
            },
        ];
        assert_eq!(JsonPaths::parse(file).unwrap(), JsonPaths::Paths(paths));
    }

    #[test]
    fn a_file_of_another_name_asks_for_auto() {
        for file in ["{}", r#"{"paths": ["$.a"]}"#, r#"{"JSONPATHS": 5}"#] {
            assert_eq!(
                JsonPaths::parse(file.as_bytes()).unwrap(),
                JsonPaths::Auto,
                "{file}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let many = serde_json::json!({"jsonpaths": vec!["$.a"; MAX_COLUMNS + 1]}).to_string();
        for (file, words) in [
            (
                "",
                "the JSONPaths file is not valid: EOF while parsing a value",
            ),
            (
                "[]",
                "invalid type: sequence, expected an object with \"jsonpaths\"",
            ),
            (r#"{"jsonpaths": ["$.a"]"#, "EOF while parsing an object"),
            (
                r#"{"jsonpaths": ["$.a"]} {"jsonpaths": ["$.a"]}"#,
                "trailing characters",
            ),
            (
                r#"{"jsonpaths": ["$.a"], "jsonpaths": ["$.b"]}"#,
                "duplicate field `jsonpaths`",
            ),
            (
                r#"{"jsonpaths": null}"#,
                "invalid type: null, expected a sequence",
            ),
            (
                r#"{"jsonpaths": "$.a"}"#,
                r#"invalid type: string "$.a", expected a sequence"#,
            ),
            (
                r#"{"jsonpaths": [1]}"#,
                "invalid type: integer `1`, expected a string",
            ),
            (r#"{"jsonpaths": []}"#, "the JSONPaths file has no paths"),
            (
                r#"{"jsonpaths": ["$.a", ""]}"#,
                "Invalid JSONPath format: a path begins with $, the object itself: \"\" (number 2)",
            ),
            (
                r#"{"jsonpaths": ["$.*"]}"#,
                "Invalid JSONPath format: there are no wildcards: a path names one place: \"$.*\" (number 1)",
            ),
            (
                &many,
                "the JSONPaths file has 1601 paths; the limit is 1600",
            ),
            (
                &" ".repeat(MAX_JSONPATHS_BYTES + 1),
                "the JSONPaths file has 1048577 bytes; the limit is 1048576",
            ),
        ] {
            let error = JsonPaths::parse(file.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{file}: {error}");
        }
        assert!(Path::parse(&format!("${}", "[0]".repeat(MAX_STEPS))).is_ok());
        assert!(Path::parse(&format!("${}", "[0]".repeat(MAX_STEPS + 1))).is_err());
    }

    /// A path as bracket notation writes it, which can say anything.
    fn written(path: &Path) -> String {
        let step = |step: &Step| match step {
            Step::Key(name) => format!("['{}']", name.replace('\\', r"\\").replace('\'', r"\'")),
            Step::Index(index) => format!("[{index}]"),
        };
        format!("${}", path.steps.iter().map(step).collect::<String>())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            steps in prop::collection::vec(
                prop_oneof![".{0,9}".prop_map(Step::Key), any::<usize>().prop_map(Step::Index)],
                1..9,
            ),
        ) {
            let path = Path { steps };
            prop_assert_eq!(Path::parse(&written(&path)), Ok(path));
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..99), text in r#"[$.\[\]'"a0\\é*]{0,12}"#) {
            let _ = JsonPaths::parse(&bytes);
            if let Ok(path) = Path::parse(&format!("${text}")) {
                prop_assert_eq!(Path::parse(&written(&path)), Ok(path));
            }
        }
    }
}

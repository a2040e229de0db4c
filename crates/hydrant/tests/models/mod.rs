//! The request tables and real answers, held against the service's API model: that of 2015 and today's.
//!
//! `2015.txt` and `today.txt` are what the models say (`extract.py` made them from botocore's). Wherever
//! Hydrant differs on purpose, the difference is in a list here with its reason; a difference that is not
//! listed fails, and so does a listed one that is none.

mod answers;
mod requests;

use std::collections::BTreeMap;

/// What one model says.
struct Model {
    operations: BTreeMap<&'static str, Operation>,
    shapes: BTreeMap<&'static str, Shape>,
}

struct Operation {
    input: &'static str,
    output: &'static str,
    errors: Vec<&'static str>,
}

#[derive(Debug, PartialEq)]
enum Shape {
    Structure(Vec<Member>),
    List {
        element: &'static str,
        bounds: Bounds,
    },
    Enum(Vec<&'static str>),
    Scalar {
        kind: &'static str,
        bounds: Bounds,
        secret: bool,
        pattern: Option<&'static str>,
    },
}

#[derive(Debug, PartialEq)]
struct Member {
    name: &'static str,
    required: bool,
    shape: &'static str,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bounds {
    min: Option<i64>,
    max: Option<i64>,
}

impl Model {
    fn of_2015() -> Self {
        Model::read(include_str!("2015.txt"))
    }

    fn of_today() -> Self {
        Model::read(include_str!("today.txt"))
    }

    fn read(text: &'static str) -> Self {
        let mut model = Model {
            operations: BTreeMap::new(),
            shapes: BTreeMap::new(),
        };
        let mut structure = "";
        for line in text.lines() {
            if let Some(member) = line.strip_prefix("  ") {
                let (name, shape) = member.split_once(' ').unwrap();
                let member = Member {
                    name: name.trim_end_matches('!'),
                    required: name.ends_with('!'),
                    shape,
                };
                match model.shapes.get_mut(structure) {
                    Some(Shape::Structure(members)) => members.push(member),
                    other => panic!("a member of {other:?}: {line}"),
                }
                continue;
            }
            let (kind, rest) = line.split_once(' ').unwrap();
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let words = || rest.split(' ').filter(|word| !word.is_empty());
            let bounds = words().find_map(bounds).unwrap_or_default();
            let shape = match kind {
                "operation" => {
                    let words: Vec<_> = words().collect();
                    let operation = Operation {
                        input: words[0],
                        output: words[1],
                        errors: words[2..].to_vec(),
                    };
                    model.operations.insert(name, operation);
                    continue;
                }
                "structure" => {
                    structure = name;
                    Shape::Structure(Vec::new())
                }
                "list" => Shape::List {
                    element: words().next().unwrap(),
                    bounds,
                },
                "enum" => Shape::Enum(words().collect()),
                kind => {
                    let pattern = rest.find('/').map(|at| &rest[at + 1..rest.len() - 1]);
                    let secret = words().any(|word| word == "secret");
                    Shape::Scalar {
                        kind,
                        bounds,
                        secret,
                        pattern,
                    }
                }
            };
            model.shapes.insert(name, shape);
        }
        model
    }

    fn members(&self, structure: &str) -> &[Member] {
        match &self.shapes[structure] {
            Shape::Structure(members) => members,
            other => panic!("{structure} is {other:?}"),
        }
    }
}

/// `1..64`, `1..` or `..64`; nothing for any other word.
fn bounds(word: &str) -> Option<Bounds> {
    let (min, max) = word.split_once("..")?;
    let number = |text: &str| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    Some(Bounds {
        min: number(min)?,
        max: number(max)?,
    })
}

/// Fails unless `found` is what `listed` says, each with a reason.
fn differ_as_listed(found: Vec<String>, listed: &[(&str, &str)]) {
    let is_listed = |difference: &String| listed.iter().any(|(listed, _)| difference == listed);
    let unlisted: Vec<_> = found.iter().filter(|found| !is_listed(found)).collect();
    assert!(
        unlisted.is_empty(),
        "differences without a reason: {unlisted:#?}"
    );
    for (difference, reason) in listed {
        assert!(!reason.is_empty());
        assert!(
            found.iter().any(|found| found == difference),
            "listed, but there is no such difference: {difference}"
        );
    }
}

#[test]
fn the_extract_is_read() {
    let model = Model::of_today();
    let name = Shape::Scalar {
        kind: "string",
        bounds: Bounds {
            min: Some(1),
            max: Some(64),
        },
        secret: false,
        pattern: Some("[a-zA-Z0-9_.-]+"),
    };
    assert_eq!(model.shapes["DeliveryStreamName"], name);
    let records = Shape::List {
        element: "Record",
        bounds: Bounds {
            min: Some(1),
            max: Some(500),
        },
    };
    assert_eq!(model.shapes["PutRecordBatchRequestEntryList"], records);
    let data = Member {
        name: "Data",
        required: true,
        shape: "Data",
    };
    assert_eq!(model.members("Record"), [data]);
    assert_eq!(model.operations["PutRecord"].errors.len(), 5);
    assert_eq!(Model::of_2015().operations.len(), 7);
}

//! Rows, written as a producer would in every format, come out of COPY as they went in.
//!
//! The writers here and the reader of COPY text share no code with what they test.

use hydrant_copy::{Column, CopyOptions, Format, JsonFormat, JsonPaths, Kind, S3Url, Transform};
use proptest::prelude::*;

/// A row of three columns: VARCHAR, INTEGER, VARCHAR.
type Row = (Option<String>, Option<i32>, Option<String>);

const COLUMNS: [(&str, Kind); 3] = [
    ("name", Kind::Varchar(None)),
    ("count", Kind::Integer),
    ("note", Kind::Varchar(None)),
];

/// How rows are written: the options, and what writes one.
#[derive(Clone, Copy, Debug)]
enum Writer {
    /// A backslash before what means something.
    Escaped(char),
    /// As it is, so the text may hold nothing that means something.
    Plain(char),
    /// Quoted where it must be, or throughout.
    Csv(char, char, bool),
    /// In quotes of either kind, without what means something.
    RemoveQuotes(char),
    /// Padded with blanks.
    FixedWidth,
    /// An object a line.
    Json,
    /// Arrays, one after the other without anything between.
    JsonPaths,
}

/// Wide enough for each text in characters.
const WIDTH: usize = 12;

impl Writer {
    fn options(self) -> String {
        match self {
            Writer::Escaped(delimiter) => format!("DELIMITER '{delimiter}' ESCAPE"),
            Writer::Plain(delimiter) => format!("DELIMITER '{delimiter}'"),
            Writer::Csv(delimiter, quote, _) => {
                let quote = if quote == '\'' {
                    "''".to_string()
                } else {
                    quote.to_string()
                };
                format!(r"CSV QUOTE '{quote}' DELIMITER '{delimiter}' NULL '\\N'")
            }
            Writer::RemoveQuotes(delimiter) => format!("REMOVEQUOTES DELIMITER '{delimiter}'"),
            Writer::FixedWidth => {
                format!(r"FIXEDWIDTH 'a:{WIDTH},b:{WIDTH},c:{WIDTH}' TRIMBLANKS NULL '\\N'")
            }
            Writer::Json => "JSON 'auto'".to_string(),
            Writer::JsonPaths => {
                r#"JSON 's3://b/{"jsonpaths":["$[0]","$[1].n","$[2][''x''][0]"]}'"#.to_string()
            }
        }
    }

    /// What the text cannot say in this format.
    fn can_say(self, text: &str) -> bool {
        let holds = |c: &[char]| text.contains(c);
        match self {
            Writer::Escaped(_) => true,
            Writer::Plain(delimiter) => !holds(&[delimiter, '\n', '\r']) && text != r"\N",
            Writer::Csv(..) => text != r"\N",
            Writer::RemoveQuotes(_) => !holds(&['\'', '"', '\n', '\r']) && text != r"\N",
            Writer::FixedWidth => {
                !holds(&['\n', '\r'])
                    && text.trim_end() == text
                    && text != r"\N"
                    && text.chars().count() <= WIDTH
            }
            Writer::Json | Writer::JsonPaths => true,
        }
    }

    fn field(self, text: Option<&str>) -> String {
        let Some(text) = text else {
            return match self {
                Writer::FixedWidth => format!("{:WIDTH$}", r"\N"),
                _ => r"\N".to_string(),
            };
        };
        match self {
            // Escaped as every backslash is, it would be NULL; another backslash makes the N literal.
            Writer::Escaped(_) if text == r"\N" => r"\\\N".to_string(),
            Writer::Escaped(delimiter) => {
                let mut escaped = String::new();
                for c in text.chars() {
                    if c == delimiter || matches!(c, '\\' | '\n' | '\r') {
                        escaped.push('\\');
                    }
                    escaped.push(c);
                }
                escaped
            }
            Writer::Plain(_) => text.to_string(),
            Writer::Csv(delimiter, quote, always) => {
                let special = [delimiter, quote, '\n', '\r'];
                match always || text.contains(special) || text.trim() != text {
                    true => format!(
                        "{quote}{}{quote}",
                        text.replace(quote, &format!("{quote}{quote}"))
                    ),
                    false => text.to_string(),
                }
            }
            Writer::RemoveQuotes(_) => format!("\"{text}\""),
            Writer::FixedWidth => format!("{text:WIDTH$}"),
            Writer::Json | Writer::JsonPaths => unreachable!("objects are written whole"),
        }
    }

    fn row(self, (name, count, note): &Row) -> String {
        let number = count.map(|count| count.to_string());
        let fields =
            || [name.as_deref(), number.as_deref(), note.as_deref()].map(|text| self.field(text));
        match self {
            Writer::Escaped(d)
            | Writer::Plain(d)
            | Writer::Csv(d, ..)
            | Writer::RemoveQuotes(d) => fields().join(&d.to_string()) + "\n",
            Writer::FixedWidth => fields().concat() + "\n",
            Writer::Json => {
                let object =
                    serde_json::json!({"note": note, "count": count, "name": name, "x": {}});
                object.to_string() + "\n"
            }
            Writer::JsonPaths => serde_json::json!([name, {"n": count}, {"x": [note]}]).to_string(),
        }
    }
}

fn writer() -> impl Strategy<Value = Writer> {
    let delimiter = || prop::sample::select(vec!['|', ',', '\t', ';', '~', '\u{1}', ' ']);
    // White space beside a delimiter that is itself a blank is another matter than beside others.
    let csv = prop::sample::select(vec!['|', ',', '\t', ';', '\u{1}']);
    prop_oneof![
        delimiter().prop_map(Writer::Escaped),
        delimiter().prop_map(Writer::Plain),
        (
            csv,
            prop::sample::select(vec!['"', '\'', '%']),
            any::<bool>()
        )
            .prop_map(|(delimiter, quote, always)| Writer::Csv(delimiter, quote, always)),
        delimiter().prop_map(Writer::RemoveQuotes),
        Just(Writer::FixedWidth),
        Just(Writer::Json),
        Just(Writer::JsonPaths),
    ]
}

fn text() -> impl Strategy<Value = String> {
    // No NUL, which ends a record of text and which PostgreSQL cannot hold; and no byte order mark, which at the
    // beginning of a file is one.
    prop_oneof![
        "[a-c|,;~'\"%\\\\\t\r\n\u{1} é😀N]{0,12}",
        "[^\0\u{feff}]{0,12}",
        r"[a-z]{1,12}",
    ]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::option::weighted(0.9, text()),
        prop::option::weighted(0.9, any::<i32>()),
        prop::option::weighted(0.9, text()),
    );
    prop::collection::vec(row, 0..12)
}

/// What PostgreSQL would read.
fn read_copy_text(out: &[u8]) -> Vec<Vec<Option<String>>> {
    let field = |field: &str| {
        if field == r"\N" {
            return None;
        }
        let (mut text, mut chars) = (String::new(), field.chars());
        while let Some(c) = chars.next() {
            text.push(match c {
                '\\' => match chars.next().unwrap() {
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    '\\' => '\\',
                    other => panic!("\\{other} in {field}"),
                },
                other => other,
            });
        }
        Some(text)
    };
    let text = std::str::from_utf8(out).unwrap();
    let lines = text.strip_suffix('\n').map(|lines| lines.split('\n'));
    let lines = lines.into_iter().flatten();
    lines
        .map(|line| line.split('\t').map(field).collect())
        .collect()
}

fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "UTF16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF16" => [0xfeff]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_be_bytes)
            .collect(),
        _ => text.as_bytes().to_vec(),
    }
}

proptest! {
    #[test]
    fn rows_come_out_as_they_went_in(
        writer in writer(),
        rows in rows(),
        encoding in prop::sample::select(vec!["UTF8", "UTF16", "UTF16LE", "UTF16BE"]),
        piece in 1usize..64,
        trailing in any::<bool>(),
    ) {
        let mut rows = rows;
        rows.retain(|(name, _, note)| {
            let say = |text: &Option<String>| text.as_deref().is_none_or(|text| writer.can_say(text));
            say(name) && say(note)
        });
        let mut file: String = rows.iter().map(|row| writer.row(row)).collect();
        // The last line end may be missing.
        if !trailing && file.ends_with('\n') {
            file.pop();
        }
        let text = format!("{} ENCODING {encoding}", writer.options());
        let options = CopyOptions::parse(&text).unwrap();
        let paths = match &options.format {
            Format::Json(JsonFormat::Paths(url)) => {
                let url = S3Url::parse(url).unwrap();
                Some(JsonPaths::parse(url.key().as_bytes()).unwrap())
            }
            _ => None,
        };
        let columns = COLUMNS.map(|(name, kind)| Column { name: name.to_string(), kind, not_null: false });
        let mut transform = Transform::new(&options, columns.to_vec(), paths).unwrap();
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        transform.begin_file();
        for chunk in encoded(&file, encoding).chunks(piece) {
            transform.feed(chunk, &mut out, &mut errors).unwrap();
        }
        transform.end_file(&mut out, &mut errors).unwrap();
        prop_assert_eq!(&errors, &[], "{} of {:?}", text, file);
        let expected: Vec<_> = rows
            .into_iter()
            .map(|(name, count, note)| vec![name, count.map(|count| count.to_string()), note])
            .collect();
        prop_assert_eq!(transform.rows(), expected.len() as u64);
        prop_assert_eq!(read_copy_text(&out), expected, "{} of {:?}", text, file);
    }
}

//! The names in a COPY command: its table and its columns (SPEC §5.3).
//!
//! ```text
//! name      [A-Za-z_ or not ASCII][the same, 0-9, $]*    folded to small letters, as databases do
//!           " … "                                        as it is; "" is a quote
//! table     name  |  name.name
//! columns   name, …   with or without parentheses around them; nothing means all columns
//! ```
//!
//! For PostgreSQL names are taken apart and quoted anew, so that they can be nothing but names. For Redshift they are
//! pasted as the user wrote them; [`check_pasted`] sees to it that they stay where they are put.

use std::collections::HashSet;

use crate::options::MAX_COLUMNS;

/// The longest name, in bytes, as in Redshift. PostgreSQL cuts longer than 63, as it does wherever it reads one.
pub const MAX_NAME_BYTES: usize = 127;
/// The longest text of a table's name, in bytes (the limit of `DataTableName`).
pub const MAX_TABLE_BYTES: usize = 512;
/// The longest text of a column list, in bytes (the limit of `DataTableColumns`).
pub const MAX_COLUMNS_BYTES: usize = 204_800;

/// The name of a table, perhaps with its schema's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The schema; without one the database searches its `search_path`.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

/// The columns that a COPY names, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnList(Vec<String>);

/// Why text is no name, or no list of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Something that cannot stand there.
    #[error("syntax error at or near \"{near}\" Position: {}", position + 1)]
    Unexpected {
        /// The character.
        near: char,
        /// Where, in bytes from 0.
        position: usize,
    },
    /// A name is missing at the end.
    #[error("syntax error at end of input Position: {}", .0 + 1)]
    End(usize),
    /// A `"` has no second one.
    #[error("unterminated quoted identifier Position: {}", .0 + 1)]
    Unterminated(usize),
    /// `""`, a NUL within quotes, or more than [`MAX_NAME_BYTES`].
    #[error("a name must have 1 to {MAX_NAME_BYTES} bytes, none of them NUL")]
    NotAName,
    /// More names than a schema's and a table's.
    #[error("a table's name is TABLE or SCHEMA.TABLE")]
    TooManyParts,
    /// A column is named twice.
    #[error("column \"{0}\" specified more than once")]
    Duplicate(String),
    /// More columns than a table can have.
    #[error("more than {MAX_COLUMNS} columns")]
    TooMany,
    /// More text than the API takes.
    #[error("the text is longer than {0} bytes")]
    TooLong(usize),
    /// What must not be pasted into a statement.
    #[error("\"{0}\" cannot stand here")]
    NotPasted(&'static str),
    /// A parenthesis without the other.
    #[error("parentheses are not balanced")]
    Unbalanced,
}

impl TableName {
    /// Reads `table` or `schema.table`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_TABLE_BYTES {
            return Err(NameError::TooLong(MAX_TABLE_BYTES));
        }
        let mut reader = Reader { text, at: 0 };
        let first = reader.name()?;
        let second = match reader.skip('.') {
            true => Some(reader.name()?),
            false => None,
        };
        if reader.skip('.') {
            return Err(NameError::TooManyParts);
        }
        reader.end()?;
        Ok(match second {
            Some(table) => TableName {
                schema: Some(first),
                table,
            },
            None => TableName {
                schema: None,
                table: first,
            },
        })
    }

    /// As it is written in SQL, quoted: nothing but a name, whatever the name is.
    pub fn to_sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.table)),
            None => quoted(&self.table),
        }
    }
}

impl ColumnList {
    /// Reads names between commas, with or without parentheses around them. No name at all means all columns.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_COLUMNS_BYTES {
            return Err(NameError::TooLong(MAX_COLUMNS_BYTES));
        }
        let mut reader = Reader { text, at: 0 };
        let parentheses = reader.skip('(');
        let mut names = Vec::new();
        if !matches!(reader.peek(), None | Some(')')) {
            names.push(reader.name()?);
            while reader.skip(',') {
                names.push(reader.name()?);
            }
        }
        if parentheses && !reader.skip(')') {
            reader.end()?;
            return Err(NameError::Unbalanced);
        }
        reader.end()?;
        if names.len() > MAX_COLUMNS {
            return Err(NameError::TooMany);
        }
        let mut seen = HashSet::new();
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(NameError::Duplicate(twice.clone())),
            None => Ok(ColumnList(names)),
        }
    }

    /// The names, in their order; none where all columns are meant, in the table's order.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether all columns are meant.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is written in SQL, quoted and with parentheses; empty where all columns are meant.
    pub fn to_sql(&self) -> String {
        if self.is_all() {
            return String::new();
        }
        let names: Vec<_> = self.0.iter().map(|name| quoted(name)).collect();
        format!("({})", names.join(", "))
    }
}

/// A name as SQL's quoted identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether a table's name or a column list can be pasted into the COPY statement for Redshift: it is its own to judge
/// what is there, but nothing there may end the statement, begin a string or a comment, or close a parenthesis that
/// it has not opened.
pub fn check_pasted(text: &str) -> Result<(), NameError> {
    if text.len() > MAX_COLUMNS_BYTES {
        return Err(NameError::TooLong(MAX_COLUMNS_BYTES));
    }
    let (mut depth, mut quote) = (0usize, None);
    let mut before = None;
    // Within what begins like a name, a $ is part of it; elsewhere it begins a string, as in $$…$$ and $tag$…$tag$.
    let mut name = None;
    for (at, character) in text.char_indices() {
        let continues = character == '_'
            || character == '$'
            || character.is_ascii_alphanumeric()
            || !character.is_ascii();
        name = match (quote, continues, name) {
            (None, true, None) => Some(character != '$' && !character.is_ascii_digit()),
            (None, true, within) => within,
            _ => None,
        };
        match (quote, character, before) {
            (_, '\0', _) => return Err(NameError::NotAName),
            // A doubled quote ends the name and begins it again, which comes to the same.
            (Some(_), '"', _) => quote = None,
            (Some(_), _, _) => {}
            (None, '"', _) => quote = Some(at),
            (None, ';', _) => return Err(NameError::NotPasted(";")),
            (None, '\'', _) => return Err(NameError::NotPasted("'")),
            (None, '$', before) if before == Some('$') || name != Some(true) => {
                return Err(NameError::NotPasted("$"));
            }
            (None, '-', Some('-')) => return Err(NameError::NotPasted("--")),
            (None, '*', Some('/')) => return Err(NameError::NotPasted("/*")),
            (None, '(', _) => depth += 1,
            (None, ')', _) => depth = depth.checked_sub(1).ok_or(NameError::Unbalanced)?,
            _ => {}
        }
        before = Some(character);
    }
    match (quote, depth) {
        (Some(at), _) => Err(NameError::Unterminated(at)),
        (None, 0) => Ok(()),
        (None, _) => Err(NameError::Unbalanced),
    }
}

/// Reads names one after the other, with white space anywhere between.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    /// The next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
        self.at += rest.len() - rest.trim_start_matches(blank).len();
        self.text.get(self.at..)?.chars().next()
    }

    fn skip(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn end(&mut self) -> Result<(), NameError> {
        match self.peek() {
            None => Ok(()),
            Some(near) => Err(NameError::Unexpected {
                near,
                position: self.at,
            }),
        }
    }

    fn name(&mut self) -> Result<String, NameError> {
        let first = self.peek().ok_or(NameError::End(self.text.len()))?;
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let name = match first {
            '"' => {
                let (name, length) = in_quotes(rest).ok_or(NameError::Unterminated(start))?;
                self.at += length;
                name
            }
            first if first == '_' || first.is_ascii_alphabetic() || !first.is_ascii() => {
                let belongs =
                    |c: char| c == '_' || c == '$' || c.is_ascii_alphanumeric() || !c.is_ascii();
                let length = rest.len() - rest.trim_start_matches(belongs).len();
                self.at += length;
                rest.get(..length).unwrap_or_default().to_ascii_lowercase()
            }
            near => {
                return Err(NameError::Unexpected {
                    near,
                    position: start,
                });
            }
        };
        match name.len() {
            1..=MAX_NAME_BYTES if !name.contains('\0') => Ok(name),
            _ => Err(NameError::NotAName),
        }
    }
}

/// The quoted name that `text` begins with, and its length there with the quotes.
fn in_quotes(text: &str) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '"' && characters.next_if(|(_, next)| *next == '"').is_none() {
            return Some((name, at + 1));
        }
        name.push(character);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_with_or_without_a_schema() {
        for (text, schema, table) in [
            ("venue", None, "venue"),
            ("Venue_2$", None, "venue_2$"),
            ("PUBLIC.Venue", Some("public"), "venue"),
            (" a . b\n", Some("a"), "b"),
            ("\"Venue\"", None, "Venue"),
            ("\"a.b\".\"c\"\"d\"", Some("a.b"), "c\"d"),
            ("s.\"T; DROP TABLE x\"", Some("s"), "T; DROP TABLE x"),
            ("Größe", None, "größe"),
        ] {
            let name = TableName::parse(text).unwrap();
            assert_eq!(
                (name.schema.as_deref(), name.table.as_str()),
                (schema, table)
            );
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for (text, error) in [
            ("", "syntax error at end of input Position: 1"),
            ("a.", "syntax error at end of input Position: 3"),
            (".a", r#"syntax error at or near "." Position: 1"#),
            ("1a", r#"syntax error at or near "1" Position: 1"#),
            ("a b", r#"syntax error at or near "b" Position: 3"#),
            ("a;", r#"syntax error at or near ";" Position: 2"#),
            ("a--", r#"syntax error at or near "-" Position: 2"#),
            ("a(b)", r#"syntax error at or near "(" Position: 2"#),
            ("a.b.c", "a table's name is TABLE or SCHEMA.TABLE"),
            ("a.\"b", "unterminated quoted identifier Position: 3"),
            ("\"\"", "a name must have 1 to 127 bytes, none of them NUL"),
            (
                "\"a\0\"",
                "a name must have 1 to 127 bytes, none of them NUL",
            ),
            (&long, "a name must have 1 to 127 bytes, none of them NUL"),
            (&"x".repeat(513), "the text is longer than 512 bytes"),
        ] {
            let refused = TableName::parse(text).unwrap_err().to_string();
            assert_eq!(refused, error, "{text}");
        }
    }

    #[test]
    fn a_list_of_columns() {
        for (text, names, sql) in [
            ("", &[][..], ""),
            (" () ", &[], ""),
            ("a", &["a"], r#"("a")"#),
            ("A, \"B c\" ,d", &["a", "B c", "d"], r#"("a", "B c", "d")"#),
            ("(a,\n\"x\"\"y\")", &["a", "x\"y"], r#"("a", "x""y")"#),
            ("a,\"A\"", &["a", "A"], r#"("a", "A")"#),
        ] {
            let columns = ColumnList::parse(text).unwrap();
            assert_eq!(columns.names(), names, "{text}");
            assert_eq!(columns.to_sql(), sql, "{text}");
            assert_eq!(columns.is_all(), names.is_empty());
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let many: Vec<_> = (0..=MAX_COLUMNS).map(|n| format!("c{n}")).collect();
        for (text, error) in [
            ("a,", "syntax error at end of input Position: 3"),
            (",a", r#"syntax error at or near "," Position: 1"#),
            ("a b", r#"syntax error at or near "b" Position: 3"#),
            ("a)", r#"syntax error at or near ")" Position: 2"#),
            ("(a", "parentheses are not balanced"),
            ("(a))", r#"syntax error at or near ")" Position: 4"#),
            ("a.b", r#"syntax error at or near "." Position: 2"#),
            ("a, A", "column \"a\" specified more than once"),
            (&many.join(","), "more than 1600 columns"),
            (
                &" ".repeat(MAX_COLUMNS_BYTES + 1),
                "the text is longer than 204800 bytes",
            ),
        ] {
            let refused = ColumnList::parse(text).unwrap_err().to_string();
            assert_eq!(refused, error, "{text}");
        }
    }

    #[test]
    fn what_is_pasted_stays_where_it_is_put() {
        for text in [
            "",
            "venue",
            "s.\"T; '--\"",
            "a, b",
            "(a, (b))",
            "db.s.t",
            "a$b",
        ] {
            assert_eq!(check_pasted(text), Ok(()), "{text}");
        }
        for (text, error) in [
            ("a; drop table b", "\";\" cannot stand here"),
            ("a from 's3://b/k'", "\"'\" cannot stand here"),
            ("a$$b$$", "\"$\" cannot stand here"),
            ("t null $x$", "\"$\" cannot stand here"),
            ("a, 1$x$", "\"$\" cannot stand here"),
            ("\"a\"$x$", "\"$\" cannot stand here"),
            ("a -- b", "\"--\" cannot stand here"),
            ("a /* b", "\"/*\" cannot stand here"),
            ("a) from b (", "parentheses are not balanced"),
            ("a (b", "parentheses are not balanced"),
            ("\"a", "unterminated quoted identifier Position: 1"),
            ("a\0", "a name must have 1 to 127 bytes, none of them NUL"),
        ] {
            assert_eq!(check_pasted(text).unwrap_err().to_string(), error, "{text}");
        }
    }

    proptest! {
        #[test]
        fn sql_says_the_same_name(schema in prop::option::of(name()), table in name()) {
            let name = TableName { schema, table };
            prop_assert_eq!(check_pasted(&name.to_sql()), Ok(()));
            prop_assert_eq!(TableName::parse(&name.to_sql()), Ok(name));
        }

        #[test]
        fn sql_says_the_same_columns(names in prop::collection::hash_set(name(), 0..9)) {
            let columns = ColumnList(names.into_iter().collect());
            prop_assert_eq!(check_pasted(&columns.to_sql()), Ok(()));
            prop_assert_eq!(ColumnList::parse(&columns.to_sql()), Ok(columns));
        }

        #[test]
        fn nothing_panics_and_names_can_be_pasted(text in r#"[a-c"".(),; é'$/*-]{0,20}"#) {
            let table = TableName::parse(&text).is_ok();
            let columns = ColumnList::parse(&text).is_ok();
            let pasted = check_pasted(&text);
            // Two of them in a name are one to PostgreSQL; here they are refused anywhere.
            if (table || columns) && pasted != Err(NameError::NotPasted("$")) {
                prop_assert_eq!(pasted, Ok(()));
            }
        }
    }

    fn name() -> impl Strategy<Value = String> {
        "[^\0]{1,20}"
    }
}

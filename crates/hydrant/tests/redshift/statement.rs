//! The COPY statement as Redshift reads it; as far as Hydrant may write it, and no further.

use object_store::aws::AwsCredential;

/// What a COPY statement says.
#[derive(Debug)]
pub(crate) struct Copy<'a> {
    pub(crate) table: &'a str,
    pub(crate) columns: &'a str,
    pub(crate) url: String,
    pub(crate) credentials: Credentials,
    pub(crate) options: &'a str,
    /// Where the options begin in the statement, in bytes.
    pub(crate) options_at: usize,
}

/// What CREDENTIALS says.
#[derive(Debug)]
pub(crate) enum Credentials {
    Keys(AwsCredential),
    Role(String),
}

impl<'a> Copy<'a> {
    /// `None`, where it is another statement or not whole.
    pub(crate) fn parse(sql: &'a str) -> Option<Self> {
        let names = sql.strip_prefix("COPY ")?;
        let (names, _) = names.split_once('\'')?;
        let at = "COPY ".len() + names.len();
        let names = names.strip_suffix(" FROM ")?;
        let (table, columns) = match names.split_once('(') {
            Some((table, columns)) => (table.trim(), columns.strip_suffix(')')?),
            None => (names, ""),
        };
        let (url, rest) = literal(&sql[at..])?;
        let (credentials, rest) = literal(rest.strip_prefix(" CREDENTIALS ")?)?;
        let options = rest.strip_prefix(" MANIFEST")?.strip_suffix(';')?;
        Some(Copy {
            table,
            columns,
            url,
            credentials: Credentials::parse(&credentials)?,
            options,
            options_at: sql.len() - 1 - options.len(),
        })
    }
}

impl Credentials {
    fn parse(text: &str) -> Option<Self> {
        let (mut id, mut secret, mut token) = (None, None, None);
        for part in text.split(';') {
            let (name, value) = part.split_once('=')?;
            let value = Some(value.to_owned());
            match name {
                "aws_iam_role" => return value.map(Credentials::Role),
                "aws_access_key_id" => id = value,
                "aws_secret_access_key" => secret = value,
                "token" => token = value,
                _ => return None,
            }
        }
        Some(Credentials::Keys(AwsCredential {
            key_id: id?,
            secret_key: secret?,
            token,
        }))
    }
}

/// The string that `text` begins with, and what follows it. A backslash escapes, as in PostgreSQL 8.0.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.strip_prefix('\'')?.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_some() => value.push('\''),
            '\'' => return Some((value, &text[at + 2..])),
            other => value.push(other),
        }
    }
    None
}

#[test]
fn statements_are_taken_apart() {
    let sql = r"COPY s.t (a, b) FROM 's3://b/it''s\\m' CREDENTIALS 'aws_iam_role=r' MANIFEST csv quote '''';";
    let copy = Copy::parse(sql).unwrap();
    assert_eq!((copy.table, copy.columns), ("s.t", "a, b"));
    assert_eq!(copy.url, r"s3://b/it's\m");
    assert_eq!(copy.options, " csv quote ''''");
    assert_eq!(&sql[copy.options_at..], " csv quote '''';");
    for cut in 0..sql.len() {
        assert!(Copy::parse(&sql[..cut]).is_none());
    }
}

//! The model's regular expressions, each a text to print and a function that decides.
//!
//! There are few of them and they are simple, so they are matched by hand: a regex engine would be
//! one more thing that untrusted bytes reach. As in Java's `matches`, the whole text must match, and
//! `.` matches no line end.

use std::fmt;

/// A regular expression of the model.
pub struct Pattern {
    /// As errors print it.
    pub text: &'static str,
    decide: fn(&str) -> bool,
}

impl Pattern {
    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        (self.decide)(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

/// Delivery stream names.
pub static STREAM_NAME: Pattern = Pattern {
    text: "[a-zA-Z0-9_.-]+",
    decide: |text| some_of(text, |c| c.is_ascii_alphanumeric() || "_.-".contains(c)),
};

/// Version ids.
pub static VERSION_ID: Pattern = Pattern {
    text: "[0-9]+",
    decide: |text| some_of(text, |c| c.is_ascii_digit()),
};

/// ARNs as the model of 2015 had them: today's patterns demand parts that stores other than S3
/// leave empty.
pub static ARN: Pattern = Pattern {
    text: "arn:.*",
    decide: |text| text.strip_prefix("arn:").is_some_and(one_line),
};

/// JDBC URLs: the model's pattern with any host, since the cluster need not be Amazon's, any database, as
/// what a URL may not hold is written with `%`, and the parameters that clients connect with.
pub static JDBC_URL: Pattern = Pattern {
    text: r"jdbc:(redshift|postgresql)://([A-Za-z0-9._-]+|\[[A-Fa-f0-9:.]+\])(:\d{1,5})?/[a-zA-Z0-9_$%-]+(\?[!-~]*)?",
    decide: jdbc_url,
};

/// File extensions of objects.
pub static FILE_EXTENSION: Pattern = Pattern {
    text: r"^(|\.[0-9a-z!\-_.*'()]+)$",
    decide: |text| {
        let allowed =
            |c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || "!-_.*'()".contains(c);
        text.is_empty()
            || text
                .strip_prefix('.')
                .is_some_and(|rest| some_of(rest, allowed))
    },
};

/// IANA time zone names.
pub static TIME_ZONE: Pattern = Pattern {
    text: r"^$|[a-zA-Z/_]+",
    decide: |text| {
        text.chars()
            .all(|c| c.is_ascii_alphabetic() || "/_".contains(c))
    },
};

/// CloudWatch log groups.
pub static LOG_GROUP: Pattern = Pattern {
    text: r"[\.\-_/#A-Za-z0-9]*",
    decide: |text| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_/#".contains(c))
    },
};

/// CloudWatch log streams.
pub static LOG_STREAM: Pattern = Pattern {
    text: r"[^:*]*",
    decide: |text| !text.contains([':', '*']),
};

/// Texts that are not blank.
pub static NOT_BLANK: Pattern = Pattern {
    text: r"^(?!\s*$).+",
    decide: |text| one_line(text) && !text.trim_matches(java_space).is_empty(),
};

/// Keys of tags.
pub static TAG_KEY: Pattern = Pattern {
    text: r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$",
    decide: |text| !text.starts_with("aws:") && text.chars().all(tag_char),
};

/// Values of tags.
pub static TAG_VALUE: Pattern = Pattern {
    text: r"^[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$",
    decide: |text| text.chars().all(tag_char),
};

fn some_of(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

/// `.*`: anything without Java's line ends.
fn one_line(text: &str) -> bool {
    !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Java's `\s`.
fn java_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// Letters, numbers, separators (`\p{L}\p{N}\p{Z}`) and some signs. `\p{Z}` is white space that is
/// no control character.
fn tag_char(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@%".contains(c)
}

fn jdbc_url(text: &str) -> bool {
    let Some(rest) = text
        .strip_prefix("jdbc:redshift://")
        .or_else(|| text.strip_prefix("jdbc:postgresql://"))
    else {
        return false;
    };
    let Some((authority, path)) = rest.split_once('/') else {
        return false;
    };
    let (database, parameters) = path.split_once('?').unwrap_or((path, ""));
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            let address = some_of(address, |c| c.is_ascii_hexdigit() || ":.".contains(c));
            (address, port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let host = some_of(host, |c| c.is_ascii_alphanumeric() || "._-".contains(c));
            (host, port)
        }
    };
    let digits = |port: &str| port.len() <= 5 && some_of(port, |c| c.is_ascii_digit());
    host && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
        && some_of(database, |c| {
            c.is_ascii_alphanumeric() || "_$%-".contains(c)
        })
        && parameters.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(pattern: &Pattern, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(pattern.matches(text), "{pattern:?} should match {text:?}");
        }
        for text in no {
            assert!(
                !pattern.matches(text),
                "{pattern:?} should not match {text:?}"
            );
        }
    }

    #[test]
    fn patterns() {
        each(
            &STREAM_NAME,
            &["a", "A.b_c-9"],
            &["", "a b", "ä", "a/b", "a\n"],
        );
        each(&VERSION_ID, &["1", "0042"], &["", "1a", "-1", "١"]);
        each(
            &ARN,
            &["arn:", "arn:aws:iam:::role/x"],
            &["", "arn", "Arn:x", "arn:a\nb"],
        );
        each(
            &JDBC_URL,
            &[
                "jdbc:redshift://c.abc.us-east-1.redshift.amazonaws.com:5439/dev",
                "jdbc:postgresql://localhost/my-db",
                "jdbc:postgresql://10.0.0.1:5432/a_$b",
                "jdbc:redshift://h:5439/db?ssl=true&sslmode=require",
                "jdbc:redshift://h/db?",
                "jdbc:postgresql://h/my%20db",
                "jdbc:postgresql://[::1]:5432/db",
                "jdbc:postgresql://[fe80::10.0.0.1]/db",
            ],
            &[
                "",
                "jdbc:mysql://h/db",
                "jdbc:redshift:///db",
                "jdbc:redshift://h:/db",
                "jdbc:redshift://h:123456/db",
                "jdbc:redshift://h:5439",
                "jdbc:redshift://h:5439/",
                "jdbc:redshift://u@h:5439/db",
                "jdbc:redshift://h:5439/?ssl=true",
                "jdbc:redshift://h:5439/db;ssl=true",
                "jdbc:redshift://h:5439/db?a b",
                "jdbc:redshift://h:5439/db?a\n",
                "jdbc:redshift://h:5439/a/b",
                "jdbc:redshift://[::1/db",
                "jdbc:redshift://[]:5439/db",
                "jdbc:redshift://[::1]5439/db",
                "jdbc:redshift://[::1]:/db",
                "jdbc:redshift://[::g]/db",
            ],
        );
        each(
            &FILE_EXTENSION,
            &["", ".json", "..", ".a.b"],
            &["json", ".", ".JSON"],
        );
        each(
            &TIME_ZONE,
            &["", "UTC", "Europe/Berlin"],
            &["Etc/GMT+1", "a b"],
        );
        each(&LOG_GROUP, &["", "/aws/x#1"], &["a:b"]);
        each(&LOG_STREAM, &["", "S3Delivery"], &["a:b", "*"]);
        each(&NOT_BLANK, &["a", " a "], &["", "  \t", "a\nb"]);
        each(
            &TAG_KEY,
            &["", "Größe 1", "a:b@c%"],
            &["aws:x", "a#b", "a\tb"],
        );
    }
}

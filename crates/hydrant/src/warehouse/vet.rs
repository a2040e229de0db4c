//! Whether a warehouse can do what a configuration says, as far as that can be known without asking it. Pure.
//!
//! For PostgreSQL Hydrant itself does what the COPY options say, so it knows, and refuses at creation what it cannot
//! honour: nothing is ignored. Redshift's options are Redshift's to judge, when the first COPY arrives there, as with
//! Firehose; here it is only seen to it that they can be pasted into a statement.

use hydrant_copy::{ColumnList, Compression, CopyOptions, TableName, table::NameError};

use super::{
    errors::{Code, of_options},
    jdbc::{Engine, JdbcUrl},
    redshift,
};
use crate::stream::{CompressionFormat, RedshiftSpec};

/// Checks `spec`.
///
/// # Errors
/// The message of the InvalidArgumentException that refuses it.
pub fn vet(spec: &RedshiftSpec) -> Result<(), String> {
    let url = JdbcUrl::parse(&spec.jdbc_url).map_err(|error| error.to_string())?;
    let copy = &spec.copy;
    if of_redshift(&url) {
        redshift::check(copy).map_err(|error| error.to_string())?;
    } else {
        let syntax = |error: NameError| Code::SyntaxError.refused(error).to_string();
        TableName::parse(&copy.table).map_err(syntax)?;
        ColumnList::parse(copy.columns.as_deref().unwrap_or_default()).map_err(syntax)?;
        let options = copy.options.as_deref().unwrap_or_default();
        let options =
            CopyOptions::parse(options).map_err(|error| of_options(&error).to_string())?;
        note_compression(spec, &options);
    }
    Ok(())
}

/// Whether it is Redshift, by URL alone; what `version()` says decides when it is loaded.
pub fn is_redshift(spec: &RedshiftSpec) -> bool {
    JdbcUrl::parse(&spec.jdbc_url).is_ok_and(|url| of_redshift(&url))
}

fn of_redshift(url: &JdbcUrl) -> bool {
    // Clusters and workgroups, also in China.
    const DOMAINS: [&str; 4] = [
        ".redshift.amazonaws.com",
        ".redshift.amazonaws.com.cn",
        ".redshift-serverless.amazonaws.com",
        ".redshift-serverless.amazonaws.com.cn",
    ];
    let host = url.host.to_ascii_lowercase();
    url.engine == Engine::Redshift || DOMAINS.iter().any(|domain| host.ends_with(domain))
}

/// GZIP is not inferred (SPEC §5.3). Producers may send records that are compressed already, so it is no error.
fn note_compression(spec: &RedshiftSpec, options: &CopyOptions) {
    let stored = spec.s3.compression == CompressionFormat::Gzip;
    let expected = options.compression == Compression::Gzip;
    if stored != expected {
        tracing::warn!(
            table = spec.copy.table,
            compression = spec.s3.compression.as_str(),
            "CompressionFormat and the COPY options do not agree on GZIP: unless records are compressed already, \
             COPY will fail"
        );
    }
}

#[cfg(test)]
mod tests {
    use hydrant_engine::Chance;

    use super::*;
    use crate::{
        credentials::{Sealed, Secret, Vault},
        stream::{BufferingHints, CopyCommand, Encryption, S3Spec},
    };

    fn sealed() -> Sealed {
        let vault = Vault::ephemeral(&Chance::seeded(1)).unwrap();
        vault.seal(&Secret::new("p"), "s").unwrap()
    }

    fn spec(jdbc_url: &str, table: &str, columns: &str, options: &str) -> RedshiftSpec {
        RedshiftSpec {
            role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
            jdbc_url: jdbc_url.to_owned(),
            username: "u".to_owned(),
            password: sealed(),
            copy: CopyCommand {
                table: table.to_owned(),
                columns: Some(columns.to_owned()),
                options: Some(options.to_owned()),
            },
            retry_s: 0,
            s3: S3Spec {
                role_arn: String::new(),
                bucket_arn: "arn:aws:s3:::b".to_owned(),
                prefix: None,
                buffering: BufferingHints::DEFAULT,
                compression: CompressionFormat::Uncompressed,
                encryption: Encryption::None,
                echoed: serde_json::Map::new(),
            },
            echoed: serde_json::Map::new(),
        }
    }

    const POSTGRES: &str = "jdbc:postgresql://h/d";
    const REDSHIFT: &str = "jdbc:redshift://h/d";
    const BY_NAME: &str = "jdbc:postgresql://c.abc.eu-west-1.redshift.amazonaws.com:5439/d";

    #[test]
    fn what_can_be_known_is_known_at_creation() {
        for (url, table, columns, options, refusal) in [
            (POSTGRES, "t", "", "json 'auto' gzip", None),
            (POSTGRES, "s.t", "a,b", "delimiter '|' escape;", None),
            ("jdbc:oracle://h/d", "t", "", "", Some("ClusterJDBCURL: ")),
            (POSTGRES, "t;", "", "", Some("Redshift.SyntaxError: ")),
            (POSTGRES, "t", "a b", "", Some("Redshift.SyntaxError: ")),
            (
                POSTGRES,
                "t",
                "",
                "csv escape",
                Some("Redshift.IncorrectCopyOptions: "),
            ),
            (
                POSTGRES,
                "t",
                "",
                "lzop",
                Some("Redshift.IncorrectCopyOptions: "),
            ),
            (
                POSTGRES,
                "t",
                "",
                "manifest",
                Some("Redshift.IncorrectCopyOptions: "),
            ),
            // Redshift knows these, and judges what contradicts what.
            (REDSHIFT, "t", "", "lzop", None),
            (BY_NAME, "d.s.t", "(a)", "csv escape", None),
            (
                REDSHIFT,
                "t",
                "",
                "manifest",
                Some("Redshift.IncorrectCopyOptions: "),
            ),
            (REDSHIFT, "t;", "", "", Some("Redshift.SyntaxError: ")),
        ] {
            let vetted = vet(&spec(url, table, columns, options));
            match refusal {
                None => assert_eq!(vetted, Ok(()), "{url} {table} {columns} {options}"),
                Some(begin) => {
                    let told = vetted.unwrap_err();
                    assert!(
                        told.starts_with(begin),
                        "{url} {table} {columns} {options}: {told}"
                    );
                }
            }
        }
        assert!(is_redshift(&spec(REDSHIFT, "", "", "")));
        assert!(is_redshift(&spec(BY_NAME, "", "", "")));
        assert!(!is_redshift(&spec(POSTGRES, "", "", "")));
    }
}

//! The table of SPEC §5.5, line by line, and that nothing else gets through.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> CopyOptions {
    CopyOptions::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    match CopyOptions::parse(text) {
        Ok(options) => panic!("{text} was taken for {options:?}"),
        Err(error) => error.to_string(),
    }
}

fn delimited(delimiter: u8, escape: bool, remove_quotes: bool) -> CopyOptions {
    CopyOptions {
        format: Format::Delimited {
            delimiter,
            escape,
            remove_quotes,
        },
        ..CopyOptions::default()
    }
}

fn csv(delimiter: u8, quote: u8) -> CopyOptions {
    CopyOptions {
        format: Format::Csv { delimiter, quote },
        ..CopyOptions::default()
    }
}

fn json(format: JsonFormat) -> CopyOptions {
    CopyOptions {
        format: Format::Json(format),
        ..CopyOptions::default()
    }
}

/// The defaults, but for one thing.
fn with(change: impl FnOnce(&mut CopyOptions)) -> CopyOptions {
    let mut options = CopyOptions::default();
    change(&mut options);
    options
}

#[test]
fn no_options_are_options() {
    for text in ["", "  \t\r\n", ";", " ; \n"] {
        assert_eq!(parse(text), CopyOptions::default(), "{text:?}");
    }
}

#[test]
fn the_founding_documents_examples() {
    assert_eq!(
        refusal(r"delimiter '\t' lzop;"),
        "LZOP is not supported; compress records with GZIP, BZIP2 or ZSTD, or let the service compress: \
         CompressionFormat GZIP and COPY option GZIP"
    );
    assert_eq!(
        parse(r"delimiter '\t' gzip;").compression,
        Compression::Gzip
    );
    // It stands there without its second quote, and Redshift would not have it either.
    assert_eq!(
        refusal("delimiter '|"),
        r#"unterminated quoted string at or near "'|" Position: 11"#
    );
    assert_eq!(parse("delimiter '|'"), CopyOptions::default());
    assert_eq!(parse("delimiter '|' escape"), delimited(b'|', true, false));
    let venue = "fixedwidth 'venueid:3,venuename:25,venuecity:12,venuestate:2,venueseats:6'";
    let columns = [
        ("venueid", 3),
        ("venuename", 25),
        ("venuecity", 12),
        ("venuestate", 2),
        ("venueseats", 6),
    ];
    assert_eq!(
        parse(venue).format,
        Format::FixedWidth(columns.map(|(l, w)| (l.to_string(), w)).to_vec())
    );
    assert_eq!(
        parse("JSON 's3://mybucket/jsonpaths.txt'"),
        json(JsonFormat::Paths("s3://mybucket/jsonpaths.txt".into()))
    );
}

#[test]
fn options_seen_in_the_wild() {
    assert_eq!(parse("JSON"), json(JsonFormat::Auto));
    let options = parse(r"CSV DELIMITER ',' NULL '\0'");
    assert_eq!(options.format, csv(b',', b'"').format);
    assert_eq!(options.null_as, [0]);
    let options = parse("maxerror 1000 FILLRECORD TRUNCATECOLUMNS ACCEPTINVCHARS");
    assert_eq!(options.max_errors, MaxErrors::Count(1000));
    assert!(options.fill_record && options.truncate_columns);
    assert_eq!(options.accept_inv_chars, Some(b'?'));
    let editor = "FORMAT AS CSV DELIMITER ',' QUOTE '\"' IGNOREHEADER 1 REGION AS 'us-east-1'";
    assert_eq!(
        parse(editor),
        with(|o| {
            o.format = csv(b',', b'"').format;
            o.ignore_header = 1;
        })
    );
    assert_eq!(
        parse("json 'auto' gzip timeformat 'epochmillisecs' region 'eu-west-1';"),
        with(|o| {
            o.format = json(JsonFormat::Auto).format;
            o.compression = Compression::Gzip;
            o.time_format = TimeFormat::EpochMilliseconds;
        })
    );
}

#[test]
fn every_option_by_itself() {
    for (text, expected) in [
        ("DELIMITER AS ','", delimited(b',', false, false)),
        ("format delimiter ';'", delimited(b';', false, false)),
        ("ESCAPE", delimited(b'|', true, false)),
        ("REMOVEQUOTES", delimited(b'|', false, true)),
        ("escape removequotes", delimited(b'|', true, true)),
        ("CSV", csv(b',', b'"')),
        ("FORMAT CSV", csv(b',', b'"')),
        ("csv quote as '%'", csv(b',', b'%')),
        ("CSV QUOTE '''' DELIMITER '|'", csv(b'|', b'\'')),
        ("delimiter '\t' csv", csv(b'\t', b'"')),
        ("JSON AS 'auto'", json(JsonFormat::Auto)),
        ("FORMAT AS JSON 'auto'", json(JsonFormat::Auto)),
        ("json 'auto ignorecase'", json(JsonFormat::AutoIgnoreCase)),
        ("json 'noshred'", json(JsonFormat::NoShred)),
        ("GZIP", with(|o| o.compression = Compression::Gzip)),
        ("bzip2", with(|o| o.compression = Compression::Bzip2)),
        ("Zstd", with(|o| o.compression = Compression::Zstd)),
        ("NULL ''", with(|o| o.null_as = Vec::new())),
        ("NULL AS 'NULL'", with(|o| o.null_as = b"NULL".to_vec())),
        ("NULL AS 'it''s'", with(|o| o.null_as = b"it's".to_vec())),
        ("EMPTYASNULL", with(|o| o.empty_as_null = true)),
        ("BLANKSASNULL", with(|o| o.blanks_as_null = true)),
        (
            "TIMEFORMAT 'auto'",
            with(|o| o.time_format = TimeFormat::Auto),
        ),
        (
            "timeformat as 'epochsecs'",
            with(|o| o.time_format = TimeFormat::EpochSeconds),
        ),
        (
            "TIMEFORMAT 'DD.MM.YYYY HH:MI:SS'",
            with(|o| o.time_format = TimeFormat::Format("DD.MM.YYYY HH:MI:SS".into())),
        ),
        (
            "DATEFORMAT AS 'auto'",
            with(|o| o.date_format = DateFormat::Auto),
        ),
        (
            "DATEFORMAT 'MM-DD-YYYY'",
            with(|o| o.date_format = DateFormat::Format("MM-DD-YYYY".into())),
        ),
        ("IGNOREHEADER AS 2", with(|o| o.ignore_header = 2)),
        (
            "MAXERROR 100000",
            with(|o| o.max_errors = MaxErrors::Count(100_000)),
        ),
        ("MAXERROR AS 0", CopyOptions::default()),
        ("IGNOREALLERRORS", with(|o| o.max_errors = MaxErrors::All)),
        ("TRUNCATECOLUMNS", with(|o| o.truncate_columns = true)),
        ("ACCEPTINVCHARS", with(|o| o.accept_inv_chars = Some(b'?'))),
        (
            "ACCEPTINVCHARS '^'",
            with(|o| o.accept_inv_chars = Some(b'^')),
        ),
        (
            "ACCEPTINVCHARS AS ' '",
            with(|o| o.accept_inv_chars = Some(b' ')),
        ),
        ("FILLRECORD", with(|o| o.fill_record = true)),
        ("IGNOREBLANKLINES", with(|o| o.ignore_blank_lines = true)),
        ("TRIMBLANKS", with(|o| o.trim_blanks = true)),
        ("ACCEPTANYDATE", with(|o| o.accept_any_date = true)),
        ("ROUNDEC", with(|o| o.round_decimals = true)),
        ("EXPLICIT_IDS", with(|o| o.explicit_ids = true)),
        ("NOLOAD", with(|o| o.no_load = true)),
        ("ENCODING UTF8", CopyOptions::default()),
        ("ENCODING AS utf16", with(|o| o.encoding = Encoding::Utf16)),
        ("ENCODING UTF16LE", with(|o| o.encoding = Encoding::Utf16Le)),
        ("ENCODING UTF16BE", with(|o| o.encoding = Encoding::Utf16Be)),
        // Of Redshift's own inside: read, and without effect.
        ("REGION AS 'eu-central-1'", CopyOptions::default()),
        ("COMPUPDATE", CopyOptions::default()),
        ("COMPUPDATE PRESET", CopyOptions::default()),
        ("COMPUPDATE OFF STATUPDATE ON", CopyOptions::default()),
        ("statupdate false compupdate true", CopyOptions::default()),
        ("STATUPDATE COMPROWS 1000000", CopyOptions::default()),
        ("READRATIO 50", CopyOptions::default()),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn white_space_is_any_and_strings_need_none() {
    let expected = with(|o| {
        o.format = csv(b';', b'"').format;
        o.null_as = b"x".to_vec();
    });
    assert_eq!(parse("csv\u{b}delimiter';'null\r\nas\t'x'\u{c};"), expected);
}

#[test]
fn escapes_in_strings() {
    for (text, delimiter) in [
        (r"'\t'", b'\t'),
        (r"'\\t'", b'\t'),
        ("'\t'", b'\t'),
        (r"'\001'", 1),
        (r"'\\001'", 1),
        (r"'\1'", 1),
        (r"'\174'", b'|'),
        (r"'\|'", b'|'),
        (r"'\b'", 8),
        (r"'\''", b'\''),
        (r"'\\'", b'\\'),
        ("''''", b'\''),
        ("'~'", b'~'),
    ] {
        assert_eq!(
            parse(&format!("DELIMITER {text}")),
            delimited(delimiter, false, false),
            "{text}"
        );
    }
    for (text, null) in [
        (r"'\N'", &br"\N"[..]),
        (r"'\\N'", br"\N"),
        (r"'\0'", b"\0"),
        (r"'\000'", b"\0"),
        (r"'\0000'", b"\x000"),
        (r"'\\0'", br"\0"),
        (r"'\377'", b"\xff"),
        ("'é'", "é".as_bytes()),
    ] {
        assert_eq!(parse(&format!("NULL AS {text}")).null_as, null, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_shown_where_it_stands() {
    for (text, error) in [
        ("foo", r#"syntax error at or near "foo" Position: 1"#),
        ("GZIP  Foo", r#"syntax error at or near "Foo" Position: 7"#),
        ("'x'", r#"syntax error at or near "'x'" Position: 1"#),
        ("AS", r#"syntax error at or near "AS" Position: 1"#),
        ("gzip, csv", r#"syntax error at or near "," Position: 5"#),
        ("é", r#"syntax error at or near "é" Position: 1"#),
        ("DELIMITER", "syntax error at end of input Position: 10"),
        (
            "DELIMITER AS ;",
            "syntax error at end of input Position: 15",
        ),
        ("DELIMITER |", r#"syntax error at or near "|" Position: 11"#),
        ("DELIMITER 5", r#"syntax error at or near "5" Position: 11"#),
        (
            "MAXERROR '5'",
            r#"syntax error at or near "'5'" Position: 10"#,
        ),
        (
            "MAXERROR 5x",
            r#"syntax error at or near "5x" Position: 10"#,
        ),
        ("MAXERROR -5", r#"syntax error at or near "-" Position: 10"#),
        ("JSON AS", "syntax error at end of input Position: 8"),
        ("NULL GZIP", r#"syntax error at or near "GZIP" Position: 6"#),
        (
            "FORMAT GZIP",
            r#"syntax error at or near "GZIP" Position: 8"#,
        ),
        (
            "COMPUPDATE MAYBE",
            r#"syntax error at or near "MAYBE" Position: 12"#,
        ),
        (
            "STATUPDATE PRESET",
            r#"syntax error at or near "PRESET" Position: 12"#,
        ),
        (
            "GZIP; DROP TABLE t",
            r#"nothing can follow the ; that ends COPY options, but "DROP" does Position: 7"#,
        ),
        (
            ";;",
            r#"nothing can follow the ; that ends COPY options, but ";" does Position: 2"#,
        ),
        (
            "GZIP -- x",
            "a comment cannot stand among COPY options Position: 6",
        ),
        (
            "/* x */",
            "a comment cannot stand among COPY options Position: 1",
        ),
        (
            r"DELIMITER '\'",
            r#"unterminated quoted string at or near "'\'" Position: 11"#,
        ),
        (
            "NULL 'a''",
            r#"unterminated quoted string at or near "'a''" Position: 6"#,
        ),
        (
            r"NULL '\777'",
            r"\777 is not a byte; the largest is \377 Position: 7",
        ),
        (
            "NULL 'a\0'",
            r"a string cannot hold the character NUL; write it '\000' Position: 8",
        ),
    ] {
        assert_eq!(refusal(text), error, "{text}");
        let kind = CopyOptions::parse(text).unwrap_err().kind;
        assert_eq!(kind, OptionsErrorKind::Syntax, "{text}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_in_plain_words() {
    for (text, error) in [
        ("CSV FIXEDWIDTH 'a:1'", "CSV cannot be used with FIXEDWIDTH"),
        ("REMOVEQUOTES CSV", "CSV cannot be used with REMOVEQUOTES"),
        ("CSV ESCAPE", "CSV cannot be used with ESCAPE"),
        (
            "FIXEDWIDTH 'a:1' DELIMITER ','",
            "FIXEDWIDTH cannot be used with DELIMITER",
        ),
        (
            "ESCAPE FIXEDWIDTH 'a:1'",
            "FIXEDWIDTH cannot be used with ESCAPE",
        ),
        (
            "FIXEDWIDTH 'a:1' REMOVEQUOTES",
            "FIXEDWIDTH cannot be used with REMOVEQUOTES",
        ),
        ("JSON 'auto' CSV", "JSON cannot be used with CSV"),
        ("DELIMITER ',' JSON", "JSON cannot be used with DELIMITER"),
        ("JSON ESCAPE", "JSON cannot be used with ESCAPE"),
        ("JSON FILLRECORD", "JSON cannot be used with FILLRECORD"),
        (
            "JSON FIXEDWIDTH 'a:1'",
            "JSON cannot be used with FIXEDWIDTH",
        ),
        (
            "JSON IGNOREBLANKLINES",
            "JSON cannot be used with IGNOREBLANKLINES",
        ),
        (r"JSON NULL AS '\N'", "JSON cannot be used with NULL AS"),
        ("JSON READRATIO 5", "JSON cannot be used with READRATIO"),
        ("JSON REMOVEQUOTES", "JSON cannot be used with REMOVEQUOTES"),
        (
            "MAXERROR 5 IGNOREALLERRORS",
            "IGNOREALLERRORS cannot be used with MAXERROR",
        ),
        ("GZIP BZIP2", "GZIP cannot be used with BZIP2"),
        ("ZSTD GZIP", "GZIP cannot be used with ZSTD"),
        ("BZIP2 ZSTD", "BZIP2 cannot be used with ZSTD"),
        ("QUOTE '%'", "QUOTE can be used with CSV only"),
        ("GZIP GZIP", "COPY option GZIP is given twice"),
        ("CSV FORMAT CSV", "COPY option CSV is given twice"),
        (
            "FORMAT CSV FORMAT JSON",
            "COPY option FORMAT is given twice",
        ),
        (
            "MAXERROR 1 MAXERROR 1",
            "COPY option MAXERROR is given twice",
        ),
        ("NULL 'a' NULL AS 'b'", "COPY option NULL AS is given twice"),
        (
            "MAXERROR 100001",
            "MAXERROR must be from 0 to 100000, not 100001",
        ),
        (
            "IGNOREHEADER 99999999999999999999",
            "IGNOREHEADER must be from 0 to 2147483647, not 99999999999999999999",
        ),
        (
            "COMPROWS 999",
            "COMPROWS must be from 1000 to 2147483647, not 999",
        ),
        ("READRATIO 201", "READRATIO must be from 1 to 200, not 201"),
        ("REGION 'eu central'", "'eu central' is not a region"),
        (
            "DELIMITER '|~|'",
            "DELIMITER must be one ASCII character other than NUL, not '|~|'",
        ),
        (
            "DELIMITER ''",
            "DELIMITER must be one ASCII character other than NUL, not ''",
        ),
        (
            "DELIMITER 'é'",
            "DELIMITER must be one ASCII character other than NUL, not 'é'",
        ),
        (
            r"DELIMITER '\000'",
            r"DELIMITER must be one ASCII character other than NUL, not '\000'",
        ),
        (
            r"DELIMITER '\n'",
            "DELIMITER cannot be a line's end, which ends the row",
        ),
        (
            r"CSV QUOTE '\r'",
            "QUOTE cannot be a line's end, which ends the row",
        ),
        (
            "CSV DELIMITER '\"'",
            "DELIMITER and QUOTE must be different characters",
        ),
        (
            "CSV QUOTE ','",
            "DELIMITER and QUOTE must be different characters",
        ),
        (
            r"DELIMITER '\\' ESCAPE",
            "DELIMITER cannot be a backslash with ESCAPE",
        ),
        (
            "DELIMITER '\"' REMOVEQUOTES",
            "DELIMITER cannot be a quote with REMOVEQUOTES",
        ),
        (
            "ACCEPTINVCHARS '??'",
            "ACCEPTINVCHARS must be one ASCII character other than NUL, not '??'",
        ),
        (
            r"NULL '\n'",
            "NULL AS cannot hold a line's end, which ends the row",
        ),
        (
            "FIXEDWIDTH 'a:1,b'",
            r#"FIXEDWIDTH must be 'label:width,…' with widths from 1 on, which "b" is not"#,
        ),
        (
            "FIXEDWIDTH 'a:0'",
            r#"FIXEDWIDTH must be 'label:width,…' with widths from 1 on, which "a:0" is not"#,
        ),
        (
            "FIXEDWIDTH 'a:99999999999'",
            "FIXEDWIDTH: columns are wider than the longest row, 4194304 bytes",
        ),
        (
            "JSON 'AUTO'",
            "JSON takes 'auto', 'auto ignorecase', 'noshred' or the s3:// URL of a JSONPaths file, not 'AUTO'",
        ),
        (
            "JSON 's3://b'",
            r#"JSON: "s3://b" is not s3://bucket/key: it has no key"#,
        ),
        (
            "TIMEFORMAT 'AUTO'",
            "TIMEFORMAT: 'auto' is written in small letters",
        ),
        ("TIMEFORMAT ''", "TIMEFORMAT must have 1 to 128 bytes"),
        (
            r"DATEFORMAT 'YYYY\n'",
            "DATEFORMAT cannot hold control characters",
        ),
        (r"DATEFORMAT '\377'", r"'\377' is not UTF-8"),
        (
            "ENCODING LATIN1",
            "ENCODING takes UTF8, UTF16, UTF16LE or UTF16BE, not LATIN1",
        ),
        (
            "FORMAT AS PARQUET",
            "PARQUET is not supported: the service writes records one after the other, which makes no PARQUET \
             file; use delimited text, CSV, FIXEDWIDTH or JSON",
        ),
        (
            "orc",
            "ORC is not supported: the service writes records one after the other, which makes no ORC file; use \
             delimited text, CSV, FIXEDWIDTH or JSON",
        ),
    ] {
        assert_eq!(refusal(text), error, "{text}");
        let kind = CopyOptions::parse(text).unwrap_err().kind;
        assert_eq!(kind, OptionsErrorKind::Incorrect, "{text}");
    }
}

#[test]
fn a_contradiction_is_shown_at_the_later_of_the_two() {
    let position = |text: &str| CopyOptions::parse(text).unwrap_err().position;
    assert_eq!(position("CSV GZIP ESCAPE"), 9);
    assert_eq!(position("ESCAPE GZIP CSV"), 12);
    assert_eq!(position("GZIP MAXERROR 100001"), 14);
}

#[test]
fn what_the_service_writes_itself_is_refused_everywhere() {
    for (text, error) in [
        (
            "MANIFEST",
            "MANIFEST cannot be among COPY options: the service itself says what is loaded, by a manifest",
        ),
        (
            "csv FROM 's3://b/k'",
            "FROM cannot be among COPY options: the service itself says what is loaded, by a manifest",
        ),
        (
            "credentials 'aws_iam_role=x'",
            "CREDENTIALS cannot be among COPY options: the service itself gives the credentials",
        ),
        (
            "with credentials as 'x'",
            "WITH cannot be among COPY options: the service itself gives the credentials",
        ),
        (
            "IAM_ROLE default",
            "IAM_ROLE cannot be among COPY options: the service itself gives the credentials",
        ),
        (
            "ACCESS_KEY_ID 'x'",
            "ACCESS_KEY_ID cannot be among COPY options: the service itself gives the credentials",
        ),
        (
            "SECRET_ACCESS_KEY 'x'",
            "SECRET_ACCESS_KEY cannot be among COPY options: the service itself gives the credentials",
        ),
        (
            "SESSION_TOKEN 'x'",
            "SESSION_TOKEN cannot be among COPY options: the service itself gives the credentials",
        ),
        (
            "ENCRYPTED",
            "ENCRYPTED cannot be among COPY options: the service's objects are not encrypted by a client",
        ),
        (
            "MASTER_SYMMETRIC_KEY 'x'",
            "MASTER_SYMMETRIC_KEY cannot be among COPY options: the service's objects are not encrypted by a client",
        ),
        (
            "SSH",
            "SSH cannot be among COPY options: the service loads objects of its bucket",
        ),
    ] {
        assert_eq!(refusal(text), error);
        assert_eq!(check_pasted(text).unwrap_err().to_string(), error);
    }
}

#[test]
fn what_is_pasted_need_not_be_understood() {
    for text in [
        "",
        "delimiter '\\t' lzop;",
        "FORMAT AS PARQUET SERIALIZETOJSON",
        "SHAPEFILE SIMPLIFY AUTO 0.05",
        "CSV ESCAPE",
        "an option of next year 5 'it''s; -- /* FROM'",
    ] {
        assert_eq!(check_pasted(text), Ok(()), "{text}");
    }
}

#[test]
fn what_is_pasted_stays_within_its_statement() {
    for (text, error) in [
        (
            "CSV; DROP TABLE t",
            r#"nothing can follow the ; that ends COPY options, but "DROP" does Position: 6"#,
        ),
        (
            "CSV --",
            "a comment cannot stand among COPY options Position: 5",
        ),
        (
            "delimiter '|",
            r#"unterminated quoted string at or near "'|" Position: 11"#,
        ),
        // Where backslashes do not escape, this string ends at its second quote.
        (
            r"delimiter '\' ; drop table t'",
            r"a quote within a string is written '' here, not \' Position: 11",
        ),
        ("$$x$$", r#"syntax error at or near "$" Position: 1"#),
        ("csv \"x\"", r#"syntax error at or near """ Position: 5"#),
        ("csv) from x", r#"syntax error at or near ")" Position: 4"#),
    ] {
        assert_eq!(check_pasted(text).unwrap_err().to_string(), error, "{text}");
    }
    let long = " ".repeat(MAX_OPTIONS_BYTES + 1);
    let error = "COPY options of 204801 bytes are too long; the limit is 204800";
    assert_eq!(check_pasted(&long).unwrap_err().to_string(), error);
    assert_eq!(refusal(&long), error);
}

#[test]
fn limits_hold() {
    let most = vec!["a:1"; MAX_COLUMNS].join(",");
    parse(&format!("FIXEDWIDTH '{most}'"));
    assert_eq!(
        refusal(&format!("FIXEDWIDTH '{most},a:1'")),
        "FIXEDWIDTH has more than 1600 columns"
    );
    assert_eq!(
        refusal(&format!("NULL '{}'", "x".repeat(65_536))),
        "NULL AS is longer than 65535 bytes"
    );
    let shown = refusal(&"x".repeat(100_000));
    assert!(shown.len() < 200, "{shown}");
}

/// Any options that are free of contradictions.
fn options() -> impl Strategy<Value = CopyOptions> {
    let character = || (1u8..128).prop_filter("no line's end", |c| !matches!(c, b'\n' | b'\r'));
    let format = prop_oneof![
        (character(), any::<bool>(), any::<bool>())
            .prop_filter("no contradiction", |(delimiter, escape, remove_quotes)| {
                !(*escape && *delimiter == b'\\'
                    || *remove_quotes && matches!(delimiter, b'"' | b'\''))
            })
            .prop_map(|(delimiter, escape, remove_quotes)| Format::Delimited {
                delimiter,
                escape,
                remove_quotes
            }),
        (character(), character())
            .prop_filter("different", |(delimiter, quote)| delimiter != quote)
            .prop_map(|(delimiter, quote)| Format::Csv { delimiter, quote }),
        prop::collection::vec(("[a-zA-Z0-9_' é-]{0,5}[a-z]", 1u32..1000), 1..9)
            .prop_map(|columns| columns
                .into_iter()
                .map(|(label, width)| (label.trim().to_string(), width))
                .collect())
            .prop_map(Format::FixedWidth),
        Just(Format::Json(JsonFormat::Auto)),
        Just(Format::Json(JsonFormat::AutoIgnoreCase)),
        Just(Format::Json(JsonFormat::NoShred)),
        "s3://[a-z]{3,9}/.{1,20}".prop_map(|url| Format::Json(JsonFormat::Paths(url))),
    ];
    let compression = prop::sample::select(vec![
        Compression::None,
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Zstd,
    ]);
    let encoding = prop::sample::select(vec![
        Encoding::Utf8,
        Encoding::Utf16,
        Encoding::Utf16Le,
        Encoding::Utf16Be,
    ]);
    let written = || {
        let parts = [
            "YYYY",
            "MM",
            "MON",
            "DD",
            "HH24",
            "MI",
            "SS",
            "AM",
            "-",
            "/",
            " ",
            ":",
            ", ",
            "\"it's é\"",
        ];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 1..10)
            .prop_map(|parts| parts.concat())
            .prop_filter("a format", |format| {
                crate::datetime::check_format(format).is_ok()
            })
    };
    let time = prop_oneof![
        Just(TimeFormat::Default),
        Just(TimeFormat::Auto),
        Just(TimeFormat::EpochSeconds),
        Just(TimeFormat::EpochMilliseconds),
        written().prop_map(TimeFormat::Format),
    ];
    let date = prop_oneof![
        Just(DateFormat::Default),
        Just(DateFormat::Auto),
        written().prop_map(DateFormat::Format),
    ];
    let max_errors = prop_oneof![
        (0u32..=100_000).prop_map(MaxErrors::Count),
        Just(MaxErrors::All)
    ];
    let null_as = prop_oneof![
        Just(br"\N".to_vec()),
        prop::collection::vec(any::<u8>(), 0..9)
            .prop_filter("no line's end", |v| !v.contains(&b'\n')
                && !v.contains(&b'\r')),
    ];
    (
        (format, compression, encoding, null_as),
        (
            time,
            date,
            0u64..1 << 31,
            max_errors,
            prop::option::of(1u8..128),
        ),
        prop::array::uniform10(any::<bool>()),
    )
        .prop_map(
            |((format, compression, encoding, null_as), values, flags)| {
                let (time_format, date_format, ignore_header, max_errors, accept_inv_chars) =
                    values;
                let json = matches!(format, Format::Json(_));
                CopyOptions {
                    null_as: if json { br"\N".to_vec() } else { null_as },
                    format,
                    compression,
                    encoding,
                    empty_as_null: flags[0],
                    blanks_as_null: flags[1],
                    time_format,
                    date_format,
                    ignore_header,
                    max_errors,
                    truncate_columns: flags[2],
                    accept_inv_chars,
                    fill_record: flags[3] && !json,
                    ignore_blank_lines: flags[4] && !json,
                    trim_blanks: flags[5],
                    accept_any_date: flags[6],
                    round_decimals: flags[7],
                    explicit_ids: flags[8],
                    no_load: flags[9],
                }
            },
        )
}

/// Text that is nearly options.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "CSV",
            "json",
            "DELIMITER",
            "AS",
            "'",
            "''",
            "\\",
            "NULL",
            "'auto'",
            "FIXEDWIDTH",
            "'a:1'",
            "MAXERROR",
            "5",
            ";",
            "FORMAT",
            "QUOTE",
            "'|'",
            "GZIP",
            "--",
            "ENCODING",
            "UTF16",
            "TIMEFORMAT",
            "REGION",
            "COMPUPDATE",
            "OFF",
            " ",
            " ",
            " ",
            "\t",
        ])
        .prop_map(String::from),
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_printed_is_read(options in options()) {
        let text = options.to_string();
        prop_assert_eq!(CopyOptions::parse(&text), Ok(options), "{}", text);
        if !text.contains(r"\'") {
            prop_assert_eq!(check_pasted(&text), Ok(()), "{}", text);
        }
    }

    #[test]
    fn order_and_case_do_not_matter(options in options(), seed in any::<prop::sample::Index>()) {
        // CSV, JSON and the others are whole options between blanks that are not in a string.
        let text = options.to_string();
        let mut pieces: Vec<String> = Vec::new();
        for token in lex::tokens(&text).unwrap() {
            match &token.kind {
                lex::TokenKind::Word(word) if word != "AS" && !word.starts_with("UTF") => {
                    pieces.push(word.to_ascii_lowercase());
                }
                _ => {
                    let last = pieces.last_mut().unwrap();
                    last.push(' ');
                    last.push_str(token.raw);
                }
            }
        }
        if !pieces.is_empty() {
            let by = seed.index(pieces.len());
            pieces.rotate_left(by);
        }
        prop_assert_eq!(CopyOptions::parse(&pieces.join("\n")), Ok(options));
    }

    #[test]
    fn an_error_is_within_the_text(text in prop_oneof![nearly(), ".{0,40}".boxed()]) {
        let errors = [CopyOptions::parse(&text).err(), check_pasted(&text).err()];
        for error in errors.into_iter().flatten() {
            prop_assert!(text.is_char_boundary(error.position), "{} {:?}", error.position, text);
            prop_assert!(!error.to_string().is_empty());
        }
        // Whatever COPY can be asked here, Redshift may be asked.
        if CopyOptions::parse(&text).is_ok() && !text.contains(r"\'") {
            prop_assert_eq!(check_pasted(&text), Ok(()));
        }
    }
}

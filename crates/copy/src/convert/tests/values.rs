//! Everything but dates. Redshift's documentation is named by its pages' titles.

use super::*;

const INT_OVERFLOW: Expected = Err((
    1204,
    "Overflow (Integer valid range -2147483648 to 2147483647)",
));
const TOO_LONG: Expected = Err((1204, "String length exceeds DDL length"));

fn plain() -> CopyOptions {
    CopyOptions::default()
}

/// SPEC §5.5; "Load error reference": 1204, 1207.
#[test]
fn integers() {
    all(
        &Kind::Integer,
        &plain(),
        &[
            ("0", Ok("0")),
            ("-12", Ok("-12")),
            ("+12", Ok("+12")),
            ("007", Ok("007")),
            ("  42\t", Ok("42")),
            ("2147483647", Ok("2147483647")),
            ("-2147483648", Ok("-2147483648")),
            ("2147483648", INT_OVERFLOW),
            ("-2147483649", INT_OVERFLOW),
            ("99999999999999999999999999", INT_OVERFLOW),
            (
                "a",
                Err((1207, "Invalid digit, Value 'a', Pos 0, Type: Integer")),
            ),
            (
                "12a",
                Err((1207, "Invalid digit, Value 'a', Pos 2, Type: Integer")),
            ),
            (
                "1.0",
                Err((1207, "Invalid digit, Value '.', Pos 1, Type: Integer")),
            ),
            (
                "1e3",
                Err((1207, "Invalid digit, Value 'e', Pos 1, Type: Integer")),
            ),
            (
                "-",
                Err((1207, "Invalid digit, Value '-', Pos 0, Type: Integer")),
            ),
            (
                "--1",
                Err((1207, "Invalid digit, Value '-', Pos 1, Type: Integer")),
            ),
            (
                "1 2",
                Err((1207, "Invalid digit, Value ' ', Pos 1, Type: Integer")),
            ),
            (
                "true",
                Err((1207, "Invalid digit, Value 't', Pos 0, Type: Integer")),
            ),
            (
                "99999999999999999999x",
                Err((1207, "Invalid digit, Value 'x', Pos 20, Type: Integer")),
            ),
            (
                "é",
                Err((1207, r"Invalid digit, Value '\xc3', Pos 0, Type: Integer")),
            ),
        ],
    );
    all(
        &Kind::SmallInt,
        &plain(),
        &[
            ("32767", Ok("32767")),
            ("-32768", Ok("-32768")),
            (
                "32768",
                Err((1204, "Overflow (Short valid range -32768 to 32767)")),
            ),
            (
                "x",
                Err((1207, "Invalid digit, Value 'x', Pos 0, Type: Short")),
            ),
        ],
    );
    let long = Err((
        1204,
        "Overflow (Long valid range -9223372036854775808 to 9223372036854775807)",
    ));
    all(
        &Kind::BigInt,
        &plain(),
        &[
            ("9223372036854775807", Ok("9223372036854775807")),
            ("-9223372036854775808", Ok("-9223372036854775808")),
            ("9223372036854775808", long),
            ("-9223372036854775809", long),
            // The overflow is not forgotten by the digits behind it.
            ("922337203685477580800000", long),
        ],
    );
}

/// SPEC §5.5 ROUNDEC: cut by default.
#[test]
fn decimals_are_cut() {
    let overflow = Err((1204, "Overflow for NUMERIC(5,2)"));
    all(
        &Kind::Numeric(Some((5, 2))),
        &plain(),
        &[
            ("123.45", Ok("123.45")),
            ("-1.2", Ok("-1.2")),
            ("+1.", Ok("+1.")),
            (".5", Ok(".5")),
            ("00001.10", Ok("00001.10")),
            ("123.459", Ok("123.45")),
            ("-0.999", Ok("-0.99")),
            ("999.999", Ok("999.99")),
            ("0.0009", Ok("0")),
            ("-0.0009", Ok("0")),
            ("1e2", Ok("100.00")),
            ("1.2345E+2", Ok("123.45")),
            ("12345e-3", Ok("12.34")),
            ("1e-9", Ok("0")),
            ("0e999999999999", Ok("0")),
            ("0.000", Ok("0")),
            ("1000", overflow),
            ("1e3", overflow),
            ("-1000.00", overflow),
            ("1e999999999999999999999", overflow),
            ("1e-999999999999999999999", Ok("0")),
            (
                "abc",
                Err((1207, "Invalid digit, Value 'a', Pos 0, Type: Decimal")),
            ),
            (
                "1.2.3",
                Err((1207, "Invalid digit, Value '.', Pos 3, Type: Decimal")),
            ),
            (
                "1,5",
                Err((1207, "Invalid digit, Value ',', Pos 1, Type: Decimal")),
            ),
            (
                ".",
                Err((1207, "Invalid digit, Value '.', Pos 0, Type: Decimal")),
            ),
            (
                "-",
                Err((1207, "Invalid digit, Value '-', Pos 0, Type: Decimal")),
            ),
            (
                "NaN",
                Err((1207, "Invalid digit, Value 'N', Pos 0, Type: Decimal")),
            ),
            ("1e", Err((1209, "Invalid exponent, Type: Decimal"))),
            ("1e+", Err((1209, "Invalid exponent, Type: Decimal"))),
            ("1e5x", Err((1209, "Invalid exponent, Type: Decimal"))),
        ],
    );
    all(
        &Kind::Numeric(Some((3, 0))),
        &plain(),
        &[("1.9", Ok("1")), (".9", Ok("0")), ("999.9", Ok("999"))],
    );
    // PostgreSQL 15's own: a negative scale, and one beyond the precision.
    all(
        &Kind::Numeric(Some((2, -2))),
        &plain(),
        &[
            ("1299", Ok("1200")),
            ("99", Ok("0")),
            ("10000", Err((1204, "Overflow for NUMERIC(2,-2)"))),
        ],
    );
    all(
        &Kind::Numeric(Some((2, 4))),
        &plain(),
        &[
            ("0.00999", Ok("0.0099")),
            ("0.01", Err((1204, "Overflow for NUMERIC(2,4)"))),
        ],
    );
    all(
        &Kind::Numeric(None),
        &plain(),
        &[
            ("1234567890.123456789", Ok("1234567890.123456789")),
            ("1e131071", Ok("1e131071")),
            ("1e131072", Err((1204, "Overflow for NUMERIC"))),
            ("1e-16384", Err((1204, "Overflow for NUMERIC"))),
        ],
    );
}

/// SPEC §5.5 ROUNDEC; half away from zero.
#[test]
fn decimals_are_rounded_if_asked() {
    let round = options(|o| o.round_decimals = true);
    let overflow = Err((1204, "Overflow for NUMERIC(5,2)"));
    all(
        &Kind::Numeric(Some((5, 2))),
        &round,
        &[
            ("1.234", Ok("1.23")),
            ("1.235", Ok("1.24")),
            ("-1.235", Ok("-1.24")),
            ("9.999", Ok("10.00")),
            ("0.005", Ok("0.01")),
            ("-0.005", Ok("-0.01")),
            ("0.0049999", Ok("0")),
            ("5e-3", Ok("0.01")),
            ("5e-4", Ok("0")),
            ("999.994", Ok("999.99")),
            ("999.995", overflow),
            ("99.9951", Ok("100.00")),
        ],
    );
    all(
        &Kind::Numeric(Some((2, 0))),
        &round,
        &[
            (".5", Ok("1")),
            ("9.5", Ok("10")),
            ("99.4", Ok("99")),
            ("99.5", Err((1204, "Overflow for NUMERIC(2,0)"))),
        ],
    );
    all(
        &Kind::Numeric(Some((2, -2))),
        &round,
        &[
            ("1250", Ok("1300")),
            ("50", Ok("100")),
            ("49", Ok("0")),
            ("950", Ok("1000")),
            ("9950", Err((1204, "Overflow for NUMERIC(2,-2)"))),
        ],
    );
}

/// "Load error reference": 1204, 1208.
#[test]
fn floats() {
    all(
        &Kind::Double,
        &plain(),
        &[
            ("1.5", Ok("1.5")),
            ("-.5e-10", Ok("-.5e-10")),
            ("1e308", Ok("1e308")),
            ("nan", Ok("nan")),
            ("-Infinity", Ok("-Infinity")),
            ("inf", Ok("inf")),
            ("5e-324", Ok("5e-324")),
            ("0e9999999", Ok("0")),
            ("1e309", Err((1204, "Overflow, Type: Double"))),
            ("1e-400", Err((1204, "Overflow, Type: Double"))),
            (
                "0x10",
                Err((1208, "Invalid digit, Value 'x', Pos 1, Type: Double")),
            ),
            (
                "1.5f",
                Err((1208, "Invalid digit, Value 'f', Pos 3, Type: Double")),
            ),
            (
                "-nan",
                Err((1208, "Invalid digit, Value 'n', Pos 1, Type: Double")),
            ),
            ("1e", Err((1208, "Invalid exponent, Type: Double"))),
        ],
    );
    all(
        &Kind::Real,
        &plain(),
        &[
            ("3.4e38", Ok("3.4e38")),
            (
                "99999999999999999999999999999999999",
                Ok("99999999999999999999999999999999999"),
            ),
            (
                "999999999999999999999999999999999999999",
                Err((1204, "Overflow, Type: Float")),
            ),
            ("3.5e38", Err((1204, "Overflow, Type: Float"))),
            ("1e-50", Err((1204, "Overflow, Type: Float"))),
        ],
    );
}

/// SPEC §5.5, "Other data rules".
#[test]
fn booleans() {
    let unknown = Err((1210, "Unknown boolean format"));
    all(
        &Kind::Boolean,
        &plain(),
        &[
            ("t", Ok("t")),
            ("TRUE", Ok("t")),
            ("y", Ok("t")),
            ("Yes", Ok("t")),
            ("1", Ok("t")),
            ("f", Ok("f")),
            ("False", Ok("f")),
            ("n", Ok("f")),
            ("NO", Ok("f")),
            (" 0 ", Ok("f")),
            ("on", unknown),
            ("tr", unknown),
            ("2", unknown),
        ],
    );
}

/// SPEC §5.5 "VARCHAR(n) counts bytes"; TRUNCATECOLUMNS; "Character types", "Significance of trailing blanks".
#[test]
fn lengths_are_bytes() {
    let varchar = Kind::Varchar(Some(5));
    all(
        &varchar,
        &plain(),
        &[
            ("abcde", Ok("abcde")),
            ("abcdef", TOO_LONG),
            ("éé", Ok("éé")),
            ("ééé", TOO_LONG),
            ("abcde   ", Ok("abcde")),
            ("ab      ", Ok("ab   ")),
            ("a\tb\\c", Ok(r"a\tb\\c")),
            ("a\r\n", Ok(r"a\r\n")),
            ("", Ok("")),
            (" ", Ok(" ")),
        ],
    );
    let truncate = options(|o| o.truncate_columns = true);
    all(
        &varchar,
        &truncate,
        &[
            ("abcdefgh", Ok("abcde")),
            ("ééé", Ok("éé")),
            ("abc€", Ok("abc")),
            ("abcd\té", Ok(r"abcd\t")),
            ("12345é", Ok("12345")),
        ],
    );
    all(
        &Kind::Char(3),
        &plain(),
        &[
            ("abc", Ok("abc")),
            ("abcd", Err((1204, "Char length exceeds DDL length"))),
            ("abc  ", Ok("abc")),
        ],
    );
    all(&Kind::Char(3), &truncate, &[("abcd", Ok("abc"))]);
    all(&Kind::Varchar(None), &plain(), &[("ééé", Ok("ééé"))]);
    let none = Kind::Varchar(Some(0));
    all(&none, &truncate, &[("é", Ok("")), ("a", Ok(""))]);
}

/// "Multibyte character load errors".
#[test]
fn what_is_not_utf8_is_refused() {
    let table: [(&[u8], &str); 10] = [
        (b"a\xa4b", "a4 (error 3)"),
        (b"\xff", "ff (error 3)"),
        (b"ok\xc3", "c3 (error 2)"),
        (b"\xe2\x82", "e2 82 (error 2)"),
        (b"\xc3(", "c3 28 (error 4)"),
        (b"\xe2\x82(x", "e2 82 28 (error 4)"),
        (b"\xed\xa0\x80", "ed a0 80 (error 5)"),
        (b"\xf4\x90\x80\x80", "f4 90 80 80 (error 8)"),
        (b"\xf8\x88\x80\x80\x80", "f8 88 (error 1)"),
        (b"\xc0\x80", "c0 80 (error 9)"),
    ];
    for (input, words) in table {
        let reason = format!(
            "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: {words}"
        );
        for kind in [
            Kind::Varchar(Some(9)),
            Kind::Other("uuid".to_owned()),
            Kind::Json,
        ] {
            let got = convert(&kind, &plain(), Field::Text(input));
            assert_eq!(got, Err((1220, reason.clone())), "{kind:?}");
        }
    }
    all(
        &Kind::Char(9),
        &plain(),
        &[(
            "aé",
            Err((
                1220,
                "Multibyte character not supported for CHAR (Hint: Try using VARCHAR). Invalid char: c3 a9",
            )),
        )],
    );
}

/// "Data conversion parameters", ACCEPTINVCHARS: as many characters as bytes; VARCHAR only.
#[test]
fn what_is_not_utf8_is_replaced_if_asked() {
    let accept = options(|o| o.accept_inv_chars = Some(b'^'));
    let table: [(&[u8], &str); 7] = [
        (b"a\xa4b", "a^b"),
        (b"a\xe2\x82", "a^^"),
        (b"\xed\xa0\x80!", "^^^!"),
        (b"a\0b", "a^b"),
        ("x\u{FDD0}y\u{1FFFE}".as_bytes(), "x^^^y^^^^"),
        ("fine é".as_bytes(), "fine é"),
        (b"\xff\t\\", r"^\t\\"),
    ];
    for (input, value) in table {
        let got = convert(&Kind::Varchar(Some(20)), &accept, Field::Text(input));
        assert_eq!(got, Ok(value.as_bytes().to_vec()));
    }
    let got = convert(&Kind::Char(9), &accept, Field::Text(b"\xa4"));
    assert_eq!(got.map_err(|error| error.0), Err(1220));
    // Without the option a code point that is no character is text.
    all(
        &Kind::Varchar(None),
        &plain(),
        &[("x\u{FDD0}", Ok("x\u{FDD0}"))],
    );
    let short = options(|o| {
        o.accept_inv_chars = Some(b'?');
        o.truncate_columns = true;
    });
    let got = convert(&Kind::Varchar(Some(2)), &short, Field::Text(b"a\xff\xff"));
    assert_eq!(got, Ok(b"a?".to_vec()));
}

/// "Load error reference": 1218; PostgreSQL has no NUL in text.
#[test]
fn nul_is_no_text() {
    all(
        &Kind::Varchar(None),
        &plain(),
        &[(
            "a\0b",
            Err((
                1220,
                "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: 00 (error 3)",
            )),
        )],
    );
    let nul = options(|o| o.null_as = vec![0]);
    all(
        &Kind::Varchar(None),
        &nul,
        &[(
            "a\0b",
            Err((1218, r"NULL AS '\0' field with more than one byte")),
        )],
    );
    all(
        &Kind::Integer,
        &plain(),
        &[(
            "\0",
            Err((1207, r"Invalid digit, Value '\x00', Pos 0, Type: Integer")),
        )],
    );
}

/// "Data conversion parameters": EMPTYASNULL, BLANKSASNULL, TRIMBLANKS; SPEC §5.5.
#[test]
fn nothing_and_blanks() {
    let texts = [Kind::Varchar(Some(9)), Kind::Varchar(None), Kind::Char(9)];
    let empty = options(|o| o.empty_as_null = true);
    let blanks = options(|o| o.blanks_as_null = true);
    for kind in &texts {
        all(kind, &plain(), &[("", Ok("")), ("  ", Ok("  "))]);
        all(kind, &empty, &[("", NULL), ("  ", Ok("  "))]);
        all(
            kind,
            &blanks,
            &[("", Ok("")), (" \t\n", NULL), (" a ", Ok(" a "))],
        );
    }
    let others = [
        Kind::Boolean,
        Kind::SmallInt,
        Kind::Integer,
        Kind::BigInt,
        Kind::Numeric(Some((5, 2))),
        Kind::Numeric(None),
        Kind::Real,
        Kind::Double,
        Kind::Date,
        Kind::Time,
        Kind::TimeTz,
        Kind::Timestamp,
        Kind::TimestampTz,
        Kind::Json,
        Kind::Bytes,
        Kind::Other("inet".to_owned()),
    ];
    for kind in &others {
        all(kind, &plain(), &[("", NULL), (" \t ", NULL)]);
    }
    let trim = options(|o| o.trim_blanks = true);
    all(
        &Kind::Varchar(Some(5)),
        &trim,
        &[
            (" ab \t\n", Ok(" ab")),
            ("   ", Ok("")),
            ("abcde      ", Ok("abcde")),
        ],
    );
    all(&Kind::Char(5), &trim, &[("ab  ", Ok("ab  "))]);
    let both = options(|o| {
        o.trim_blanks = true;
        o.empty_as_null = true;
    });
    all(&Kind::Varchar(Some(5)), &both, &[("  ", NULL)]);
    let both = options(|o| {
        o.trim_blanks = true;
        o.blanks_as_null = true;
    });
    all(
        &Kind::Varchar(Some(5)),
        &both,
        &[("  ", NULL), ("", Ok(""))],
    );
}

/// "Data conversion parameters", FILLRECORD; "Load error reference": 1213.
#[test]
fn what_is_not_there() {
    let empty = options(|o| o.empty_as_null = true);
    let kinds = [Kind::Integer, Kind::Char(3), Kind::Date, Kind::Json];
    for kind in &kinds {
        expect(kind, &plain(), Field::Missing, NULL);
        expect(kind, &plain(), Field::Null, NULL);
    }
    for kind in [Kind::Varchar(Some(3)), Kind::Varchar(None)] {
        expect(&kind, &plain(), Field::Missing, Ok(""));
        expect(&kind, &empty, Field::Missing, NULL);
        expect(&kind, &plain(), Field::Null, NULL);
        // "EMPTYASNULL and NULL AS '' (empty string) produce the same behavior".
        let null_as_empty = options(|o| o.null_as = Vec::new());
        expect(&kind, &null_as_empty, Field::Missing, NULL);
        expect(&kind, &null_as_empty, Field::Text(b""), NULL);
        expect(&kind, &null_as_empty, Field::Text(b" "), Ok(" "));
    }
    let refused = |kind: Kind, field, options: &CopyOptions| {
        let error = converter(kind, true, options)
            .row(&[field], &mut Vec::new())
            .expect_err("NOT NULL");
        assert_eq!(
            (error.code.number, error.reason.as_str()),
            (1213, "Missing data for not-null field")
        );
    };
    refused(Kind::Integer, Field::Null, &plain());
    refused(Kind::Integer, Field::Text(b" "), &plain());
    refused(Kind::Varchar(None), Field::Null, &plain());
    refused(Kind::Varchar(None), Field::Text(b""), &empty);
    refused(Kind::Char(1), Field::Missing, &plain());
    let any = options(|o| o.accept_any_date = true);
    refused(Kind::Date, Field::Text(b"nonsense"), &any);
}

/// "Limitations for using semistructured data"; "Load error reference": 1224.
#[test]
fn json() {
    let bad = |at: &'static str| Err((1224, at));
    all(
        &Kind::Json,
        &plain(),
        &[
            (
                r#"{"a":[1,-2.5e3,true,null,"x\u00e9"],"b":{}}"#,
                Ok(r#"{"a":[1,-2.5e3,true,null,"x\\u00e9"],"b":{}}"#),
            ),
            (" [ ] ", Ok("[ ]")),
            ("{\n \"a\" : 1\t}", Ok(r#"{\n "a" : 1\t}"#)),
            ("1", Ok("1")),
            ("\"é\"", Ok("\"é\"")),
            (r#""\ud83d\ude00""#, Ok(r#""\\ud83d\\ude00""#)),
            ("hello", bad("Invalid JSON, Pos 0, Type: Super")),
            ("{\"a\":1", bad("Invalid JSON, Pos 6, Type: Super")),
            ("[1,]", bad("Invalid JSON, Pos 3, Type: Super")),
            ("[1 2]", bad("Invalid JSON, Pos 3, Type: Super")),
            ("{,}", bad("Invalid JSON, Pos 1, Type: Super")),
            ("{\"a\" 1}", bad("Invalid JSON, Pos 5, Type: Super")),
            ("[}", bad("Invalid JSON, Pos 1, Type: Super")),
            ("1,2", bad("Invalid JSON, Pos 1, Type: Super")),
            ("01", bad("Invalid JSON, Pos 0, Type: Super")),
            ("+1", bad("Invalid JSON, Pos 0, Type: Super")),
            ("1.", bad("Invalid JSON, Pos 0, Type: Super")),
            ("-.5", bad("Invalid JSON, Pos 0, Type: Super")),
            ("1.e5", bad("Invalid JSON, Pos 0, Type: Super")),
            ("1e200000", bad("Invalid JSON, Pos 0, Type: Super")),
            ("tru", bad("Invalid JSON, Pos 0, Type: Super")),
            ("NaN", bad("Invalid JSON, Pos 0, Type: Super")),
            (r#""\u0000""#, bad("Invalid JSON, Pos 1, Type: Super")),
            (r#""\ud83d""#, bad("Invalid JSON, Pos 1, Type: Super")),
            (r#""\ude00""#, bad("Invalid JSON, Pos 1, Type: Super")),
            (r#""\x""#, bad("Invalid JSON, Pos 1, Type: Super")),
            ("\"a\nb\"", bad("Invalid JSON, Pos 2, Type: Super")),
            ("\"a", bad("Invalid JSON, Pos 2, Type: Super")),
        ],
    );
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(convert(&Kind::Json, &plain(), Field::Text(deep(1000).as_bytes())).is_ok());
    assert!(convert(&Kind::Json, &plain(), Field::Text(deep(1001).as_bytes())).is_err());
}

/// "Loading a column of the VARBYTE data type".
#[test]
fn bytes() {
    all(
        &Kind::Bytes,
        &plain(),
        &[
            ("6162Ff", Ok(r"\\x6162Ff")),
            (r"\x00", Ok(r"\\x00")),
            (
                "616",
                Err((1219, "Odd number of hex digits, Type: Varbyte")),
            ),
            (
                "6g",
                Err((1219, "Invalid hex digit, Value 'g', Pos 1, Type: Varbyte")),
            ),
        ],
    );
}

#[test]
fn other_types_are_passed_on() {
    let uuid = Kind::Other("uuid".to_owned());
    all(&uuid, &plain(), &[(" a\tb ", Ok(r" a\tb "))]);
}

#[test]
fn rows() {
    let column = |kind| Column {
        name: "c".to_owned(),
        kind,
        not_null: false,
    };
    let columns = vec![
        column(Kind::Integer),
        column(Kind::Varchar(None)),
        column(Kind::Date),
    ];
    let converter = Converter::new(columns.clone(), &plain());
    assert_eq!(converter.columns(), columns);
    let mut out = Vec::new();
    let date = Field::Text(b"2015-10-07");
    converter
        .row(&[Field::Text(b"1"), Field::Text(b"a|b"), date], &mut out)
        .unwrap();
    converter
        .row(&[Field::Null, Field::Missing, Field::Null], &mut out)
        .unwrap();
    assert_eq!(out, b"1\ta|b\t2015-10-07\n\\N\t\t\\N\n");
    let before = out.clone();
    let error = converter
        .row(
            &[Field::Text(b"1"), Field::Text(b"x"), Field::Text(b"1")],
            &mut out,
        )
        .unwrap_err();
    assert_eq!((error.column, error.code.number), (2, 1205));
    assert_eq!(out, before);
    let error = converter.row(&[date], &mut out).unwrap_err();
    assert_eq!((error.column, error.code.number), (1, 1214));
    let error = converter.row(&[date; 4], &mut out).unwrap_err();
    assert_eq!((error.column, error.code.number), (2, 1202));
    assert_eq!(out, before);
}

//! CSV.

use super::*;

const BAD: &str = "Invalid quote formatting for CSV";

fn csv() -> CopyOptions {
    with(b',', b'"')
}

fn with(delimiter: u8, quote: u8) -> CopyOptions {
    CopyOptions {
        format: Format::Csv { delimiter, quote },
        ..CopyOptions::default()
    }
}

#[test]
fn rows() {
    check(
        &csv(),
        2,
        &[
            (b"", &[]),
            (b"a,b\nc,d\r\ne,f", &["1:a,b", "2:c,d", "3:e,f"]),
            (b"\"a\",\"b\"\r\n\"c\",\"d\"", &["1:a,b", "2:c,d"]),
            (
                b"\"A \"\"quoted\"\" word\",\"\"\"\"\n",
                &["1:A \"quoted\" word,\""],
            ),
            (b"\"a,b\",\"c\nd\"\ne,f\n", &["1:a,b,c\nd", "3:e,f"]),
            (b"\"a\r\nb\",c\r\n", &["1:a\r\nb,c"]),
            // White space between delimiter and quote means nothing, elsewhere it is text.
            (b" \"a\" ,\t\"b\"\t\n c , d\n", &["1:a,b", "2: c , d"]),
            (b",\n\"\",\n", &["1:,", "2:,"]),
            // Backslashes and other quotes mean themselves.
            (b"'a\\,b'\n", &["1:'a\\,b'"]),
            (b"\\N,\"\\N\"\n", &["1:~,\\N"]),
            (b"a,b,\n", &["1:a,b"]),
            (
                b"a\n\nb,c,d\n",
                &[
                    "1!1214 Delimiter not found",
                    "2!1214 Delimiter not found",
                    "3!1202 Extra column(s) found",
                ],
            ),
            (
                b"a,\"b\",\"\"\nc,d\n",
                &["1!1202 Extra column(s) found", "2:c,d"],
            ),
            (b"a,b\"", &[&format!("1!1214 {BAD}")]),
        ],
    );
}

#[test]
fn other_delimiter_and_quote() {
    check(
        &with(b'\t', b'\''),
        2,
        &[(b"'a\tb'\t \"c\"\n\t'd'\n", &["1:a\tb, \"c\"", "2:,d"])],
    );
    check(
        &with(b' ', b'%'),
        2,
        &[(b"%a b% c\n %d%\n", &["1:a b,c", "2:,d"])],
    );
}

#[test]
fn quotes_out_of_place() {
    let bad = |line: u64| format!("{line}!1214 {BAD}");
    check(
        &csv(),
        2,
        &[
            (b"a\"b,c\nd,e\n", &[&bad(1), "2:d,e"]),
            (b"\"a\"b,c\nd,e\n", &[&bad(1), "2:d,e"]),
            // What follows in the row is still understood: its line's end is one of a field.
            (b"\"a\"b,\"c\nd\"\ne,f\n", &[&bad(1), "3:e,f"]),
            // A quote that nothing closes costs its line alone.
            (b"a,\"b\nc,d\ne,f\n", &[&bad(1), "2:c,d", "3:e,f"]),
            (b"a,\"b", &[&bad(1)]),
        ],
    );
    let told = told(&mut parser(&csv(), 2), [b"x,aaaa\"zzzz\n".as_slice()]);
    let [Told::Refused(error)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((error.column, error.position), (Some(1), Some(2)));
    // Redshift shows the field up to the quote.
    assert_eq!(error.raw_field, b"aaaa");
    let behind = super::told(&mut parser(&csv(), 2), [b"x,\"aa\"zz\n".as_slice()]);
    let [Told::Refused(error)] = behind.as_slice() else {
        panic!("{behind:?}")
    };
    assert_eq!((error.column, error.position), (Some(1), Some(2)));
}

#[test]
fn options() {
    let fill = CopyOptions {
        fill_record: true,
        ignore_blank_lines: true,
        ..csv()
    };
    check(
        &fill,
        3,
        &[(
            b"\"a\"\n\nb,c\n\r\n\"\"\n",
            &["1:a,_,_", "3:b,c,_", "5:,_,_"],
        )],
    );
    let null_as = CopyOptions {
        null_as: b"NULL".to_vec(),
        ..csv()
    };
    check(&null_as, 2, &[(b"NULL,\"NULL\"\n", &["1:~,NULL"])]);
    let nul = CopyOptions {
        null_as: b"\0".to_vec(),
        ..csv()
    };
    check(
        &nul,
        2,
        &[(
            b"\0,x\n\"a\0\",x\n",
            &["1:~,x", "2!1218 NUL is not alone in its field"],
        )],
    );
    // IGNOREHEADER counts lines, not rows.
    let header = CopyOptions {
        ignore_header: 1,
        ..csv()
    };
    check(
        &header,
        2,
        &[(
            b"\"one\ntwo\",x\na,b\n",
            &[&format!("2!1214 {BAD}"), "3:a,b"],
        )],
    );
}

//! Delimited text, and what all text formats share.

use super::*;

fn delimited(escape: bool, remove_quotes: bool) -> CopyOptions {
    let format = Format::Delimited {
        delimiter: b'|',
        escape,
        remove_quotes,
    };
    CopyOptions {
        format,
        ..CopyOptions::default()
    }
}

#[test]
fn delimited_rows() {
    check(
        &CopyOptions::default(),
        2,
        &[
            (b"", &[]),
            (b"a|b\nc|d\n", &["1:a,b", "2:c,d"]),
            (b"a|b\r\nc|d", &["1:a,b", "2:c,d"]),
            // A carriage return of its own is text.
            (b"a|b\rc\nd|e\r", &["1:a,b\rc", "2:d,e\r"]),
            (b"|\n", &["1:,"]),
            (b"\\N|x\\N\n", &["1:~,x\\N"]),
            (b"a\nb|c\n", &["1!1214 Delimiter not found", "2:b,c"]),
            (b"\na|b\n", &["1!1214 Delimiter not found", "2:a,b"]),
            (b"a|b|c\nd|e\n", &["1!1202 Extra column(s) found", "2:d,e"]),
            // A delimiter may stand behind the last field.
            (b"a|b|\n", &["1:a,b"]),
            (b"a|b||\n", &["1!1202 Extra column(s) found"]),
            // Quotes and backslashes mean themselves.
            (b"\"a|b\\\n", &["1:\"a,b\\"]),
            // NUL ends a record; a line's end behind it ends nothing.
            (
                b"a|b\0c|d\0\ne|f\0\r\ng|h\n",
                &["1:a,b", "1:c,d", "2:e,f", "3:g,h"],
            ),
        ],
    );
}

#[test]
fn error_says_where() {
    let told = told(
        &mut parser(&CopyOptions::default(), 2),
        [b"x|y\na|b|cd|e\nz\n".as_slice()],
    );
    let [_, Told::Refused(extra), Told::Refused(few)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (extra.line, extra.column, extra.position),
        (2, None, Some(4))
    );
    assert_eq!(
        (extra.raw_line.as_slice(), extra.raw_field.as_slice()),
        (b"a|b|cd|e".as_slice(), b"cd".as_slice())
    );
    assert_eq!((few.line, few.column, few.position), (3, Some(1), Some(1)));
    assert_eq!(
        (few.raw_line.as_slice(), few.raw_field.as_slice()),
        (b"z".as_slice(), b"".as_slice())
    );
}

#[test]
fn escape() {
    check(
        &delimited(true, false),
        2,
        &[
            (b"a\\|b|c\\\\d\n", &["1:a|b,c\\d"]),
            // A hidden line's end belongs to the field, and counts as a line.
            (b"a\\\nb|c\nd|e\n", &["1:a\nb,c", "3:d,e"]),
            // Two characters: the backslash only makes the n literal.
            (b"a\\nb|c\n", &["1:anb,c"]),
            (b"\\N|x\\N\n", &["1:~,xN"]),
            // "\N works as is, but it can also be escaped in the input data as \\N", and only as a whole field.
            (b"\\\\N|x\\\\N\n", &["1:~,x\\N"]),
            (b"a|b\\\r\nc|d\r\n", &["1:a,b\r", "2:c,d"]),
            (b"a\\\0b|c\0d|e", &["1:a\0b,c", "1:d,e"]),
            (b"a|b\\", &["1:a,b\\"]),
            (b"a\\|b\n", &["1!1214 Delimiter not found"]),
        ],
    );
    let null_as = CopyOptions {
        null_as: b"nil".to_vec(),
        ..delimited(true, false)
    };
    check(
        &null_as,
        2,
        &[(b"nil|\\N\nn\\il|\\\\N\n", &["1:~,N", "2:nil,\\N"])],
    );
}

#[test]
fn remove_quotes() {
    check(
        &delimited(false, true),
        2,
        &[
            // The examples of Redshift's guide.
            (b"'Black'|\"White\"\n", &["1:Black,White"]),
            (
                b"\"The delimiter is a pipe (|) character\"|Blue'\n",
                &["1:The delimiter is a pipe (|) character,Blue'"],
            ),
            (b"''Black''|''\n", &["1:'Black',"]),
            (
                b"'Blue|x\n\"Blue|y\na|b\n",
                &[
                    "1!1214 Quote at the beginning of a field has no closing quote",
                    "2!1214 Quote at the beginning of a field has no closing quote",
                    "3:a,b",
                ],
            ),
            // The other quote closes nothing; white space before a quote makes it text.
            (b"\"a'b\"| 'c'\n", &["1:a'b, 'c'"]),
            (b"'a'|'b'|\n", &["1:a,b"]),
            (b"'a'|'b'|c\n", &["1!1202 Extra column(s) found"]),
            // NULL AS is compared with what stands in the file.
            (b"\\N|'\\N'\n", &["1:~,\\N"]),
        ],
    );
}

#[test]
fn remove_quotes_and_escape() {
    check(
        &delimited(true, true),
        2,
        &[
            (b"'a\\'|b'|\"c\\\\\"\n", &["1:a'|b,c\\"]),
            (b"\\'a|b\\'\n", &["1:'a,b'"]),
            (b"'a\\\nb'|c\nd|e\n", &["1:a\nb,c", "3:d,e"]),
            // A line's end ends a row within quotes too.
            (
                b"'a\nb'|c\nd|e\n",
                &[
                    "1!1214 Quote at the beginning of a field has no closing quote",
                    "2:b',c",
                    "3:d,e",
                ],
            ),
        ],
    );
}

#[test]
fn null_as() {
    let null_as = |null_as: &[u8]| CopyOptions {
        null_as: null_as.to_vec(),
        ..CopyOptions::default()
    };
    check(
        &null_as(b"NULL"),
        2,
        &[(b"NULL|\\N\nNULLx|null\n", &["1:~,\\N", "2:NULLx,null"])],
    );
    check(&null_as(b""), 2, &[(b"|x\n|\n", &["1:~,x", "2:~,~"])]);
    check(
        &null_as(b"\0"),
        2,
        &[
            (b"\0|x\n", &["1:~,x"]),
            (
                b"a\0|x\ny|z\n",
                &["1!1218 NUL is not alone in its field", "2:y,z"],
            ),
        ],
    );
}

#[test]
fn fill_record_and_blank_lines() {
    let fill = CopyOptions {
        fill_record: true,
        ..CopyOptions::default()
    };
    check(
        &fill,
        3,
        &[
            (b"a\na|b\na|b|c\n", &["1:a,_,_", "2:a,b,_", "3:a,b,c"]),
            (b"\n", &["1:,_,_"]),
            (b"a|b|c|d\n", &["1!1202 Extra column(s) found"]),
        ],
    );
    let blank = CopyOptions {
        ignore_blank_lines: true,
        ..CopyOptions::default()
    };
    check(
        &blank,
        2,
        &[
            (b"\n\na|b\n\r\nc|d\n\n", &["3:a,b", "5:c,d"]),
            // White space is something.
            (b" \na|b\n", &["1!1214 Delimiter not found", "2:a,b"]),
        ],
    );
    check(
        &CopyOptions::default(),
        1,
        &[(b"a\n\nb\n", &["1:a", "2:", "3:b"])],
    );
}

#[test]
fn ignore_header() {
    let header = CopyOptions {
        ignore_header: 2,
        ..CopyOptions::default()
    };
    check(
        &header,
        2,
        &[
            (b"one\ntwo\na|b\n", &["3:a,b"]),
            (b"one\r\n\na|b", &["3:a,b"]),
            (b"one\ntwo", &[]),
            (b"", &[]),
        ],
    );
    // Each file has its own.
    let mut parser = parser(&header, 2);
    for _ in 0..2 {
        assert_eq!(
            short(&told(&mut parser, [b"h\nh\na|b\n".as_slice()])),
            ["3:a,b"]
        );
    }
}

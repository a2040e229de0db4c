//! Fixed width.

use super::*;

fn fixed(widths: &[u32]) -> CopyOptions {
    let widths = widths.iter().map(|width| (String::new(), *width)).collect();
    CopyOptions {
        format: Format::FixedWidth(widths),
        ..CopyOptions::default()
    }
}

#[test]
fn rows() {
    check(
        &fixed(&[3, 25, 12, 2, 6]),
        5,
        &[(
            // The example of Redshift's guide; its last field is shorter than its width.
            b"1  Toyota Park              Bridgeview  IL0\n2  Columbus Crew Stadium    Columbus    OH0",
            &[
                "1:1  ,Toyota Park              ,Bridgeview  ,IL,0",
                "2:2  ,Columbus Crew Stadium    ,Columbus    ,OH,0",
            ],
        )],
    );
    check(
        &fixed(&[2, 3]),
        2,
        &[
            (b"abcde\r\nfghij", &["1:ab,cde", "2:fg,hij"]),
            // Characters, not bytes.
            ("äöüßx\nx…y€z\n".as_bytes(), &["1:äö,üßx", "2:x…,y€z"]),
            (b"abcdef\n", &["1!1202 Extra column(s) found"]),
            (
                b"ab\n\nabc\n",
                &[
                    "1!1214 Delimiter not found",
                    "2!1214 Delimiter not found",
                    "3:ab,c",
                ],
            ),
            (b"\\Nxyz\n", &["1:~,xyz"]),
            (b"xy\\N \n", &["1:xy,~"]),
        ],
    );
}

#[test]
fn options() {
    let fill = CopyOptions {
        fill_record: true,
        ignore_blank_lines: true,
        ..fixed(&[1, 1, 1])
    };
    check(&fill, 3, &[(b"a\n\nab\n", &["1:a,_,_", "3:a,b,_"])]);
    let header = CopyOptions {
        ignore_header: 1,
        ..fixed(&[1, 1])
    };
    check(&header, 2, &[(b"xx\nab\n", &["2:a,b"])]);
}

#[test]
fn bytes_that_are_no_characters() {
    // A byte that continues nothing belongs to what is before it, or is the first.
    check(
        &fixed(&[1, 1]),
        2,
        &[
            (b"\xBFa\n", &["1:\u{FFFD},a"]),
            (b"a\xBFb\n", &["1:a\u{FFFD},b"]),
        ],
    );
}

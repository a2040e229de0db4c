//! Delimited text, which is what COPY reads unless it is told otherwise ("Data format parameters", "Data conversion
//! parameters").

use super::{Both, Fails, Rows, case, check};

const AB: &str = "a int, b varchar(20)";
const ABC: &str = "a int, b varchar(20), c varchar(20)";

#[tokio::test]
async fn delimiters_lines_and_escapes() {
    check(&[
        case(
            "Default delimiter is |",
            AB,
            "",
            b"1|x\n2|y\n",
            Rows(&["1|x", "2|y"]),
        ),
        case(
            "No line end at the end of the file",
            AB,
            "",
            b"1|x\n2|y",
            Rows(&["1|x", "2|y"]),
        ),
        case(
            "CRLF ends a row (SPEC 5.5)",
            AB,
            "",
            b"1|x\r\n2|y\r\n",
            Rows(&["1|x", "2|y"]),
        ),
        case("An empty file has no rows", AB, "", b"", Rows(&[])),
        case("DELIMITER", AB, "delimiter ','", b"1,x\n", Rows(&["1|x"])),
        case(
            "DELIMITER AS, in any case",
            AB,
            "Delimiter As '\\t'",
            b"1\tx y\n",
            Rows(&["1|x y"]),
        ),
        case(
            "DELIMITER as octal digits",
            AB,
            "DELIMITER '\\001'",
            b"1\x01x\n",
            Rows(&["1|x"]),
        ),
        case(
            "A trailing ; as in the API reference",
            AB,
            "delimiter '|';",
            b"1|x\n",
            Rows(&["1|x"]),
        ),
        case(
            "What PostgreSQL would take for an escape is text",
            AB,
            "",
            b"1|a\\tb\n2|\\.\n3|a\tb\n",
            Rows(&["1|a\\tb", "2|\\.", "3|a\tb"]),
        ),
        case(
            "ESCAPE makes the next byte literal",
            AB,
            "ESCAPE",
            b"1|a\\|b\n2|a\\\nb\n3|a\\\\b\n4|\\n\n",
            Rows(&["1|a|b", "2|a\nb", "3|a\\b", "4|n"]),
        ),
        case(
            "ESCAPE keeps \\N (SPEC 5.5)",
            AB,
            "escape",
            b"1|\\N\n",
            Rows(&["1|<null>"]),
        ),
        case(
            "REMOVEQUOTES",
            AB,
            "removequotes",
            b"1|\"x|y\"\n2|'z'\n'3'|\"it's\"\n",
            Rows(&["1|x|y", "2|z", "3|it's"]),
        ),
        case(
            "REMOVEQUOTES: an opening quote without a closing one",
            AB,
            "REMOVEQUOTES MAXERROR 9",
            b"1|\"x\n2|y\n",
            Both(&["2|y"], &["1|b|1214"]),
        ),
        case(
            "IGNOREHEADER counts lines of each file",
            AB,
            "IGNOREHEADER AS 2",
            b"head\nhead|2\n1|x\n",
            Rows(&["1|x"]),
        ),
        case(
            "IGNOREBLANKLINES",
            AB,
            "IGNOREBLANKLINES",
            b"1|x\n\n2|y\n\n",
            Rows(&["1|x", "2|y"]),
        ),
        case(
            "Fewer columns than the table has",
            ABC,
            "MAXERROR 9",
            b"1|x\n2|y|z\n",
            Both(&["2|y|z"], &["1|c|1214"]),
        ),
        case(
            "More columns than the table has",
            AB,
            "MAXERROR 9",
            b"1|x|y\n2|y\n",
            Both(&["2|y"], &["1||1202"]),
        ),
        case(
            "FILLRECORD: NULL, and empty text for VARCHAR",
            "a int, b varchar(20), c int",
            "FILLRECORD",
            b"1|x|7\n2|y\n3\n",
            Rows(&["1|x|7", "2|y|<null>", "3||<null>"]),
        ),
        case(
            "ENCODING UTF16LE",
            AB,
            "ENCODING UTF16LE",
            b"1\0|\0\xfc\0\n\0",
            Rows(&["1|ü"]),
        ),
        case(
            "ENCODING UTF16 by its mark",
            AB,
            "encoding as utf16",
            b"\xfe\xff\x001\0|\0\xfc\0\n",
            Rows(&["1|ü"]),
        ),
        case(
            "ENCODING UTF16 without a mark",
            AB,
            "encoding utf16 maxerror 9",
            b"1\0|\0x\0\n\0",
            Fails("Redshift.DataLoadFailed", &["1221"]),
        ),
        case(
            "What is read and does nothing here",
            AB,
            "COMPUPDATE OFF STATUPDATE ON COMPROWS 1000 REGION 'eu-west-1'",
            b"1|x\n",
            Rows(&["1|x"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn nothing_and_null() {
    check(&[
        case(
            "Default NULL AS is \\N",
            AB,
            "",
            b"1|\\N\n\\N|x\n",
            Rows(&["1|<null>", "<null>|x"]),
        ),
        case(
            "NULL AS",
            AB,
            "NULL AS 'nil'",
            b"1|nil\n2|\\N\nnil|x\n",
            Rows(&["1|<null>", "2|\\N", "<null>|x"]),
        ),
        case(
            "NULL AS '' is EMPTYASNULL, of quoted and missing fields, too",
            AB,
            "NULL AS '' REMOVEQUOTES FILLRECORD",
            b"1|\n2|''\n3\n4| \n",
            Rows(&["1|<null>", "2|<null>", "3|<null>", "4| "]),
        ),
        case(
            "ESCAPE: an escaped \\N is NULL as well",
            AB,
            "ESCAPE",
            b"1|\\N\n2|\\\\N\n3|\\\\\\N\n",
            Rows(&["1|<null>", "2|<null>", "3|\\N"]),
        ),
        case(
            "NULL AS '\\0'",
            AB,
            "null '\\0'",
            b"1|\0\n2|x\n",
            Rows(&["1|<null>", "2|x"]),
        ),
        case(
            "Empty text is empty, an empty number is NULL",
            AB,
            "",
            b"|\n",
            Rows(&["<null>|"]),
        ),
        case(
            "EMPTYASNULL",
            AB,
            "EMPTYASNULL",
            b"1|\n2| \n",
            Rows(&["1|<null>", "2| "]),
        ),
        case(
            "BLANKSASNULL",
            AB,
            "BLANKSASNULL",
            b"1|  \n2|x \n",
            Rows(&["1|<null>", "2|x "]),
        ),
        case(
            "TRIMBLANKS",
            AB,
            "TRIMBLANKS",
            b"1| x  \n2|  \n",
            Rows(&["1| x", "2|"]),
        ),
        case(
            "NOT NULL",
            "a int, b int NOT NULL",
            "MAXERROR 2",
            b"1|\n2|3\n",
            Both(&["2|3"], &["1|b|1213"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn column_lists() {
    const TABLE: &str =
        "a int, b varchar(20) DEFAULT 'd', c int, d int GENERATED ALWAYS AS (a + 1) STORED";
    const IDS: &str = "id int GENERATED ALWAYS AS IDENTITY, a int";
    check(&[
        case(
            "Column mapping: the list's order",
            TABLE,
            "",
            b"5|1\n",
            Rows(&["1|d|5|2"]),
        )
        .list("c, a"),
        case(
            "Column mapping: in parentheses, quoted",
            TABLE,
            "",
            b"x|1\n",
            Rows(&["1|x|<null>|2"]),
        )
        .list("( \"b\" , A )"),
        case(
            "Generated columns are not in the file",
            TABLE,
            "",
            b"1|x|3\n",
            Rows(&["1|x|3|2"]),
        ),
        case(
            "A column that is not there",
            TABLE,
            "",
            b"1\n",
            Fails("Redshift.ColumnNotFound", &["\"nope\"", "does not exist"]),
        )
        .list("nope"),
        case(
            "A generated column cannot be loaded",
            TABLE,
            "",
            b"1\n",
            Fails("Redshift.ColumnNotFound", &["\"d\"", "generated"]),
        )
        .list("d"),
        case(
            "Twice the same",
            TABLE,
            "",
            b"1|2\n",
            Fails("Redshift.SyntaxError", &["specified more than once"]),
        )
        .list("a,a"),
        case(
            "NOT NULL without default, left out",
            "a int, n int NOT NULL",
            "",
            b"1\n",
            Fails("Redshift.MissingColumn", &["\"n\""]),
        )
        .list("a"),
        case(
            "Identity columns are left out",
            IDS,
            "",
            b"7\n8\n",
            Rows(&["1|7", "2|8"]),
        ),
        case(
            "EXPLICIT_IDS",
            IDS,
            "EXPLICIT_IDS",
            b"70|7\n",
            Rows(&["70|7"]),
        ),
        case(
            "An identity column needs EXPLICIT_IDS",
            IDS,
            "",
            b"70|7\n",
            Fails("Redshift.IncorrectCopyOptions", &["EXPLICIT_IDS"]),
        )
        .list("id,a"),
        case(
            "EXPLICIT_IDS needs the identity column",
            IDS,
            "explicit_ids",
            b"7\n",
            Fails("Redshift.IncorrectCopyOptions", &["EXPLICIT_IDS"]),
        )
        .list("a"),
        case(
            "GENERATED BY DEFAULT AS IDENTITY takes what the file says",
            "id int GENERATED BY DEFAULT AS IDENTITY, a int",
            "",
            b"70|7\n",
            Rows(&["70|7"]),
        ),
    ])
    .await;
}

//! Values ("Data conversion parameters", "Data types", "DATEFORMAT and TIMEFORMAT strings").

use super::{Both, Fails, Rows, case, check};

#[tokio::test]
async fn numbers_and_booleans() {
    const BOOLEANS: &str = "a int, b bool";
    check(&[
        case(
            "Decimals are cut, not rounded (SPEC 5.5)",
            "a numeric(6,2), b int",
            "",
            b"1.999|1\n-1.999|2\n",
            Rows(&["-1.99|2", "1.99|1"]),
        ),
        case(
            "ROUNDEC",
            "a numeric(6,2)",
            "ROUNDEC",
            b"1.995\n-1.999\n",
            Rows(&["-2.00", "2.00"]),
        ),
        case(
            "Too many digits",
            "a numeric(4,2)",
            "maxerror 2",
            b"100.00\n1\n",
            Both(&["1.00"], &["1|a|1204"]),
        ),
        case(
            "Booleans",
            BOOLEANS,
            "",
            b"1|t\n2|FALSE\n3|y\n4|no\n5|1\n6|0\n",
            Rows(&["1|t", "2|f", "3|t", "4|f", "5|t", "6|f"]),
        ),
        case(
            "No boolean",
            BOOLEANS,
            "maxerror 9",
            b"1|maybe\n2|t\n",
            Both(&["2|t"], &["1|b|1210"]),
        ),
        case(
            "Integers",
            "a smallint, b bigint",
            "maxerror 9",
            b"32767|9223372036854775807\n32768|1\nx|1\n",
            Both(&["32767|9223372036854775807"], &["2|a|1204", "3|a|1207"]),
        ),
        case(
            "Floats",
            "a real, b double precision",
            "",
            b"1.5|-2.25e10\n",
            Rows(&["1.5|-22500000000"]),
        ),
        case(
            "No float",
            "a double precision",
            "maxerror 9",
            b"1.5\nx\n",
            Both(&["1.5"], &["2|a|1208"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn text() {
    check(&[
        case(
            "VARCHAR(n) is n bytes (SPEC 5.5)",
            "a varchar(4)",
            "maxerror 9",
            "üü\nüüx\nabcd\n".as_bytes(),
            Both(&["abcd", "üü"], &["2|a|1204"]),
        ),
        case(
            "TRUNCATECOLUMNS cuts between characters",
            "a varchar(3), b char(2)",
            "TRUNCATECOLUMNS",
            "xüü|abc\n".as_bytes(),
            Rows(&["xü|ab"]),
        ),
        case(
            "Not UTF-8",
            "a varchar(9)",
            "maxerror 9",
            b"x\xffy\nz\n",
            Both(&["z"], &["1|a|1220"]),
        ),
        case(
            "ACCEPTINVCHARS",
            "a varchar(9)",
            "ACCEPTINVCHARS",
            b"x\xff\xfey\n",
            Rows(&["x??y"]),
        ),
        case(
            "ACCEPTINVCHARS AS",
            "a varchar(9)",
            "acceptinvchars as '^'",
            b"x\xffy\n",
            Rows(&["x^y"]),
        ),
        case(
            "TEXT has no limit",
            "a text",
            "",
            b"0123456789\n",
            Rows(&["0123456789"]),
        ),
        case(
            "CHAR is filled up",
            "a char(4)",
            "",
            b"ab\n",
            Rows(&["ab  "]),
        ),
        case(
            "VARBYTE's BYTEA",
            "a bytea",
            "",
            b"c3bc\n",
            Rows(&["\\xc3bc"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn dates_and_times() {
    const TS: &str = "a timestamp";
    const TZ: &str = "a timestamptz";
    check(&[
        case("DATE", "a date", "", b"2015-10-07\n", Rows(&["2015-10-07"])),
        case(
            "DATEFORMAT",
            "a date",
            "dateformat 'MM/DD/YYYY'",
            b"10/07/2015\n",
            Rows(&["2015-10-07"]),
        ),
        case(
            "DATEFORMAT 'auto'",
            "a date",
            "dateformat as 'auto'",
            b"2015.10.07\n10/08/2015\n",
            Rows(&["2015-10-07", "2015-10-08"]),
        ),
        case(
            "No date",
            "a date",
            "maxerror 3",
            b"2015-13-07\n2015-10-07\n",
            Both(&["2015-10-07"], &["1|a|1205"]),
        ),
        case(
            "TIMESTAMP",
            TS,
            "",
            b"2015-10-07 13:05:42\n2015-10-07 13:05:42.123456\n",
            Rows(&["2015-10-07 13:05:42", "2015-10-07 13:05:42.123456"]),
        ),
        case(
            "TIMEFORMAT",
            TS,
            "timeformat 'DD.MM.YYYY HH:MI:SS'",
            b"07.10.2015 13:05:42\n",
            Rows(&["2015-10-07 13:05:42"]),
        ),
        case(
            "TIMEFORMAT 'auto'",
            TS,
            "TIMEFORMAT AS 'auto'",
            b"2015-10-07T13:05:42Z\n",
            Rows(&["2015-10-07 13:05:42"]),
        ),
        case(
            "TIMEFORMAT 'epochsecs'",
            TS,
            "timeformat 'epochsecs'",
            b"1444223142\n",
            Rows(&["2015-10-07 13:05:42"]),
        ),
        case(
            "TIMEFORMAT 'epochmillisecs'",
            TS,
            "timeformat 'epochmillisecs'",
            b"1444223142123\n",
            Rows(&["2015-10-07 13:05:42.123"]),
        ),
        case(
            "TIMESTAMPTZ without an offset is UTC, whatever the role's zone is",
            TZ,
            "",
            b"2015-10-07 13:05:42\n2015-10-07 14:05:42+02\n",
            Rows(&["2015-10-07 12:05:42+00", "2015-10-07 13:05:42+00"]),
        ),
        case(
            "No timestamp",
            TS,
            "maxerror 3",
            b"now\n2015-10-07 13:05:42\n",
            Both(&["2015-10-07 13:05:42"], &["1|a|1206"]),
        ),
        case(
            "ACCEPTANYDATE",
            "a int, b timestamp",
            "ACCEPTANYDATE",
            b"1|whenever\n",
            Rows(&["1|<null>"]),
        ),
        case("TIME", "a time", "", b"13:05:42\n", Rows(&["13:05:42"])),
    ])
    .await;
}

#[tokio::test]
async fn types_of_the_database_alone() {
    check(&[
        case(
            "A type that Redshift does not have is the database's to judge",
            "a int, b uuid, c int[]",
            "maxerror 9",
            b"1|a9fa96af-e4e4-409f-bac3-1f804714faaa|{1,2}\n2|nonsense|{}\n3||{x}\n",
            Both(
                &["1|a9fa96af-e4e4-409f-bac3-1f804714faaa|{1,2}"],
                &["2|b|1216", "3|c|1216"],
            ),
        ),
        case(
            "Without MAXERROR it ends the load, in its words",
            "a inet",
            "",
            b"10.0.0.1\nnowhere\n",
            Fails(
                "Redshift.DataLoadFailed",
                &[
                    "line 2, column a",
                    "invalid input syntax for type inet: \"nowhere\"",
                ],
            ),
        ),
    ])
    .await;
}

//! MAXERROR, and what the database has against a row ("Data load operations", SPEC 5.4 and 5.5).

use super::{Both, Fails, case, check};

const A: &str = "a int";
const THREE_WRONG: &[u8] = b"1\nx\n2\ny\n3\nz\n";

#[tokio::test]
async fn max_error() {
    check(&[
        case(
            "MAXERROR 0, the default: the first error",
            A,
            "",
            b"1\nx\n",
            Fails(
                "Redshift.DataLoadFailed",
                &[
                    "Check 'hydrant.stl_load_errors'",
                    "line 2, column a",
                    "Invalid digit",
                ],
            ),
        ),
        case(
            "MAXERROR 1 is the same",
            A,
            "MAXERROR 1",
            b"1\nx\n",
            Fails("Redshift.DataLoadFailed", &["line 2"]),
        ),
        case(
            "Fewer errors than n",
            A,
            "maxerror 4",
            THREE_WRONG,
            Both(&["1", "2", "3"], &["2|a|1207", "4|a|1207", "6|a|1207"]),
        ),
        case(
            "n errors",
            A,
            "MAXERROR AS 3",
            THREE_WRONG,
            Fails("Redshift.DataLoadFailed", &["of 3 errors"]),
        ),
        case(
            "IGNOREALLERRORS",
            A,
            "IGNOREALLERRORS",
            THREE_WRONG,
            Both(&["1", "2", "3"], &["2|a|1207", "4|a|1207", "6|a|1207"]),
        ),
        case(
            "IGNOREALLERRORS is not with MAXERROR",
            A,
            "ignoreallerrors maxerror 5",
            b"",
            Fails("Redshift.IncorrectCopyOptions", &["MAXERROR"]),
        ),
        case(
            "Options that are none",
            A,
            "mainfest",
            b"",
            Fails(
                "Redshift.SyntaxError",
                &["syntax error at or near \"mainfest\""],
            ),
        ),
        case(
            "Credentials are the service's to write",
            A,
            "CREDENTIALS 'aws_iam_role=x'",
            b"",
            Fails("Redshift.IncorrectCopyOptions", &["CREDENTIALS"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn constraints() {
    check(&[
        case(
            "PRIMARY KEY, within MAXERROR",
            "a int PRIMARY KEY, b int CHECK (b > 0)",
            "maxerror 10",
            b"1|1\n2|1\n1|2\n3|0\nx|1\n4|1\n2|5\n",
            Both(
                &["1|1", "2|1", "4|1"],
                &["3||1216", "4||1216", "5|a|1207", "7||1216"],
            ),
        ),
        case(
            "PRIMARY KEY, without MAXERROR",
            "a int PRIMARY KEY",
            "",
            b"1\n2\n1\n",
            Fails(
                "Redshift.DataLoadFailed",
                &[
                    "line 3",
                    "duplicate key value violates unique constraint",
                    "Key (a)=(1) already exists",
                ],
            ),
        ),
        case(
            "Errors of both kinds count together",
            "a int UNIQUE",
            "maxerror 2",
            b"1\nx\n1\n",
            Fails("Redshift.DataLoadFailed", &["of 2 errors"]),
        ),
        case(
            "A domain's check",
            "a positive",
            "maxerror 2",
            b"1\n-1\n",
            Both(&["1"], &["2|a|1216"]),
        ),
    ])
    .await;
}

//! Dates and times: SPEC §5.5 TIMEFORMAT and DATEFORMAT; Redshift's "DATEFORMAT and TIMEFORMAT strings" and "Using
//! automatic recognition with DATEFORMAT and TIMEFORMAT".

use super::*;
use crate::datetime::check_format;

const SHORT: Expected = Err((1205, "Invalid Date Format - length must be 10 or more"));
const DATE: Expected = Err((1205, "Invalid date format or value [YYYY-MM-DD]"));
const STAMP: Expected = Err((
    1206,
    "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]",
));
const AUTO: Expected = Err((1206, "Invalid timestamp format or value [auto]"));

#[test]
fn default_dates() {
    all(
        &Kind::Date,
        &CopyOptions::default(),
        &[
            ("2015-10-07", Ok("2015-10-07")),
            (" 2016-02-29 ", Ok("2016-02-29")),
            ("2000-02-29", Ok("2000-02-29")),
            ("0001-01-01", Ok("0001-01-01")),
            ("9999-12-31", Ok("9999-12-31")),
            ("2015-10-07 14:43:28", Ok("2015-10-07")),
            ("2015-10-07 14:43:28.123+02", Ok("2015-10-07")),
            ("2015-02-29", DATE),
            ("1900-02-29", DATE),
            ("2015-13-01", DATE),
            ("2015-00-01", DATE),
            ("2015-01-00", DATE),
            ("2015-04-31", DATE),
            ("0000-01-01", DATE),
            ("2015/10/07", DATE),
            ("2015-10-071", DATE),
            ("2015-10-07 25:00", DATE),
            ("2015-10-07 x", DATE),
            ("10/07/2015", DATE),
            ("2015-1-7", SHORT),
            ("x", SHORT),
        ],
    );
}

#[test]
fn default_timestamps() {
    let table = [
        ("2015-10-07 14:43:28", Ok("2015-10-07 14:43:28")),
        ("2015-10-07 14:43:28.5", Ok("2015-10-07 14:43:28.5")),
        (
            "2015-10-07 14:43:28.123456",
            Ok("2015-10-07 14:43:28.123456"),
        ),
        (
            "2015-10-07 14:43:28.1234569",
            Ok("2015-10-07 14:43:28.123456"),
        ),
        ("2015-10-07", Ok("2015-10-07 00:00:00")),
        ("2015-10-07 14:43", Ok("2015-10-07 14:43:00")),
        ("2015-10-07 23:59:60", Ok("2015-10-07 23:59:60")),
        ("2015-10-07 24:00:00", Ok("2015-10-07 24:00:00")),
        ("2015-10-07 24:00:01", STAMP),
        ("2015-10-07 14:60:00", STAMP),
        ("2015-10-07 14:43:28.", STAMP),
        ("2015-10-07 14:43:28.x", STAMP),
        ("2015-10-07 14:43:28Z", STAMP),
        ("2015-10-07T14:43:28", STAMP),
        ("2015-02-29 00:00:00", STAMP),
        ("1444229008", STAMP),
    ];
    all(&Kind::Timestamp, &CopyOptions::default(), &table);
    all(
        &Kind::TimestampTz,
        &CopyOptions::default(),
        &[
            ("2015-10-07 14:43:28", Ok("2015-10-07 14:43:28+00")),
            ("2015-10-07 14:43:28.25", Ok("2015-10-07 14:43:28.25+00")),
            ("2015-10-07 14:43:28-8:00", Ok("2015-10-07 14:43:28-08")),
            (
                "2015-10-07 14:43:28.5 +0530",
                Ok("2015-10-07 14:43:28.500000+05:30"),
            ),
            ("2015-10-07 14:43:28Z", Ok("2015-10-07 14:43:28+00")),
            ("2015-10-07", Ok("2015-10-07 00:00:00+00")),
            ("2015-10-07 14:43:28+16", STAMP),
            ("2015-10-07 14:43:28+01:60", STAMP),
            ("2015-10-07 14:43:28 XYZ", STAMP),
        ],
    );
}

#[test]
fn default_times() {
    let bad = Err((1206, "Invalid time format or value [HH24:MI:SS]"));
    all(
        &Kind::Time,
        &CopyOptions::default(),
        &[
            ("14:43:28", Ok("14:43:28")),
            ("4:05", Ok("04:05:00")),
            ("14:43:28.5", Ok("14:43:28.500000")),
            ("2015-10-07 14:43:28", Ok("14:43:28")),
            ("14:43:28+02", Ok("14:43:28")),
            ("24:00:00", Ok("24:00:00")),
            ("25:00:00", bad),
            ("2015-10-07", bad),
        ],
    );
    all(
        &Kind::TimeTz,
        &CopyOptions::default(),
        &[
            ("14:43:28+02:30", Ok("14:43:28+02:30")),
            ("14:43:28", Ok("14:43:28+00")),
        ],
    );
    all(
        &Kind::Time,
        &time_format("HHMISS"),
        &[("144328", Ok("14:43:28"))],
    );
}

/// The documentation's own examples, and the founding document's.
#[test]
fn formats() {
    all(
        &Kind::Date,
        &date_format("MM/DD/YYYY"),
        &[
            ("03/31/2003", Ok("2003-03-31")),
            ("3/1/2003", Ok("2003-03-01")),
            ("03/31/2003 10:11:12", Ok("2003-03-31")),
            (
                "31/03/2003",
                Err((1205, "Invalid date format or value [MM/DD/YYYY]")),
            ),
            (
                "03-31-2003",
                Err((1205, "Invalid date format or value [MM/DD/YYYY]")),
            ),
        ],
    );
    all(
        &Kind::Date,
        &date_format("MON DD, YYYY"),
        &[
            ("March 31, 2003", Ok("2003-03-31")),
            ("mar  31, 2003", Ok("2003-03-31")),
            (
                "Mär 31, 2003",
                Err((1205, "Invalid date format or value [MON DD, YYYY]")),
            ),
        ],
    );
    all(
        &Kind::Date,
        &date_format("MON-DD-YYYY"),
        &[("Jan-01-1999", Ok("1999-01-01"))],
    );
    all(
        &Kind::Date,
        &date_format("yyyymmdd"),
        &[("20030331", Ok("2003-03-31"))],
    );
    all(
        &Kind::Date,
        &date_format("DD-MON-YY"),
        &[
            ("31-Mar-69", Ok("2069-03-31")),
            ("31-Mar-70", Ok("1970-03-31")),
        ],
    );
    all(
        &Kind::Date,
        &date_format("YYYY.DDD"),
        &[
            ("1996.008", Ok("1996-01-08")),
            ("1996.366", Ok("1996-12-31")),
            (
                "1997.366",
                Err((1205, "Invalid date format or value [YYYY.DDD]")),
            ),
        ],
    );
    let dots = time_format("MM.DD.YYYY HH:MI:SS");
    all(
        &Kind::Timestamp,
        &dots,
        &[
            ("03.31.2003 18:45:05", Ok("2003-03-31 18:45:05")),
            (
                "03.31.2003 18:45:05.123456",
                Ok("2003-03-31 18:45:05.123456"),
            ),
            (
                "03.31.2003",
                Err((
                    1206,
                    "Invalid timestamp format or value [MM.DD.YYYY HH:MI:SS]",
                )),
            ),
            (
                "03.31.2003 18:45:05 and more",
                Err((
                    1206,
                    "Invalid timestamp format or value [MM.DD.YYYY HH:MI:SS]",
                )),
            ),
        ],
    );
    all(
        &Kind::TimestampTz,
        &dots,
        &[("03.31.2003 18:45:05-08", Ok("2003-03-31 18:45:05-08"))],
    );
    all(
        &Kind::Timestamp,
        &time_format("YYYY-MM-DDTHH:MI:SS"),
        &[
            ("2015-10-07T14:43:28", Ok("2015-10-07 14:43:28")),
            ("2015-10-07T14:43:28.25", Ok("2015-10-07 14:43:28.250000")),
            ("2015-10-07T14:43:28Z", Ok("2015-10-07 14:43:28")),
        ],
    );
    all(
        &Kind::Timestamp,
        &time_format(r#"YYYY-MM-DD"T"HH24:MI:SS.MSZ"#),
        &[("2015-10-07T14:43:28.123Z", Ok("2015-10-07 14:43:28.123000"))],
    );
    all(
        &Kind::Timestamp,
        &time_format("MM/DD/YYYY HH12:MI:SS AM"),
        &[
            ("10/07/2015 02:43:28 PM", Ok("2015-10-07 14:43:28")),
            ("10/07/2015 12:00:00 am", Ok("2015-10-07 00:00:00")),
            ("10/07/2015 12:00:00 pm", Ok("2015-10-07 12:00:00")),
            (
                "10/07/2015 13:00:00 PM",
                Err((
                    1206,
                    "Invalid timestamp format or value [MM/DD/YYYY HH12:MI:SS AM]",
                )),
            ),
            (
                "10/07/2015 00:00:00 AM",
                Err((
                    1206,
                    "Invalid timestamp format or value [MM/DD/YYYY HH12:MI:SS AM]",
                )),
            ),
        ],
    );
    all(
        &Kind::Timestamp,
        &time_format("YYYY-MM-DD"),
        &[("2015-10-07", Ok("2015-10-07 00:00:00"))],
    );
    all(
        &Kind::Timestamp,
        &time_format("DY, DD MON YYYY HH:MI:SS TZ"),
        &[("Wed, 07 Oct 2015 14:43:28 GMT", Ok("2015-10-07 14:43:28"))],
    );
}

#[test]
fn formats_that_mean_nothing() {
    for good in [
        "YYYY-MM-DD",
        "MM/DD/YY",
        "HH:MI",
        "YYYYMMDDHH24MISS",
        "YYYY.DDD",
    ] {
        assert_eq!(check_format(good), Ok(()), "{good}");
    }
    let cases = [
        ("", "neither a whole date"),
        ("YYYY", "neither a whole date"),
        ("MI:SS", "neither a whole date"),
        ("YYYY-MM-DD YYYY", "the same part twice"),
        ("YYYY-MM-DD \"T", "quote without an end"),
        ("YYYY-QQ-DD", "unknown at position 5"),
        ("%Y-%m-%d", "unknown at position 1"),
        ("YYYY年MM", "unknown at position 4"),
    ];
    for (bad, words) in cases {
        let error = check_format(bad).expect_err(bad);
        assert!(error.contains(words), "{error}");
    }
    assert!(check_format(&"-".repeat(1000)).is_err());
}

#[test]
fn automatic() {
    let auto = options(|o| {
        o.time_format = TimeFormat::Auto;
        o.date_format = DateFormat::Auto;
    });
    all(
        &Kind::Timestamp,
        &auto,
        &[
            // The table of "Using automatic recognition …".
            ("2019-02-11T05:09:12.195Z", Ok("2019-02-11 05:09:12.195000")),
            ("J2451187", Ok("1999-01-08 00:00:00")),
            ("Jan-08-95 BC", Ok("0095-01-08 00:00:00 BC")),
            ("19960108 040809", Ok("1996-01-08 04:08:09")),
            ("960108 040809", Ok("1996-01-08 04:08:09")),
            ("1996.008", Ok("1996-01-08 00:00:00")),
            ("1996-01-08 04:05:06.789", Ok("1996-01-08 04:05:06.789000")),
            ("17 Dec 07:37:16 1997 PST", Ok("1997-12-17 07:37:16")),
            ("12/17/1997 07:37:16.00 PST", Ok("1997-12-17 07:37:16")),
            ("1997-12-17 07:37:16-08", Ok("1997-12-17 07:37:16")),
            ("12.17.1997 07:37:16.00 PST", Ok("1997-12-17 07:37:16")),
            // Its own example.
            ("J2345678 04:05:06.789", Ok("1710-02-23 04:05:06.789000")),
            // The formats of "DATEFORMAT and TIMEFORMAT strings".
            ("03/31/2003", Ok("2003-03-31 00:00:00")),
            ("March 31, 2003", Ok("2003-03-31 00:00:00")),
            (
                "03.31.2003 18:45:05.123456",
                Ok("2003-03-31 18:45:05.123456"),
            ),
            // SPEC §5.5 and what is near.
            ("Oct 07 14:43:28 2015", Ok("2015-10-07 14:43:28")),
            ("Wed Oct  7 14:43:28 2015", Ok("2015-10-07 14:43:28")),
            ("Wed, 07 Oct 2015 14:43:28 GMT", Ok("2015-10-07 14:43:28")),
            ("2015-10-07", Ok("2015-10-07 00:00:00")),
            ("2015/10/7 4:05 PM", Ok("2015-10-07 16:05:00")),
            ("20151007T144328Z", Ok("2015-10-07 14:43:28")),
            ("07-OCT-15", Ok("2015-10-07 00:00:00")),
            ("2015-Oct-07", Ok("2015-10-07 00:00:00")),
            ("31/03/2003", Ok("2003-03-31 00:00:00")),
            ("2015-10-07 14:43:28 AD", Ok("2015-10-07 14:43:28")),
            ("4713-06-01 BC", AUTO),
            // Never epochs; and what says too little, too much or nothing.
            ("1444229008", AUTO),
            ("1444229008123", AUTO),
            ("14:43:28", AUTO),
            ("2015-10", AUTO),
            ("2015-10-07 2015-10-07", AUTO),
            ("2015-10-07 10:00 11:00", AUTO),
            ("2015-02-30", AUTO),
            ("2015-10-07 13:00 AM", AUTO),
            ("2015-10-07 AM", AUTO),
            ("2015-10-07-08", AUTO),
            ("now", AUTO),
            ("infinity", AUTO),
            ("J99999999", AUTO),
            ("0-0-0", AUTO),
        ],
    );
    all(
        &Kind::TimestampTz,
        &auto,
        &[
            (
                "2019-02-11T05:09:12.195Z",
                Ok("2019-02-11 05:09:12.195000+00"),
            ),
            ("17 Dec 07:37:16 1997 PST", Ok("1997-12-17 07:37:16-08")),
            (
                "2019-02-11 05:09:12 +05:30",
                Ok("2019-02-11 05:09:12+05:30"),
            ),
            ("Jan-08-95 BC", Ok("0095-01-08 00:00:00+00 BC")),
        ],
    );
    all(
        &Kind::Date,
        &auto,
        &[
            ("J2345678 04:05:06.789", Ok("1710-02-23")),
            ("0005-02-29 BC", Ok("0005-02-29 BC")),
            (
                "0004-02-29 BC",
                Err((1205, "Invalid date format or value [auto]")),
            ),
            ("4713-06-01 BC", Ok("4713-06-01 BC")),
            (
                "4714-06-01 BC",
                Err((1205, "Invalid date format or value [auto]")),
            ),
        ],
    );
}

#[test]
fn epochs() {
    let seconds = options(|o| o.time_format = TimeFormat::EpochSeconds);
    let bad = Err((1206, "Invalid timestamp format or value [epochsecs]"));
    all(
        &Kind::Timestamp,
        &seconds,
        &[
            ("0", Ok("1970-01-01 00:00:00")),
            ("1407357680", Ok("2014-08-06 20:41:20")),
            ("1407357680.5", Ok("2014-08-06 20:41:20.500000")),
            ("-1", Ok("1969-12-31 23:59:59")),
            ("-0.25", Ok("1969-12-31 23:59:59.750000")),
            ("253402300799", Ok("9999-12-31 23:59:59")),
            ("-62135596800", Ok("0001-01-01 00:00:00")),
            ("253402300800", bad),
            ("1407357680x", bad),
            ("1e9", bad),
            ("2015-10-07", bad),
            ("99999999999999999999", bad),
        ],
    );
    let millis = options(|o| o.time_format = TimeFormat::EpochMilliseconds);
    all(
        &Kind::TimestampTz,
        &millis,
        &[
            ("1407357680123", Ok("2014-08-06 20:41:20.123000+00")),
            ("1407357680123.4567", Ok("2014-08-06 20:41:20.123456+00")),
            ("-1", Ok("1969-12-31 23:59:59.999000+00")),
        ],
    );
    // Of time stamps alone: a DATE goes by DATEFORMAT.
    all(
        &Kind::Date,
        &seconds,
        &[("1407357680", DATE), ("2014-08-06", Ok("2014-08-06"))],
    );
}

/// "Data conversion parameters", ACCEPTANYDATE.
#[test]
fn any_date() {
    let any = options(|o| o.accept_any_date = true);
    for kind in [Kind::Date, Kind::Timestamp, Kind::TimestampTz] {
        all(
            &kind,
            &any,
            &[("00/00/00 00:00:00", NULL), ("0000-00-00", NULL)],
        );
    }
    all(&Kind::Date, &any, &[("2015-10-07", Ok("2015-10-07"))]);
    all(
        &Kind::Time,
        &any,
        &[(
            "x",
            Err((1206, "Invalid time format or value [HH24:MI:SS]")),
        )],
    );
}

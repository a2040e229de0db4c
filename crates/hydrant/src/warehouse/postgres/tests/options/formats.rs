//! CSV, JSON, fixed width ("Data format parameters", "COPY from JSON format"), and compression ("File compression
//! parameters").

use std::io::Write;

use super::{Both, Command, Fails, Rig, Rows, case, check};

const AB: &str = "a int, b varchar(20)";
const ABC: &str = "a int, b varchar(20), c varchar(20)";

#[tokio::test]
async fn csv() {
    check(&[
        case(
            "CSV",
            AB,
            "CSV",
            b"1,\"x,y\"\n2,\"say \"\"hi\"\"\"\n3,z\n",
            Rows(&["1|x,y", "2|say \"hi\"", "3|z"]),
        ),
        case(
            "FORMAT AS CSV",
            AB,
            "format as csv",
            b"1,x\n",
            Rows(&["1|x"]),
        ),
        case(
            "CSV: a line end within quotes",
            AB,
            "csv",
            b"1,\"x\ny\"\n2,z\n",
            Rows(&["1|x\ny", "2|z"]),
        ),
        case(
            "CSV QUOTE AS",
            AB,
            "CSV QUOTE AS '%'",
            b"1,%x,%%y%\n",
            Rows(&["1|x,%y"]),
        ),
        case(
            "CSV DELIMITER NULL",
            AB,
            "CSV DELIMITER ';' NULL 'nil'",
            b"1;nil\n2;\n",
            Rows(&["1|<null>", "2|"]),
        ),
        case(
            "CSV: white space around quotes",
            AB,
            "csv",
            b"1, \"x\" \n",
            Rows(&["1|x"]),
        ),
        case(
            "CSV IGNOREHEADER",
            AB,
            "csv ignoreheader 1",
            b"a,b\n1,x\n",
            Rows(&["1|x"]),
        ),
        case(
            "CSV is not with ESCAPE",
            AB,
            "CSV ESCAPE",
            b"",
            Fails("Redshift.IncorrectCopyOptions", &["ESCAPE"]),
        ),
        case(
            "CSV is not with REMOVEQUOTES",
            AB,
            "csv removequotes",
            b"",
            Fails("Redshift.IncorrectCopyOptions", &["REMOVEQUOTES"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn json() {
    check(&[
        case(
            "JSON 'auto': keys are columns, unknown ones are ignored, missing ones are NULL",
            ABC,
            "JSON 'auto'",
            b"{\"b\": \"x\", \"a\": 1, \"z\": [1]}\n{\"a\": 2, \"c\": null}",
            Rows(&["1|x|<null>", "2|<null>|<null>"]),
        ),
        case(
            "Bare JSON is 'auto'",
            AB,
            "JSON",
            b"{\"a\":1,\"b\":\"x\"}",
            Rows(&["1|x"]),
        ),
        case(
            "FORMAT JSON",
            AB,
            "format json 'auto'",
            b"{\"a\":1,\"b\":\"x\"}",
            Rows(&["1|x"]),
        ),
        case(
            "Objects need no line ends between them",
            AB,
            "json 'auto'",
            b"{\"a\":1,\"b\":\"x\"}{\"a\":2,\n \"b\":\"y\"} {\"a\":3}",
            Rows(&["1|x", "2|y", "3|<null>"]),
        ),
        case(
            "'auto' minds the case",
            AB,
            "json 'auto'",
            b"{\"A\":1,\"b\":\"x\"}",
            Rows(&["<null>|x"]),
        ),
        case(
            "'auto ignorecase'",
            AB,
            "json 'auto ignorecase'",
            b"{\"A\":1,\"B\":\"x\"}",
            Rows(&["1|x"]),
        ),
        case(
            "Nested values are their JSON text",
            "a int, b varchar(50), c jsonb",
            "json 'auto'",
            b"{\"a\":1,\"b\":{\"k\": [1, \"2\"]},\"c\":{\"k\": 1.5}}",
            Rows(&["1|{\"k\": [1, \"2\"]}|{\"k\": 1.5}"]),
        ),
        case(
            "Escapes",
            AB,
            "json 'auto'",
            br#"{"a":1,"b":"t\tn\nb\\q\"u\u00fc\ud83d\ude00"}"#,
            Rows(&["1|t\tn\nb\\q\"uü😀"]),
        ),
        case(
            "Empty text",
            AB,
            "json 'auto'",
            b"{\"a\":\"\",\"b\":\"\"}",
            Rows(&["<null>|"]),
        ),
        case(
            "EMPTYASNULL",
            AB,
            "json 'auto' emptyasnull",
            b"{\"a\":1,\"b\":\"\"}",
            Rows(&["1|<null>"]),
        ),
        case(
            "A column that is not in the list has its default",
            "a int, b int DEFAULT 7",
            "json 'auto'",
            b"{\"a\":1,\"b\":2}",
            Rows(&["1|7"]),
        )
        .list("a"),
        case(
            "Not an object, and junk between objects",
            AB,
            "json 'auto' maxerror 9",
            b"{\"a\":1}\njunk\n{\"a\":2}\n",
            Both(&["1|<null>", "2|<null>"], &["2||1216"]),
        ),
        case(
            "A JSONPaths file",
            ABC,
            "JSON AS 's3://bucket/paths'",
            b"{\"id\":1,\"tags\":[\"p\",\"q\"],\"x\":{\"y z\":\"deep\"}}{\"id\":2,\"tags\":[1,2]}",
            Rows(&["1|q|deep", "2|2|<null>"]),
        ),
        case(
            "A JSONPaths file over arrays",
            AB,
            "json 's3://bucket/array'",
            b"[1,\"x\"][2,\"y\"]",
            Rows(&["1|x", "2|y"]),
        ),
        case(
            "A JSONPaths file: an index out of range",
            ABC,
            "json 's3://bucket/paths' maxerror 5",
            b"{\"id\":1,\"tags\":[]}{\"id\":2,\"tags\":[1,2]}",
            Both(&["2|2|<null>"], &["1|b|1216"]),
        ),
        case(
            "A file without jsonpaths is 'auto'",
            AB,
            "json 's3://bucket/auto'",
            b"{\"a\":1}",
            Rows(&["1|<null>"]),
        ),
        case(
            "More paths than columns",
            AB,
            "json 's3://bucket/paths'",
            b"{\"id\":1}",
            Fails("Redshift.ColumnMismatch", &["3 JSONPaths for 2 columns"]),
        ),
        case(
            "A JSONPaths file that is none; MAXERROR does not speak of it",
            AB,
            "json 's3://bucket/broken' maxerror 9",
            b"{\"id\":1}",
            Fails("Redshift.IncorrectJsonPathsFile", &["s3://bucket/broken"]),
        ),
        case(
            "A JSONPaths file that is not there",
            AB,
            "json 's3://bucket/nowhere'",
            b"{\"id\":1}",
            Fails("Redshift.IncorrectJsonPathsFile", &["s3://bucket/nowhere"]),
        ),
        case(
            "'noshred'",
            "a jsonb",
            "json 'noshred'",
            b"{\"a\":1}{\"b\":[2]}",
            Rows(&["{\"a\": 1}", "{\"b\": [2]}"]),
        ),
        case(
            "'noshred' loads one column",
            AB,
            "json 'noshred'",
            b"{\"a\":1}",
            Fails("Redshift.IncorrectCopyOptions", &["one column"]),
        ),
        case(
            "JSON is not with DELIMITER",
            AB,
            "json 'auto' delimiter ','",
            b"",
            Fails("Redshift.IncorrectCopyOptions", &["DELIMITER"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn fixed_width() {
    check(&[
        case(
            "FIXEDWIDTH: widths in the order of columns, whatever the labels",
            "a int, b varchar(20), c int",
            "fixedwidth 'x:3,y:5,z:2'",
            b"  1abc  12\n 22d e f 3\n",
            Rows(&["1|abc  |12", "22|d e f|3"]),
        ),
        case(
            "FIXEDWIDTH counts characters",
            AB,
            "FIXEDWIDTH AS 'a:1,b:3'",
            "1üöä\n".as_bytes(),
            Rows(&["1|üöä"]),
        ),
        case(
            "FIXEDWIDTH: more widths than columns",
            AB,
            "fixedwidth 'a:1,b:1,c:1'",
            b"1xy\n",
            Fails(
                "Redshift.ColumnMismatch",
                &["one width of FIXEDWIDTH", "3 fixed widths for 2 columns"],
            ),
        ),
        case(
            "FIXEDWIDTH is not with DELIMITER",
            AB,
            "fixedwidth 'a:1,b:1' delimiter ','",
            b"",
            Fails("Redshift.IncorrectCopyOptions", &["FIXEDWIDTH"]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn compression() {
    check(&[
        case(
            "GZIP that is none",
            AB,
            "gzip",
            b"1|x\n",
            Fails(
                "Redshift.DataLoadFailed",
                &["remove GZIP from CopyOptions", "s3://bucket/objects/"],
            ),
        ),
        case(
            "lzop, which the API reference names",
            AB,
            "delimiter '\\t' lzop;",
            b"",
            Fails("Redshift.IncorrectCopyOptions", &["LZOP"]),
        ),
    ])
    .await;

    let rig = Rig::new("CREATE TABLE t (a int, b varchar(20))").await;
    let text = b"1|x\n2|y\n3|z\n";
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    // One member for each part of a row, as a producer that compresses records makes them.
    let members: Vec<u8> = text.chunks(5).flat_map(gzip).collect();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text).unwrap();
    let zstd =
        ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
    for (options, bytes) in [
        ("GZIP", members.clone()),
        ("bzip2", bzip2.finish().unwrap()),
        ("ZSTD", zstd),
    ] {
        let command = Command {
            table: "t",
            columns: "",
            options,
        };
        let loaded = rig.copy_bytes(command, &bytes).await.unwrap();
        assert_eq!(loaded.rows, Some(3), "{options}");
        assert_eq!(
            rig.rows("DELETE FROM t RETURNING a, b").await,
            ["1|x", "2|y", "3|z"]
        );

        let cut = rig.copy_bytes(command, &bytes[..bytes.len() - 3]).await;
        assert_eq!(
            cut.unwrap_err().code(),
            "Redshift.DataLoadFailed",
            "{options}"
        );
        assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");
    }
    let command = Command {
        table: "t",
        columns: "",
        options: "",
    };
    let error = rig.copy_bytes(command, &members).await.unwrap_err();
    assert!(
        error.message().contains("add GZIP to CopyOptions"),
        "{error}"
    );
}

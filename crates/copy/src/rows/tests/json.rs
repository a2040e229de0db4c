//! JSON.

use super::*;
use crate::{jsonpaths::Step, rows::json::Shape};

fn json(format: JsonFormat) -> CopyOptions {
    CopyOptions {
        format: Format::Json(format),
        ..CopyOptions::default()
    }
}

fn auto() -> CopyOptions {
    json(JsonFormat::Auto)
}

const NOT: &str = "Invalid JSON: not an object";

#[test]
fn objects() {
    check(
        &auto(),
        2,
        &[
            (b"", &[]),
            (b" \n ", &[]),
            (br#"{"a":1,"b":"x"}{"b":"y","a":2}"#, &["1:1,x", "1:2,y"]),
            (
                b"{\"a\":1,\n \"b\":2}\n\n{\"a\":3}\r\n{}",
                &["1:1,2", "4:3,~", "5:~,~"],
            ),
            // White space everywhere; keys nobody asks for; the case of keys matters.
            (
                b" { \"z\" : [ { } , [ ] ] , \"a\" :\t1 ,\r\n\"A\" : 2 } ",
                &["1:1,~"],
            ),
            // The last of a key that comes twice.
            (br#"{"a":1,"a":2,"b":3,"b":null}"#, &["1:2,~"]),
            (br#"{"a":null,"b":"null"}"#, &["1:~,null"]),
            (br#"{"a":"","b":"\\N"}"#, &["1:,\\N"]),
            (br#"{"a":true,"b":false}"#, &["1:true,false"]),
            (br#"{"a":-0.5e+10,"b":0}"#, &["1:-0.5e+10,0"]),
            // Nested values as they stand.
            (
                br#"{"a":{"x": [1, "}"]},"b":[ {} ]}"#,
                &[r#"1:{"x": [1, "}"]},[ {} ]"#],
            ),
            (
                br#"{"\u0061":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#,
                &["1:\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1F600},~"],
            ),
            ("{\"a\":\"é€😀\"}".as_bytes(), &["1:é€😀,~"]),
        ],
    );
}

#[test]
fn half_a_surrogate_pair_is_not_utf8() {
    let told = told(
        &mut parser(&auto(), 2),
        [br#"{"a":"x\ud83dy","b":"\ude00\ud83d\u0041"}"#.as_slice()],
    );
    let expected = [
        b"x\xED\xA0\xBDy".to_vec(),
        b"\xED\xB8\x80\xED\xA0\xBDA".to_vec(),
    ];
    assert_eq!(told, [Told::Row(1, expected.map(Owned::Text).to_vec())]);
}

#[test]
fn case() {
    check(
        &json(JsonFormat::AutoIgnoreCase),
        2,
        &[(br#"{"A":1,"b":2}{"a":3,"B":4,"b":5}"#, &["1:1,2", "1:3,5"])],
    );
}

#[test]
fn noshred() {
    check(
        &json(JsonFormat::NoShred),
        1,
        &[
            (b"{\"a\": [1]}\n{}", &["1:{\"a\": [1]}", "2:{}"]),
            (
                b"[1]",
                &["1!1216 Invalid JSON: an array is a row only with a jsonpaths file"],
            ),
        ],
    );
}

#[test]
fn junk_between_objects() {
    let not = |line: u64| format!("{line}!1216 {NOT}");
    check(
        &auto(),
        1,
        &[
            (br#"{"a":1},{"a":2}"#, &["1:1", &not(1), "1:2"]),
            (
                b"{\"a\":1}\nwhat is this?\n{\"a\":2}\n7",
                &["1:1", &not(2), "3:2", &not(4)],
            ),
            (b"}", &[&not(1)]),
            (
                br#"[{"a":1}]{"a":2}"#,
                &[
                    "1!1216 Invalid JSON: an array is a row only with a jsonpaths file",
                    "1:2",
                ],
            ),
        ],
    );
}

#[test]
fn strictness() {
    let bad: &[&[u8]] = &[
        br#"{"a":01}"#,
        br#"{"a":-}"#,
        br#"{"a":1.}"#,
        br#"{"a":.5}"#,
        br#"{"a":1e}"#,
        br#"{"a":+1}"#,
        br#"{"a":0x1}"#,
        br#"{"a":NaN}"#,
        br#"{"a":nul}"#,
        br#"{"a":True}"#,
        br#"{"a":'x'}"#,
        br#"{"a":"\x"}"#,
        br#"{"a":"\u12g4"}"#,
        b"{\"a\":\"\t\"}",
        br#"{"a":1,}"#,
        br#"{,"a":1}"#,
        br#"{"a" 1}"#,
        br#"{"a":1 "b":2}"#,
        br#"{a:1}"#,
        br#"{"z":[1,]}"#,
        br#"{"z":[1 2]}"#,
        br#"{"z":{"y":1,}}"#,
        br#"{"z":[}"#,
        br#"{"z":{]}}"#,
        br#"{"z":01}"#,
        br#"{"a":}"#,
        br#"{"a"}"#,
    ];
    for input in bad {
        for after in [b"".as_slice(), b"\n{\"a\":2}\n", b"{\"a\":2}"] {
            let file = [*input, after].concat();
            let told = told(&mut parser(&auto(), 1), [file.as_slice()]);
            let shown = String::from_utf8_lossy(&file);
            let Some(Told::Refused(error)) = told.first() else {
                panic!("{shown}: {told:?}")
            };
            assert_eq!(error.code.number, 1216, "{shown}");
            assert_eq!(error.raw_line, *input, "{shown}");
            let rest = told.get(1..).unwrap();
            let expected: &[&str] = match after {
                b"" => &[],
                b"{\"a\":2}" => &["1:2"],
                _ => &["2:2"],
            };
            assert_eq!(short(rest), expected, "{shown}");
        }
    }
}

#[test]
fn objects_that_were_cut_off() {
    let starts_with = |told: &[Told], line: u64| matches!(told.first(), Some(Told::Refused(error)) if error.line == line && error.code.number == 1216);
    for cut in [
        r#"{"a":1"#,
        r#"{"a":"x"#,
        r#"{"a"#,
        r#"{"a":{"b":1}"#,
        r#"{"a":"x}"#,
        r#"{"a":tr"#,
        "{",
        r#"{"z":[{"#,
    ] {
        let file = format!("{cut}\n{{\"a\":2}}\n");
        let told = told(&mut parser(&auto(), 1), [file.as_bytes()]);
        assert!(starts_with(&told, 1), "{cut}: {told:?}");
        assert_eq!(short(&told[1..]), ["2:2"], "{cut}");
        let end = super::told(&mut parser(&auto(), 1), [cut.as_bytes()]);
        assert!(starts_with(&end, 1) && end.len() == 1, "{cut}: {end:?}");
    }
}

#[test]
fn ignore_header() {
    let header = CopyOptions {
        ignore_header: 1,
        ..auto()
    };
    check(&header, 1, &[(b"{\"a\":1}{\"a\":2}\n{\"a\":3}", &["2:3"])]);
}

fn with_paths(paths: &[&[Step]]) -> Parser {
    let json = Json::new(Shape::paths(paths.iter().copied()));
    Parser::new(&auto(), paths.len(), Some(json)).unwrap()
}

fn key(key: &str) -> Step {
    Step::Key(key.to_owned())
}

#[test]
fn paths() {
    let table: &[(&[u8], &[&str])] = &[
        (
            r#"{"p":{"x":1,"y":[10,{"z":"é"}]},"q":5}"#.as_bytes(),
            &[r#"1:1,10,é,5,{"x":1,"y":[10,{"z":"é"}]}"#],
        ),
        // A member that is not there is NULL, and so is what would be in it.
        (br#"{"q":5}"#, &["1:~,~,~,5,~"]),
        (br#"{"p":null}"#, &["1:~,~,~,~,~"]),
        (br#"{"p":{"y":[1,{}]}}"#, &[r#"1:~,1,~,~,{"y":[1,{}]}"#]),
        // Elements are not.
        (
            br#"{"p":{"y":[1]}}{"p":{"y":[]}}"#,
            &[
                "1!1216 Invalid JSONPath format: Not an array or index out of range.",
                "1!1216 Invalid JSONPath format: Not an array or index out of range.",
            ],
        ),
        (
            br#"{"p":{"y":7}}"#,
            &["1!1216 Invalid JSONPath format: Not an array or index out of range."],
        ),
        (
            br#"{"p":"s"}"#,
            &["1!1216 Invalid JSONPath format: Member is not an object."],
        ),
        // The last of a key that comes twice, with all that is in it.
        (br#"{"p":{"y":7},"p":{"x":2}}"#, &[r#"1:2,~,~,~,{"x":2}"#]),
        (br#"{"p":{"x":2},"p":null}"#, &["1:~,~,~,~,~"]),
    ];
    for (input, expected) in table {
        let steps: [&[Step]; 5] = [
            &[key("p"), key("x")],
            &[key("p"), key("y"), Step::Index(0)],
            &[key("p"), key("y"), Step::Index(1), key("z")],
            &[key("q")],
            &[key("p")],
        ];
        let whole = told(&mut with_paths(&steps), [*input]);
        assert_eq!(
            short(&whole),
            *expected,
            "{}",
            String::from_utf8_lossy(input)
        );
        assert_eq!(whole, told(&mut with_paths(&steps), input.chunks(1)));
    }
}

#[test]
fn arrays_are_rows_with_paths() {
    let steps: [&[Step]; 3] = [&[Step::Index(1)], &[Step::Index(0)], &[Step::Index(1)]];
    let told = told(
        &mut with_paths(&steps),
        [br#"[1,"two"] [3,[4],5] {"a":1}"#.as_slice()],
    );
    assert_eq!(
        short(&told),
        [
            "1:two,1,two",
            "1:[4],3,[4]",
            "1!1216 Invalid JSONPath format: Not an array or index out of range."
        ]
    );
}

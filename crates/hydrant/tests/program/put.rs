//! `hydrant put` and the commands that look at what became of it.

use std::{fs, process::Stdio};

use super::running::{Running, bucket, hydrant, parsed, run, text};

/// Bytes of every value, newlines among them, in no order.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_arrives_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let node = Running::serve(&folder.path().join("data"), &["--quotas", "unlimited"]);
    node.create("bytes").await;
    let binary = folder.path().join("noise.bin");
    // No newline at its end, nor a whole number of batches.
    fs::write(&binary, noise(3_000_001)).unwrap();
    let piped = b"first\r\n\nlast, without an end";
    let path = binary.to_str().unwrap();
    let summary = node.succeed(&["put", "bytes", path, "-", path, "--json"], piped);
    let summary = parsed(&summary);
    assert_eq!(summary["complete"], true);
    assert_eq!(summary["resent"], 0);

    let wanted = [
        &fs::read(&binary).unwrap()[..],
        piped,
        &fs::read(&binary).unwrap(),
    ]
    .concat();
    assert_eq!(summary["bytes"], wanted.len());
    assert!(
        node.flushed("bytes") == wanted,
        "the bucket's bytes differ from those sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_files_and_delimiters() {
    let folder = tempfile::tempdir().unwrap();
    let node = Running::serve(&folder.path().join("data"), &["--quotas", "unlimited"]);
    node.create("whole").await;
    let file = folder.path().join("a.bin");
    fs::write(&file, noise(1_024_000)).unwrap();
    let path = file.to_str().unwrap();
    let summary = parsed(&node.succeed(&["put", "whole", "--whole", path, path, "--json"], b""));
    assert_eq!(summary["records"], 2);
    let summary = node.succeed(
        &["put", "whole", "--delimiter", r"\x1e", "--json"],
        b"a\x1eb\nc\x1e",
    );
    assert_eq!(parsed(&summary)["records"], 2);
    let wanted = [&noise(1_024_000)[..], &noise(1_024_000), b"a\x1eb\nc\x1e"].concat();
    assert!(node.flushed("whole") == wanted);

    fs::write(&file, noise(1_024_001)).unwrap();
    let refused = node.command(&["put", "whole", "--whole", path], b"");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("a.bin"),
        "{}",
        text(&refused.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_too_long_is_named_and_what_came_before_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &["--quotas", "unlimited"]);
    node.create("long").await;
    let input = [b"one\ntwo\n", &vec![b'x'; 1_024_001][..]].concat();
    let refused = node.command(&["put", "long"], &input);
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains("standard input: line 3"), "{told}");
    assert!(told.contains("2 records"), "{told}");
    assert_eq!(node.flushed("long"), b"one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_put_slows_down_and_finishes() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &["--records-per-second", "400"]);
    node.create("narrow").await;
    let lines: String = (0..1_500).map(|n| format!("{n}\n")).collect();
    let summary = parsed(&node.succeed(&["put", "narrow", "--json"], lines.as_bytes()));
    assert_eq!(summary["records"], 1_500);
    assert!(summary["resent"].as_u64() > Some(0), "{summary}");
    assert_eq!(
        node.flushed("narrow"),
        lines.as_bytes(),
        "each once and in order"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_flush_and_trace_tell_where_records_are() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &[]);
    assert!(
        node.succeed(&["streams"], b"")
            .contains("no delivery streams")
    );
    node.create("seen").await;
    let summary = parsed(&node.succeed(&["put", "seen", "--json"], b"a\nb\n"));
    let id = summary["last_record_id"].as_str().unwrap();

    let listed = parsed(&node.succeed(&["streams", "--json"], b""));
    let stream = &listed["streams"][0];
    assert_eq!(stream["name"], "seen");
    assert_eq!(stream["backlog_records"], 2);
    assert_eq!(stream["backlog_bytes"], 4);
    assert!(
        node.succeed(&["trace", id], b"")
            .starts_with("buffered since ")
    );

    assert!(
        node.succeed(&["flush", "seen"], b"")
            .contains("1 object delivered")
    );
    let traced = parsed(&node.succeed(&["trace", id, "--json"], b""));
    assert_eq!(traced["state"], "delivered");
    let object = node
        .data
        .join("buckets/seen")
        .join(traced["key"].as_str().unwrap());
    assert_eq!(fs::read(object).unwrap(), b"a\nb\n");
    assert_eq!(bucket(&node.data, "seen"), b"a\nb\n");
    let table = node.succeed(&["streams"], b"");
    assert!(
        table.lines().nth(1).unwrap().starts_with("seen    ACTIVE"),
        "{table}"
    );

    let unknown = node.command(&["trace", "nonsense"], b"");
    assert!(text(&unknown.stderr).contains("not a RecordId"));
    let unknown = node.command(&["flush", "nobody"], b"");
    assert!(text(&unknown.stderr).contains("there is no stream nobody"));
    let unknown = node.command(&["put", "nobody"], b"a\n");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stderr).contains("hydrant streams"),
        "{}",
        text(&unknown.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_admin_port_streams_asks_the_api() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &[]);
    node.create("known").await;
    let output = run(&["streams", "--endpoint", &node.api, "--json"], b"");
    let stream = &parsed(text(&output.stdout))["streams"][0];
    assert_eq!(stream["name"], "known");
    assert_eq!(stream["account"], "000000000000");
    assert_eq!(stream["destination"], "s3://known/");
    assert!(
        stream.get("backlog_records").is_none(),
        "the API does not know"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_early_is_no_error() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &[]);
    let mut child = hydrant(&["streams", "--admin", &node.admin])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn nobody_there_is_one_clear_line() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = run(&["put", "s", "--endpoint", &free.to_string()], b"a\n");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains("hydrant serve") && told.lines().count() == 1,
        "{told}"
    );
}

//! `hydrant doctor`: what it says of a stopped node's directory, that it changes nothing unasked, and that a node goes on
//! after a repair.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use hydrant_engine::{Engine, EngineConfig, Expect, Frame, LaneId, OpenError, Position, Timestamp};
use serde_json::{Value, json};

use super::running::{Running, parsed, run, text};

const LANE: LaneId = LaneId(1);

/// What `hydrant doctor` says, and its exit code.
fn doctor(data: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut args = vec!["doctor", "--data-dir", data.to_str().unwrap()];
    args.extend(more);
    let done = run(&args, b"");
    let told = format!("{}{}", text(&done.stdout), text(&done.stderr));
    (done.status.code(), told)
}

/// The findings that are no notes, without a byte of the directory changed.
fn examined(data: &Path) -> Vec<Value> {
    let before = snapshot(data);
    let (code, told) = doctor(data, &["--json"]);
    assert!(snapshot(data) == before, "something was changed");
    let told = parsed(&told);
    let findings = bad(&told["findings"]);
    assert_eq!(told["healthy"], findings.is_empty());
    assert_eq!(code, Some(i32::from(!findings.is_empty())));
    findings
}

fn bad(findings: &Value) -> Vec<Value> {
    let findings = findings.as_array().unwrap().iter();
    findings
        .filter(|it| it["severity"] != "note")
        .cloned()
        .collect()
}

/// Repairs; where the bytes are that it changed.
fn repaired(data: &Path) -> PathBuf {
    let (code, told) = doctor(data, &["--repair", "--json"]);
    let told = parsed(&told);
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!(bad(&told["findings_after"]), Vec::<Value>::new());
    assert_eq!(examined(data), Vec::<Value>::new());
    told["repair"]["set_aside"].as_str().unwrap().into()
}

/// Every file of the node's own.
fn snapshot(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![data.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
            }
        }
    }
    files
}

/// A node's directory with lines that wait, in several frames of lane 1.
async fn filled(data: &Path) -> String {
    let node = Running::serve(data, &["--quotas", "unlimited"]);
    node.create("web").await;
    let lines: String = (0..3_000).map(|n| format!("line {n:05}\n")).collect();
    node.succeed(&["put", "web"], lines.as_bytes());
    assert!(node.terminate().success());
    lines
}

/// The engine of a directory whose node is stopped.
async fn engine(data: &Path) -> Engine {
    loop {
        match Engine::open(EngineConfig::new(data)).await {
            // Another test's child has this process's files between its fork and its exec.
            Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
            opened => return opened.unwrap().0,
        }
    }
}

async fn close(engine: Engine) {
    engine.log.close().await.unwrap();
    engine.catalog.close().await.unwrap();
}

async fn put(data: &Path, key: &str, value: &str) {
    let engine = engine(data).await;
    let present = engine.catalog.get(key).await.unwrap();
    let expect = present.map_or(Expect::Absent, |it| Expect::Exactly(it.version));
    let value = Bytes::from(value.to_owned());
    engine.catalog.put(key, value, expect).await.unwrap();
    close(engine).await;
}

async fn get(data: &Path, key: &str) -> Value {
    let engine = engine(data).await;
    let found = engine.catalog.get(key).await.unwrap().unwrap();
    close(engine).await;
    serde_json::from_slice(&found.value).unwrap()
}

fn first_segment(data: &Path) -> PathBuf {
    data.join("log/0000000000000001.seg")
}

fn find(path: &Path, needle: &str) -> usize {
    let bytes = fs::read(path).unwrap();
    let found = bytes
        .windows(needle.len())
        .position(|it| it == needle.as_bytes());
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_directory_is_said_to_be_healthy_and_a_running_node_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    assert_eq!(examined(data.path()), Vec::<Value>::new());
    let (code, told) = doctor(data.path(), &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.ends_with("healthy\n") && told.contains("1 stream"),
        "{told}"
    );

    let node = Running::serve(data.path(), &[]);
    let (code, told) = doctor(data.path(), &["--repair"]);
    assert_eq!(code, Some(1));
    assert!(
        told.starts_with("hydrant: ") && told.contains("in use by process"),
        "{told}"
    );
    // Killed: what is left is no damage.
    drop(node);
    assert_eq!(examined(data.path()), Vec::<Value>::new());

    let (code, told) = doctor(&data.path().join("typo"), &[]);
    assert_eq!(
        (code, data.path().join("typo").exists()),
        (Some(1), false),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_name_forges_no_line() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    fs::write(data.path().join("log/x\nfatal: y"), "").unwrap();
    let (code, told) = doctor(data.path(), &[]);
    assert_eq!(code, Some(0), "{told}");
    let named = r"log/x\nfatal: y: not a file of this program's";
    assert!(told.contains(named), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_frame_is_named_with_its_stream_and_costs_itself_alone() {
    let data = tempfile::tempdir().unwrap();
    let lines = filled(data.path()).await;
    let file = first_segment(data.path());
    let at = find(&file, "line 00700");
    let mut bytes = fs::read(&file).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, &bytes).unwrap();

    let findings = examined(data.path());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = &findings[0];
    assert_eq!(finding["severity"], "damage");
    assert_eq!(finding["file"], file.to_str().unwrap());
    assert_eq!(finding["stream"], "000000000000/us-east-1/web");
    assert_eq!(finding["lane"], 1);
    assert_eq!(finding["first_position"], finding["last_position"]);
    let lost = finding["lost"].as_str().unwrap();
    assert!(lost.starts_with("1 frame with 500 records"), "{lost}");
    let (code, told) = doctor(data.path(), &[]);
    assert_eq!(code, Some(1));
    for part in [
        "stream: 000000000000/us-east-1/web",
        "lost: ",
        "--repair",
        "not healthy: 1 finding",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    let kept = repaired(data.path());
    let name = kept.file_name().unwrap().to_str().unwrap();
    assert!(
        kept.starts_with(data.path().join("set-aside")) && name.ends_with('Z'),
        "{name}"
    );
    assert!(fs::read(kept.join("log/0000000000000001.seg")).unwrap() == bytes);
    let node = Running::serve(data.path(), &[]);
    let delivered = String::from_utf8(node.flushed("web")).unwrap();
    let expected: String = lines
        .lines()
        .filter(|line| !(500..1000).contains(&line[5..].parse().unwrap()))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(delivered == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_cannot_be_read_are_named_and_taken_out() {
    let data = tempfile::tempdir().unwrap();
    let lines = filled(data.path()).await;
    let keys = [
        "delivery/1",
        "loading/1",
        "receipt/1/00000000000000000001",
        "load/1/00000000000000000001",
        "lane/last",
    ];
    for key in keys {
        put(data.path(), key, "{garbage").await;
    }
    let findings = examined(data.path());
    let named: Vec<&str> = findings
        .iter()
        .map(|it| it["key"].as_str().unwrap())
        .collect();
    for key in keys {
        assert!(named.contains(&key), "{key}: {findings:#?}");
    }
    assert_eq!(findings.len(), keys.len());
    assert!(
        findings
            .iter()
            .all(|it| !it["lost"].as_str().unwrap().is_empty())
    );
    let kept = repaired(data.path());
    for key in keys {
        let name = key.replace('/', "%2F");
        assert_eq!(
            fs::read(kept.join("values").join(name)).unwrap(),
            b"{garbage"
        );
    }
    let node = Running::serve(data.path(), &[]);
    // Nothing had been delivered, so nothing arrives twice.
    assert_eq!(node.flushed("web"), lines.as_bytes());
    node.create("another").await;
    assert!(node.terminate().success());
    assert_eq!(
        get(data.path(), "stream/000000000000/us-east-1/another").await["lane"],
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_taken_out_is_left() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    let stream = "stream/000000000000/us-east-1/web";
    let sound = get(data.path(), stream).await.to_string();
    let checkpoint = get(data.path(), "delivery/1").await;
    let mut newer = checkpoint.clone();
    newer["format"] = json!(2);
    for (key, value, sound) in [
        (stream, "{garbage".to_owned(), sound),
        ("delivery/1", newer.to_string(), checkpoint.to_string()),
    ] {
        put(data.path(), key, &value).await;
        let findings = examined(data.path());
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(
            (&findings[0]["key"], &findings[0]["severity"]),
            (&json!(key), &json!("fatal"))
        );
        assert_eq!(findings[0]["repair"], Value::Null);
        let before = snapshot(data.path());
        let (code, told) = doctor(data.path(), &["--repair"]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("a repair can do nothing"), "{told}");
        assert!(snapshot(data.path()) == before);
        put(data.path(), key, &sound).await;
    }
    assert_eq!(examined(data.path()), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_segments_would_swallow_new_records() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &["--quotas", "unlimited"]);
    node.create("web").await;
    let lines: String = (0..3_000).map(|n| format!("line {n:05}\n")).collect();
    node.succeed(&["put", "web"], lines.as_bytes());
    assert_eq!(node.flushed("web"), lines.as_bytes());
    assert!(node.terminate().success());
    fs::remove_dir_all(data.path().join("log")).unwrap();

    let findings = examined(data.path());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["key"], "delivery/1");
    assert!(
        findings[0]["what"]
            .as_str()
            .unwrap()
            .contains("segments of it are missing")
    );
    let (code, told) = doctor(data.path(), &["--repair"]);
    assert_eq!(code, Some(0), "{told}");
    let node = Running::serve(data.path(), &[]);
    node.succeed(&["put", "web"], b"after the repair\n");
    // Two objects of one second have no order.
    let delivered = String::from_utf8(node.flushed("web")).unwrap();
    assert_eq!(delivered.len(), lines.len() + "after the repair\n".len());
    assert!(delivered.contains(&lines) && delivered.contains("after the repair\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_is_not_in_the_log_and_records_that_grew_old_are_named() {
    let data = tempfile::tempdir().unwrap();
    filled(data.path()).await;
    let stream = get(data.path(), "stream/000000000000/us-east-1/web").await;
    let mut checkpoint = get(data.path(), "delivery/1").await;
    let span = |records: u64| {
        json!({
            "start": 1, "end": 4, "key": "some/object", "version": 1, "oldest": 1, "newest": 1,
            "records": records, "bytes": 1, "destination": stream["destination"]["s3"],
        })
    };
    for (records, missing) in [(1500, 0), (1600, 100)] {
        checkpoint["cursor"] = json!(4);
        checkpoint["spans"] = json!([span(records)]);
        put(data.path(), "delivery/1", &checkpoint.to_string()).await;
        let findings = examined(data.path());
        assert_eq!(findings.is_empty(), missing == 0, "{findings:#?}");
        if let Some(finding) = findings.first() {
            let what = finding["what"].as_str().unwrap();
            assert!(
                what.starts_with("100 of 1600 records") && what.contains("some/object"),
                "{what}"
            );
            assert_eq!(
                (&finding["first_position"], &finding["last_position"]),
                (&json!(1), &json!(3))
            );
        }
    }
    checkpoint["spans"] = json!([]);
    put(data.path(), "delivery/1", &checkpoint.to_string()).await;
    // A frame of long ago, and one of a lane that no stream has.
    let engine = engine(data.path()).await;
    let old = Frame::new(Timestamp(1_444_222_333_444), ["old"]);
    let position = engine.log.append(LANE, old.clone()).await.unwrap();
    assert!(position > Position(4));
    engine.log.append(LaneId(9), old).await.unwrap();
    close(engine).await;
    put(data.path(), "lane/last", "9").await;
    let (code, told) = doctor(data.path(), &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("1501 records wait to be delivered, the oldest for"),
        "{told}"
    );
    assert!(
        told.contains("lane 9, what a deleted stream left: 1 records"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_without_their_key_are_named() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &[]);
    super::key_file::create(&node, "tabled").await;
    assert!(node.terminate().success());
    assert_eq!(examined(data.path()), Vec::<Value>::new());
    let key = data.path().join("secret.key");
    let elsewhere = data.path().join("kept.key");
    fs::rename(&key, &elsewhere).unwrap();
    let findings = examined(data.path());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(
        findings[0]["lost"]
            .as_str()
            .unwrap()
            .contains("000000000000/us-east-1/tabled")
    );
    assert!(!key.exists(), "a key is not made");
    let elsewhere = elsewhere.to_str().unwrap();
    let (code, told) = doctor(data.path(), &["--secret-key-file", elsewhere]);
    assert_eq!(code, Some(0), "{told}");
    fs::copy(elsewhere, &key).unwrap();
    let other = fs::read_to_string(&key)
        .unwrap()
        .chars()
        .rev()
        .collect::<String>();
    fs::write(&key, other.trim()).unwrap();
    let findings = examined(data.path());
    assert!(
        findings[0]["what"]
            .as_str()
            .unwrap()
            .contains("not the key"),
        "{findings:#?}"
    );
}

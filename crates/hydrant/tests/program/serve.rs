//! `hydrant serve`: starting, stopping, refusing.

use super::running::{Running, run, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &["--quotas", "unlimited"]);
    node.create("kept").await;
    let lines: String = (0..5_000).map(|n| format!("line {n}\n")).collect();
    node.succeed(&["put", "kept"], lines.as_bytes());
    assert!(
        node.terminate().success(),
        "SIGTERM is a way to stop, not a failure"
    );

    let node = Running::serve(data.path(), &[]);
    assert_eq!(node.flushed("kept"), lines.as_bytes());
    assert!(node.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let node = Running::serve(data.path(), &[]);
    let data_dir = node.data.to_str().unwrap();
    let second = run(
        &["serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0"],
        b"",
    );
    assert_eq!(second.status.code(), Some(1));
    let told = text(&second.stderr);
    assert!(told.contains("in use by process"), "{told}");
    assert_eq!(
        told.lines()
            .filter(|line| line.starts_with("hydrant: "))
            .count(),
        1,
        "{told}"
    );
    node.create("unharmed").await;
}

#[test]
fn without_keys_it_listens_on_loopback_alone() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().join("data");
    let refused = run(
        &[
            "serve",
            "--data-dir",
            data_dir.to_str().unwrap(),
            "--listen",
            "0.0.0.0:0",
        ],
        b"",
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("[[keys]]"),
        "{}",
        text(&refused.stderr)
    );
    assert!(!data_dir.exists(), "refused before anything is touched");
}

#[test]
fn wrong_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hydrant.toml");
    std::fs::write(&file, "max_streams = 3\nmax_stream = 4\n").unwrap();
    let refused = run(&["serve", "--config", file.to_str().unwrap()], b"");
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(
        told.contains("hydrant.toml, line 2") && told.contains("`max_stream`"),
        "{told}"
    );
    let missing = run(&["serve", "--config", "/nonexistent.toml"], b"");
    assert!(text(&missing.stderr).contains("/nonexistent.toml"));
    assert_eq!(
        run(&["serve", "--listen", "here"], b"").status.code(),
        Some(2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_file_closes_the_node_and_sets_quotas() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hydrant.toml");
    let config = "
        quotas = 'unlimited'
        [[keys]]
        access_key = 'AKIDEXAMPLE'
        secret_key = 'wJalrXUtnFEMI'
        account = '123456789012'
        policy = [{ effect = 'Allow', action = 'firehose:List*', resource = '*' }]
    ";
    std::fs::write(&file, config).unwrap();
    let data = folder.path().join("data");
    let node = Running::serve(&data, &["--config", file.to_str().unwrap()]);
    let refused = node.firehose().list().await.unwrap_err();
    assert!(refused.is("UnrecognizedClientException"), "{refused}");

    let credentials = hydrant::sigv4::sign::Credentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: "wJalrXUtnFEMI".to_owned(),
        session_token: None,
    };
    let known = hydrant::client::Firehose::new(
        node.api.parse().unwrap(),
        "eu-central-1",
        std::sync::Arc::new(credentials),
        std::sync::Arc::new(hydrant_engine::SystemClock::new()),
    )
    .unwrap();
    assert!(known.list().await.unwrap().is_empty());
    let denied = known.describe("any").await.unwrap_err();
    assert!(denied.is("AccessDeniedException"), "{denied}");
}

//! What docs/security.md says of the whole program.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use super::running::{Running, hydrant, run, text};

const TOKEN: &str = "0f4be1c85a0c4d7f8e11-token";
/// Its own authority, for localhost.
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/localhost.crt");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/localhost.key");

fn write(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn token_file(folder: &Path) -> PathBuf {
    write(folder, "token", &format!("{TOKEN}\n"), 0o600)
}

/// A command that trusts the test's certificate.
fn command(args: &[&str]) -> Output {
    hydrant(args)
        .env("SSL_CERT_FILE", CERTIFICATE)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_the_admin_port_speaks_tls_and_asks_for_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = token_file(folder.path());
    let token = token.to_str().unwrap();
    let log = folder.path().join("log");
    let node = Running::serve_logging(
        &folder.path().join("data"),
        &[
            "--admin-listen",
            "0.0.0.0:0",
            "--admin-token-file",
            token,
            "--tls-cert",
            CERTIFICATE,
            "--tls-key",
            KEY,
        ],
        "trace",
        fs::File::create(&log).unwrap(),
    );
    let port = node.admin.rsplit(':').next().unwrap();
    assert!(node.admin.starts_with("https://"), "{}", node.admin);
    let admin = format!("https://localhost:{port}");

    let certificate = reqwest::Certificate::from_pem(&fs::read(CERTIFICATE).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .no_proxy()
        .build()
        .unwrap();
    let get = async |path: &str, token: Option<&str>| {
        let mut request = client.get(format!("{admin}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(path, None).await.0, 200, "{path}");
    }
    for path in ["/metrics", "/api/streams", "/api/trace/x", "/nothing"] {
        for wrong in [None, Some(""), Some("0f4be1c85a0c4d7f8e11-tokeN")] {
            let (status, told) = get(path, wrong).await;
            assert_eq!(status, 401, "{path}: {told}");
            assert!(told.contains("--admin-token-file"), "{told}");
        }
    }
    assert_eq!(get("/metrics", Some(TOKEN)).await.0, 200);
    let flush = format!("{admin}/api/streams/000000000000/us-east-1/s/flush");
    assert_eq!(client.post(&flush).send().await.unwrap().status(), 401);
    // Nothing in clear.
    let plain = reqwest::get(format!("http://127.0.0.1:{port}/livez")).await;
    assert!(plain.is_err(), "{plain:?}");

    // The commands bring it.
    for args in [
        &["streams", "--json"][..],
        &["flush", "nobody"],
        &["trace", "nothing"],
        &["copy", "s3://b/m", "--stream", "nobody"],
    ] {
        let with = |more: &[&str]| command(&[args, &["--admin", &admin], more].concat());
        let refused = with(&[]);
        assert!(!refused.status.success());
        assert!(
            text(&refused.stderr).contains("--admin-token-file"),
            "{args:?} {refused:?}"
        );
        let told = with(&["--admin-token-file", token]);
        assert!(!text(&told.stderr).contains("token"), "{args:?} {told:?}");
    }
    let shown = command(&[
        "streams",
        "--json",
        "--admin",
        &admin,
        "--admin-token-file",
        token,
    ]);
    assert!(shown.status.success(), "{shown:?}");

    assert!(node.terminate().success());
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        log.len() > 1000 && !log.contains(TOKEN),
        "the log has the token"
    );
}

#[test]
fn an_admin_port_that_everybody_reaches_keeps_a_node_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (token, open) = (
        token_file(folder.path()),
        write(folder.path(), "open", TOKEN, 0o644),
    );
    let tls = ["--tls-cert", CERTIFICATE, "--tls-key", KEY];
    let refused = |more: &[&str]| {
        let mut args = vec![
            "serve",
            "--data-dir",
            data.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ];
        args.extend(["--admin-listen", "0.0.0.0:0"]);
        args.extend(more);
        let refused = run(&args, b"");
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        text(&refused.stderr).to_owned()
    };
    let token = ["--admin-token-file", token.to_str().unwrap()];
    assert!(refused(&[]).contains("a token and TLS"));
    assert!(refused(&tls).contains("admin_token_file"));
    assert!(refused(&token).contains("tls_cert"));
    assert!(!data.exists(), "refused before anything is touched");
    let open = ["--admin-token-file", open.to_str().unwrap()];
    let told = refused(&[&open[..], &tls].concat());
    assert!(
        told.contains("chmod 600") && !told.contains(TOKEN),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_on_loopback_too_where_it_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let token = token_file(folder.path());
    let token = token.to_str().unwrap();
    let node = Running::serve(&folder.path().join("data"), &["--admin-token-file", token]);
    assert!(
        node.admin.starts_with("http://127.0.0.1:"),
        "{}",
        node.admin
    );
    let refused = node.command(&["streams"], b"");
    assert!(
        text(&refused.stderr).contains("--admin-token-file"),
        "{refused:?}"
    );
    node.succeed(&["streams", "--admin-token-file", token], b"");
    let variable = hydrant(&["streams", "--admin", &node.admin])
        .env("HYDRANT_ADMIN_TOKEN_FILE", token)
        .output()
        .unwrap();
    assert!(variable.status.success(), "{variable:?}");
}

#[test]
fn the_token_is_not_sent_in_clear_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let token = token_file(folder.path());
    let args = [
        "streams",
        "--admin",
        "http://192.0.2.1:4574",
        "--admin-token-file",
    ];
    let refused = run(&[&args[..], &[token.to_str().unwrap()]].concat(), b"");
    assert!(text(&refused.stderr).contains("https://"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_secrets_to_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |text: &str, mode: u32| {
        let config = write(folder.path(), "hydrant.toml", text, mode);
        let log = folder.path().join("log");
        let node = Running::serve_logging(
            &folder.path().join("data"),
            &["--config", config.to_str().unwrap()],
            "warn",
            fs::File::create(&log).unwrap(),
        );
        assert!(node.terminate().success());
        fs::read_to_string(&log).unwrap()
    };
    const KEYS: &str =
        "[[keys]]\naccess_key = 'AK'\nsecret_key = 'hush-hush'\naccount = '111111111111'\n";
    let warned = told(KEYS, 0o644);
    assert!(
        warned.contains("hydrant.toml") && warned.contains("chmod 600"),
        "{warned}"
    );
    assert!(!warned.contains("hush"), "{warned}");
    assert_eq!(told(KEYS, 0o600), "");
    assert_eq!(told("quotas = 'unlimited'", 0o644), "");
}

fn into_table(stream: &str, port: u16) -> Value {
    json!({
        "DeliveryStreamName": stream,
        "RedshiftDestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/r",
            "ClusterJDBCURL": format!("jdbc:postgresql://127.0.0.1:{port}/d"),
            "CopyCommand": { "DataTableName": "t" },
            "Username": "u",
            "Password": "Pa55-hush",
            "RetryOptions": { "DurationInSeconds": 0 },
            "S3Configuration": {
                "RoleARN": "arn:aws:iam::000000000000:role/r",
                "BucketARN": "arn:aws:s3:::b",
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_that_the_operator_does_not_name_are_not_connected_to() {
    let data = tempfile::tempdir().unwrap();
    let somewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    somewhere.set_nonblocking(true).unwrap();
    let port = somewhere.local_addr().unwrap().port();

    // Without the setting a stream may name any, and then the setting is made.
    let node = Running::serve(data.path(), &[]);
    let firehose = node.firehose();
    let create = |request: Value| {
        let firehose = firehose.clone();
        async move { firehose.call("CreateDeliveryStream", &request).await }
    };
    create(into_table("older", port)).await.unwrap();
    assert!(node.terminate().success());
    let elsewhere = format!("127.0.0.1:{},*.example.com", port ^ 1);
    let node = Running::serve(data.path(), &["--database-hosts", &elsewhere]);
    let firehose = node.firehose();
    while firehose.describe("older").await.unwrap()["DeliveryStreamStatus"] != "ACTIVE" {
        tokio::task::yield_now().await;
    }
    node.succeed(&["put", "older"], b"1\n");
    let failed = node.command(&["flush", "older"], b"");
    assert!(
        text(&failed.stderr).contains("database_hosts"),
        "{failed:?}"
    );

    let create = |request: Value| {
        let firehose = firehose.clone();
        async move { firehose.call("CreateDeliveryStream", &request).await }
    };
    let refused = create(into_table("newer", port)).await.unwrap_err();
    assert!(refused.is("InvalidArgumentException"), "{refused}");
    assert!(refused.to_string().contains("database_hosts"), "{refused}");
    create(into_table("allowed", port ^ 1)).await.unwrap();
    let met = somewhere.accept().unwrap_err();
    assert_eq!(
        met.kind(),
        std::io::ErrorKind::WouldBlock,
        "somebody connected"
    );
}

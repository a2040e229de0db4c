//! Nothing that must not be known is told, at whatever level: by a whole node that logs all that it and its libraries have
//! to say.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    Rig,
    peer::{Fault, PASSWORD, USER},
    statement::{Copy, Credentials},
};
use crate::program::running::{Running, parsed};

/// In rows that are refused: what users load is nobody else's.
const IN_A_ROW: &str = "nobodys-business";

fn configuration(url: &str, user: &str, password: &str, bucket: &str, options: &str) -> Value {
    json!({
        "ClusterJDBCURL": url,
        "CopyCommand": { "DataTableName": "t", "CopyOptions": options },
        "Username": user,
        "Password": password,
        "RetryOptions": { "DurationInSeconds": 0 },
        "S3Configuration": {
            "BucketARN": format!("arn:aws:s3:::{bucket}"),
            "BufferingHints": { "SizeInMBs": 128, "IntervalInSeconds": 900 },
        },
    })
}

async fn create(node: &Running, stream: &str, role: &str, mut destination: Value) {
    destination["RoleARN"] = role.into();
    destination["S3Configuration"]["RoleARN"] = role.into();
    let firehose = node.firehose();
    let request = json!({
        "DeliveryStreamName": stream,
        "RedshiftDestinationConfiguration": destination,
    });
    firehose
        .call("CreateDeliveryStream", &request)
        .await
        .unwrap();
    while firehose.describe(stream).await.unwrap()["DeliveryStreamStatus"] != "ACTIVE" {
        tokio::task::yield_now().await;
    }
}

/// Every byte below `directory`, but for the key file's and what lies in buckets.
fn kept(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name == "secret.key" || name == "buckets" {
            continue;
        }
        match path.is_dir() {
            true => text += &kept(&path),
            false => text += &String::from_utf8_lossy(&fs::read(&path).unwrap()),
        }
    }
    text
}

fn says(text: &str, secret: &str) -> bool {
    assert!(secret.len() > 8, "{secret} is found anywhere");
    text.contains(secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_that_nobody_may_know() {
    let Some(rig) = Rig::new("told").await else {
        return;
    };
    let (store, server) = (rig.store, rig.peer.behind());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("hydrant.toml");
    let text = format!(
        "[[buckets]]\nmatch = \"redshift-*\"\ntype = \"s3\"\nendpoint = {:?}\nregion = {:?}\n\
         access_key_id = {:?}\nsecret_access_key = {:?}\nsts_endpoint = {:?}\n",
        store.endpoint,
        store.region,
        store.assumer_access_key,
        store.assumer_secret_key,
        store.sts_endpoint
    );
    fs::write(&config, text).unwrap();
    let log = folder.path().join("log");
    let node = Running::serve_logging(
        &data,
        &["--config", config.to_str().unwrap()],
        "trace",
        fs::File::create(&log).unwrap(),
    );

    let by_redshift = format!("jdbc:redshift://127.0.0.1:{}/dev?ssl=false", rig.peer.port);
    let options = "delimiter '|' maxerror 5";
    let cluster = configuration(&by_redshift, USER, PASSWORD, &rig.bucket, options);
    create(&node, "cluster", &rig.spec.role_arn, cluster).await;
    let here = format!(
        "jdbc:postgresql://{}:{}/{}?sslmode=require",
        server.host, server.port, server.database
    );
    let table = configuration(&here, &server.user, &server.password, "here", options);
    create(&node, "table", &rig.spec.role_arn, table).await;

    let rows = format!("1|one\n{IN_A_ROW}|two\n");
    let mut answers = Vec::new();
    for stream in ["cluster", "table"] {
        node.succeed(&["put", stream], rows.as_bytes());
        answers.push(node.succeed(&["flush", stream], b""));
    }
    // What fails, with a database that repeats what it was sent, and rows that nobody wants.
    rig.peer.fail(Fault::RepeatStatement);
    node.succeed(&["put", "cluster"], b"3|three\n");
    let failed = node.command(&["flush", "cluster"], b"");
    assert!(!failed.status.success());
    answers.push(String::from_utf8(failed.stderr).unwrap());
    let many = format!("{IN_A_ROW}|\n").repeat(20);
    node.succeed(&["put", "table"], many.as_bytes());
    let failed = node.command(&["flush", "table"], b"");
    assert!(!failed.status.success());

    let streams = node.succeed(&["streams", "--json"], b"");
    let given_up = parsed(&streams);
    assert!(
        given_up.to_string().contains("errors/manifests"),
        "{streams}"
    );
    answers.push(streams);
    for path in ["metrics", "api/streams"] {
        let answer = reqwest::get(format!("{}/{path}", node.admin))
            .await
            .unwrap();
        answers.push(answer.text().await.unwrap());
    }
    for stream in ["cluster", "table"] {
        answers.push(node.firehose().describe(stream).await.unwrap().to_string());
    }
    assert!(node.terminate().success());

    let mut secrets = vec![
        PASSWORD.to_owned(),
        server.password.clone(),
        store.assumer_secret_key.clone(),
    ];
    for statement in rig.peer.statements() {
        let Some(Some(copy)) = statement
            .starts_with("COPY")
            .then(|| Copy::parse(&statement))
        else {
            continue;
        };
        let Credentials::Keys(keys) = copy.credentials else {
            panic!("{:?}", copy.credentials);
        };
        secrets.extend([keys.secret_key, keys.token.unwrap()]);
    }
    assert!(secrets.len() >= 3 + 4, "the COPYs were seen");
    let (log, kept) = (fs::read_to_string(&log).unwrap(), kept(&data));
    assert!(says(&log, "preparing query"), "libraries speak, too");
    let answers = answers.concat();
    for secret in &secrets {
        for (place, text) in [
            ("the log", &log),
            ("an answer", &answers),
            ("the data directory", &kept),
        ] {
            assert!(!says(text, secret), "{place} has {secret}");
        }
    }
    for (place, text) in [("the log", &log), ("an answer", &answers)] {
        assert!(!says(text, IN_A_ROW), "{place} has a row");
        assert!(
            !says(text, "\"password\":\"1:"),
            "{place} has what is sealed"
        );
    }
    assert!(says(&kept, "\"password\":\"1:"), "it is kept sealed");
}

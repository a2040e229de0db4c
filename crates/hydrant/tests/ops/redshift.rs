//! Redshift destinations: created, described, updated, exchanged for S3 and back; and the password, which nothing shows.

use hydrant::{api::Operation, stream::Destination};
use serde_json::{Value, json};

use super::node::{Node, ROLE, error, key};

const PASSWORD: &str = "hunter-22-Hunter";
const URL: &str = "jdbc:redshift://c.x.us-east-1.redshift.amazonaws.com:5439/dev";

/// What must be given, and no more.
fn required() -> Value {
    json!({
        "RoleARN": ROLE,
        "ClusterJDBCURL": URL,
        "CopyCommand": {"DataTableName": "t"},
        "Username": "loader",
        "Password": PASSWORD,
        "S3Configuration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"},
    })
}

/// What [`required`] becomes.
fn described() -> Value {
    json!({
        "RoleARN": ROLE,
        "ClusterJDBCURL": URL,
        "CopyCommand": {"DataTableName": "t"},
        "Username": "loader",
        "RetryOptions": {"DurationInSeconds": 3600},
        "S3DestinationDescription": {
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::b",
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
            "CompressionFormat": "UNCOMPRESSED",
            "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
            "CloudWatchLoggingOptions": {"Enabled": false},
        },
        "S3BackupMode": "Disabled",
        "CloudWatchLoggingOptions": {"Enabled": false},
    })
}

/// `value` with each of `members`, an object, laid over it.
fn with(mut value: Value, members: Value) -> Value {
    for (name, member) in members.as_object().unwrap() {
        value[name] = member.clone();
    }
    value
}

fn without(mut value: Value, member: &str) -> Value {
    value.as_object_mut().unwrap().remove(member).unwrap();
    value
}

async fn create(node: &Node, configuration: Value) -> Result<Value, (String, String)> {
    let body = json!({
        "DeliveryStreamName": "logs",
        "RedshiftDestinationConfiguration": configuration,
    });
    node.call(Operation::CreateDeliveryStream, body).await
}

async fn update(node: &Node, member: &str, value: Value) -> Result<Value, (String, String)> {
    let version = node.describe("logs").await["VersionId"].clone();
    let body = json!({
        "DeliveryStreamName": "logs",
        "CurrentDeliveryStreamVersionId": version,
        "DestinationId": "destinationId-000000000001",
        member: value,
    });
    node.call(Operation::UpdateDestination, body).await
}

/// The one destination of `logs`.
async fn destination(node: &Node) -> Value {
    node.describe("logs").await["Destinations"][0].take()
}

/// The password of `logs`, as who may open it reads it.
fn password(node: &Node) -> String {
    let stream = node.registry.get(&key("logs")).unwrap();
    let Destination::Redshift(spec) = &stream.destination else {
        panic!("{:?}", stream.destination);
    };
    let owner = stream.key.to_string();
    let secret = node.vault.unseal(&spec.password, &owner).unwrap();
    secret.expose().to_owned()
}

#[tokio::test]
async fn defaults_are_filled_in_and_the_password_is_sealed() {
    let node = Node::new().await;
    create(&node, required()).await.unwrap();
    let expected = json!({
        "DestinationId": "destinationId-000000000001",
        "RedshiftDestinationDescription": described(),
    });
    assert_eq!(destination(&node).await, expected);
    assert_eq!(password(&node), PASSWORD);
    let asked = node.vet.asked.lock().unwrap();
    let [(Destination::Redshift(spec), region)] = &asked[..] else {
        panic!("asked {asked:?}");
    };
    assert_eq!(
        (spec.jdbc_url.as_str(), region.as_str()),
        (URL, "us-east-1")
    );
}

#[tokio::test]
async fn everything_is_taken_and_given_back() {
    let node = Node::new().await;
    let s3 = json!({
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::b",
        "Prefix": "in/",
        "ErrorOutputPrefix": "",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
        "CompressionFormat": "GZIP",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}},
        "CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"},
    });
    let configuration = json!({
        "RoleARN": ROLE,
        "ClusterJDBCURL": "jdbc:postgresql://localhost:5432/d-b?ssl=true&sslmode=require",
        "CopyCommand": {
            "DataTableName": "public.events",
            "DataTableColumns": "",
            "CopyOptions": "json 'auto' gzip;",
        },
        "Username": "loader",
        "RetryOptions": {"DurationInSeconds": 0},
        "S3BackupMode": "Disabled",
        "ProcessingConfiguration": {"Enabled": false, "Processors": []},
        "CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "r"},
        "SecretsManagerConfiguration": {"Enabled": false},
    });
    let both = json!({"Password": PASSWORD, "S3Configuration": s3});
    create(&node, with(configuration.clone(), both))
        .await
        .unwrap();
    let expected = with(configuration, json!({"S3DestinationDescription": s3}));
    assert_eq!(
        destination(&node).await["RedshiftDestinationDescription"],
        expected
    );
}

#[tokio::test]
async fn a_name_and_a_password_are_required_by_meaning() {
    let node = Node::new().await;
    for member in ["Username", "Password"] {
        let answer = create(&node, without(required(), member)).await;
        let text = format!("RedshiftDestinationConfiguration.{member} must be given");
        assert_eq!(answer, Err(error("InvalidArgumentException", &text)));
    }
    assert_eq!(node.registry.all(), []);
}

/// Refused alike at creation and by an update, where the leg has another name.
#[tokio::test]
async fn what_copy_cannot_read_or_this_service_not_do_is_refused_by_name() {
    let node = Node::new().await;
    let leg = |members: Value| with(required()["S3Configuration"].clone(), members);
    let prefixes = "Ths supplied prefix(es) do not satisfy the following constraint: Prefix Expressions or \
                    ErrorOutputPrefix is currently not supported for this destination";
    let format = |format: &str| {
        format!(
            "S3.CompressionFormat cannot be {format} for a Redshift destination, because COPY does not read \
             it: only UNCOMPRESSED and GZIP can"
        )
    };
    let in_leg = [
        (json!({"CompressionFormat": "Snappy"}), format("Snappy")),
        (json!({"CompressionFormat": "ZIP"}), format("ZIP")),
        (
            json!({"CompressionFormat": "HADOOP_SNAPPY"}),
            format("HADOOP_SNAPPY"),
        ),
        (json!({"Prefix": "!{timestamp:yyyy}/"}), prefixes.to_owned()),
        (json!({"ErrorOutputPrefix": "e/"}), prefixes.to_owned()),
        (
            json!({"BucketARN": "arn:aws:s3:::b/p"}),
            "S3.BucketARN must be arn:aws:s3:::BUCKET, with nothing after the bucket's name"
                .to_owned(),
        ),
    ];
    let only = |member: &str, value: &str| {
        format!("This value of {member} is not supported by this service: only {value} is")
    };
    let not_enabled = "\"Enabled\": false";
    let beside = [
        (
            json!({"S3BackupMode": "Enabled"}),
            only("S3BackupMode", "Disabled"),
        ),
        (
            json!({"ProcessingConfiguration": {"Enabled": true}}),
            only("ProcessingConfiguration", not_enabled),
        ),
        (
            json!({"ProcessingConfiguration": {"Processors": [{"Type": "Lambda"}]}}),
            only("ProcessingConfiguration", not_enabled),
        ),
        (
            json!({"SecretsManagerConfiguration": {"Enabled": true, "SecretARN": "arn:aws:s"}}),
            only("SecretsManagerConfiguration", not_enabled),
        ),
        (
            json!({"CloudWatchLoggingOptions": {"Enabled": true}}),
            "CloudWatchLoggingOptions: LogGroupName and LogStreamName must be given when Enabled is true"
                .to_owned(),
        ),
    ];
    // Written once for both: `S3` stands for the leg's member, a bare name for the destination's.
    let expected = |text: &str, destination: &str, leg: &str| {
        let text = text.replace("S3.", &format!("{destination}.{leg}."));
        let text = text.replace("This value of ", &format!("This value of {destination}."));
        match text.starts_with("CloudWatch") {
            true => format!("{destination}.{text}"),
            false => text,
        }
    };
    let refused = |text: String| Err(error("InvalidArgumentException", &text));

    let destination = "RedshiftDestinationConfiguration";
    for (members, text) in &in_leg {
        let members = json!({"S3Configuration": leg(members.clone())});
        let answer = create(&node, with(required(), members)).await;
        assert_eq!(
            answer,
            refused(expected(text, destination, "S3Configuration"))
        );
    }
    for (members, text) in &beside {
        let answer = create(&node, with(required(), members.clone())).await;
        assert_eq!(
            answer,
            refused(expected(text, destination, "S3Configuration"))
        );
    }
    let backup = json!({"S3BackupConfiguration": leg(json!({}))});
    let text = format!("{destination}.S3BackupConfiguration is not supported by this service");
    let answer = create(&node, with(required(), backup)).await;
    assert_eq!(answer, refused(text));
    assert_eq!(node.registry.all(), []);

    create(&node, required()).await.unwrap();
    node.activate("logs").await;
    let destination = "RedshiftDestinationUpdate";
    for (members, text) in in_leg {
        let answer = update(&node, destination, json!({"S3Update": members})).await;
        assert_eq!(answer, refused(expected(&text, destination, "S3Update")));
    }
    for (members, text) in beside {
        let answer = update(&node, destination, members).await;
        assert_eq!(answer, refused(expected(&text, destination, "S3Update")));
    }
    let text = format!("{destination}.S3BackupUpdate is not supported by this service");
    let answer = update(&node, destination, json!({"S3BackupUpdate": {}})).await;
    assert_eq!(answer, refused(text));
    assert_eq!(node.describe("logs").await["VersionId"], "1");
}

#[tokio::test]
async fn each_member_is_replaced_by_itself() {
    let node = Node::new().await;
    let copy = json!({"DataTableName": "t", "DataTableColumns": "a,b", "CopyOptions": "csv"});
    create(&node, with(required(), json!({ "CopyCommand": copy })))
        .await
        .unwrap();
    node.activate("logs").await;
    let mut expected = with(described(), json!({ "CopyCommand": copy }));
    let mut secret = PASSWORD;
    let mut version = 1;
    let same = json!({});
    for (members, change) in [
        (
            json!({"RoleARN": "arn:aws:iam::000000000000:role/other"}),
            json!({"RoleARN": "arn:aws:iam::000000000000:role/other"}),
        ),
        (
            json!({"ClusterJDBCURL": "jdbc:postgresql://h/d?ssl=true"}),
            json!({"ClusterJDBCURL": "jdbc:postgresql://h/d?ssl=true"}),
        ),
        (json!({"Username": "u"}), json!({"Username": "u"})),
        (json!({"Password": "another-Password"}), same.clone()),
        // A unit: columns and options are gone.
        (
            json!({"CopyCommand": {"DataTableName": "s.t"}}),
            json!({"CopyCommand": {"DataTableName": "s.t"}}),
        ),
        (
            json!({"CopyCommand": {"DataTableName": "s.t", "CopyOptions": ""}}),
            json!({"CopyCommand": {"DataTableName": "s.t", "CopyOptions": ""}}),
        ),
        (
            json!({"RetryOptions": {"DurationInSeconds": 7200}}),
            json!({"RetryOptions": {"DurationInSeconds": 7200}}),
        ),
        (json!({}), same.clone()),
        (
            json!({"RetryOptions": {}}),
            json!({"RetryOptions": {"DurationInSeconds": 3600}}),
        ),
        (
            json!({"SecretsManagerConfiguration": {"Enabled": false}, "S3BackupMode": "Disabled"}),
            json!({"SecretsManagerConfiguration": {"Enabled": false}}),
        ),
        (
            json!({"ProcessingConfiguration": {"Enabled": false}}),
            json!({"ProcessingConfiguration": {"Enabled": false}}),
        ),
        (
            json!({"CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"}}),
            json!({"CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"}}),
        ),
        // And the leg, by the rules of S3.
        (
            json!({"S3Update": {"Prefix": "in/", "BufferingHints": {"IntervalInSeconds": 60}}}),
            json!({"S3DestinationDescription": {
                "Prefix": "in/", "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
            }}),
        ),
        (
            json!({"S3Update": {"CompressionFormat": "GZIP"}}),
            json!({"S3DestinationDescription": {"CompressionFormat": "GZIP"}}),
        ),
        (
            json!({"S3Update": {
                "BucketARN": "arn:aws:s3:::c", "RoleARN": "arn:r", "Prefix": "",
                "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}},
            }}),
            json!({"S3DestinationDescription": {
                "BucketARN": "arn:aws:s3:::c", "RoleARN": "arn:r", "Prefix": "",
                "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:k"}},
            }}),
        ),
        (json!({"S3Update": {}}), same),
    ] {
        if let Some(password) = members["Password"].as_str() {
            assert_eq!(password, "another-Password");
            secret = "another-Password";
        }
        let answer = update(&node, "RedshiftDestinationUpdate", members).await;
        assert_eq!(answer, Ok(json!({})));
        for (name, value) in change.as_object().unwrap() {
            expected[name] = match name.as_str() {
                "S3DestinationDescription" => with(expected[name].take(), value.clone()),
                _ => value.clone(),
            };
        }
        version += 1;
        let mut description = node.describe("logs").await;
        assert_eq!(description["VersionId"], version.to_string());
        let destination = json!({
            "DestinationId": "destinationId-000000000001",
            "RedshiftDestinationDescription": expected,
        });
        assert_eq!(description["Destinations"][0].take(), destination);
        assert_eq!(password(&node), secret);
    }
}

/// Of S3 nothing is kept, not even what both have.
#[tokio::test]
async fn from_s3_to_redshift_everything_must_be_said() {
    let node = Node::new().await;
    node.active("logs").await;
    let mut complete = required();
    complete["S3Update"] = complete["S3Configuration"].take();
    let complete = without(complete, "S3Configuration");
    let why = ": of a destination of another type nothing is kept";
    for member in [
        "RoleARN",
        "ClusterJDBCURL",
        "CopyCommand",
        "Username",
        "Password",
    ] {
        let partial = without(complete.clone(), member);
        let answer = update(&node, "RedshiftDestinationUpdate", partial).await;
        let text = format!("RedshiftDestinationUpdate.{member} must be given{why}");
        assert_eq!(answer, Err(error("InvalidArgumentException", &text)));
    }
    for member in ["RoleARN", "BucketARN"] {
        let mut partial = complete.clone();
        partial["S3Update"] = without(partial["S3Update"].take(), member);
        let answer = update(&node, "RedshiftDestinationUpdate", partial).await;
        let text = format!("RedshiftDestinationUpdate.S3Update.{member} must be given{why}");
        assert_eq!(answer, Err(error("InvalidArgumentException", &text)));
    }
    assert_eq!(node.describe("logs").await["VersionId"], "1");

    update(&node, "RedshiftDestinationUpdate", complete)
        .await
        .unwrap();
    let expected = json!({
        "DestinationId": "destinationId-000000000001",
        "RedshiftDestinationDescription": described(),
    });
    assert_eq!(destination(&node).await, expected);
    assert_eq!(password(&node), PASSWORD);
    assert_eq!(node.describe("logs").await["VersionId"], "2");
}

#[tokio::test]
async fn from_redshift_to_s3_everything_must_be_said() {
    let node = Node::new().await;
    let gzip = with(
        required()["S3Configuration"].take(),
        json!({"CompressionFormat": "GZIP", "Prefix": "in/"}),
    );
    create(&node, with(required(), json!({"S3Configuration": gzip})))
        .await
        .unwrap();
    node.activate("logs").await;
    let why = ": of a destination of another type nothing is kept";
    for member in ["S3DestinationUpdate", "ExtendedS3DestinationUpdate"] {
        for (partial, missing) in [
            (json!({}), "RoleARN"),
            (json!({"BucketARN": "arn:aws:s3:::c"}), "RoleARN"),
            (json!({"RoleARN": ROLE, "Prefix": "p/"}), "BucketARN"),
        ] {
            let text = format!("{member}.{missing} must be given{why}");
            let answer = update(&node, member, partial).await;
            assert_eq!(answer, Err(error("InvalidArgumentException", &text)));
        }
    }
    let s3 = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::c", "CompressionFormat": "Snappy"});
    update(&node, "S3DestinationUpdate", s3).await.unwrap();
    let plain = json!({
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::c",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "Snappy",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": false},
    });
    let expected = json!({
        "DestinationId": "destinationId-000000000001",
        "S3DestinationDescription": plain,
        "ExtendedS3DestinationDescription": with(plain.clone(), json!({"S3BackupMode": "Disabled"})),
    });
    assert_eq!(destination(&node).await, expected);
    assert_eq!(node.describe("logs").await["VersionId"], "2");
}

/// Not in an answer, good or bad, not in what the catalog holds, not in what a debugging line would print.
#[tokio::test]
async fn nothing_shows_the_password() {
    let node = Node::new().await;
    let mut shown = Vec::new();
    let mut tell = |answer: Result<Value, (String, String)>| shown.push(format!("{answer:?}"));
    let wrong = [
        json!({"Password": "x"}),
        json!({"Password": PASSWORD.repeat(40)}),
        json!({"Password": [PASSWORD]}),
        json!({"Password": {"Value": PASSWORD}}),
        json!({"Password": PASSWORD, "ClusterJDBCURL": "nowhere"}),
        json!({"Password": PASSWORD, "Username": ""}),
        json!({"Password": PASSWORD, "S3BackupMode": "Enabled"}),
        json!({"Password": PASSWORD, "SecretsManagerConfiguration": {"Enabled": true}}),
    ];
    for members in &wrong {
        tell(create(&node, with(required(), members.clone())).await);
    }
    assert_eq!(node.registry.all(), []);
    tell(create(&node, required()).await);
    tell(create(&node, required()).await);
    tell(Ok(node.describe("logs").await));
    node.activate("logs").await;
    for members in wrong {
        tell(update(&node, "RedshiftDestinationUpdate", members).await);
    }
    let members = json!({"Password": PASSWORD, "Username": "other"});
    tell(update(&node, "RedshiftDestinationUpdate", members).await);
    tell(Ok(node.describe("logs").await));
    for stream in node.registry.all() {
        shown.push(format!("{stream:?}"));
        shown.push(serde_json::to_string(&*stream).unwrap());
    }
    shown.push(format!("{:?}", node.vet.asked.lock().unwrap()));
    shown.push(format!("{:?}", node.operations));
    assert_eq!(password(&node), PASSWORD);
    for text in shown {
        let lower = text.to_lowercase();
        assert!(!lower.contains(&PASSWORD.to_lowercase()), "{text}");
    }
}

#[tokio::test]
async fn a_password_opens_for_its_own_stream_alone() {
    let node = Node::new().await;
    create(&node, required()).await.unwrap();
    let stream = node.registry.get(&key("logs")).unwrap();
    let sealed = &stream.destination.redshift().unwrap().password;
    let other = key("other").to_string();
    assert!(node.vault.unseal(sealed, &other).is_err());
}

/// The decision is taken twice, the password sealed once: what was vetted is what is kept.
#[tokio::test]
async fn what_is_vetted_is_what_is_kept() {
    let node = Node::new().await;
    create(&node, required()).await.unwrap();
    node.activate("logs").await;
    let members = json!({"Password": "another-Password"});
    update(&node, "RedshiftDestinationUpdate", members)
        .await
        .unwrap();
    let asked = node.vet.asked.lock().unwrap();
    let (vetted, _) = asked.last().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        vetted,
        &node.registry.get(&key("logs")).unwrap().destination
    );
}

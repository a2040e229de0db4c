//! Redshift, against a peer that reads a real store and loads into a real database.

mod bucket;
mod loading;
mod peer;
mod secrets;
mod services;
mod statement;

use std::sync::Arc;

use hydrant::{
    config::{BucketRule, RedshiftCredentials, S3Rule},
    credentials::{Outbound, Secret, Vault},
    destination::{Buckets, DeliveryError},
    stream::{
        BufferingHints, CompressionFormat, CopyCommand, Destination, Encryption, RedshiftSpec,
        S3Spec, StreamKey,
    },
    warehouse::{Load, Loaded, Warehouse, Warehouses, connect::Connector, redshift::LEDGER},
};
use hydrant_copy::{Manifest, S3Url};
use hydrant_engine::{Chance, SystemClock};

use self::{
    peer::{Fault, PASSWORD, Peer, USER},
    services::{S3, services},
};

const MANIFEST: &str = "manifests/m";

/// A cluster, a bucket and a stream's configuration between them.
struct Rig {
    store: &'static S3,
    peer: Peer,
    bucket: String,
    credentials: RedshiftCredentials,
    /// As whom the node comes to the store, and whether it assumes roles there.
    rule: S3Rule,
    spec: RedshiftSpec,
    stream: StreamKey,
    vault: Arc<Vault>,
}

impl Rig {
    /// With a table `t (a INTEGER, b VARCHAR)`; `None` without the services.
    async fn new(name: &str) -> Option<Self> {
        let (store, postgres) = services()?;
        let peer = Peer::start(store, postgres).await;
        peer.column("CREATE TABLE t (a INTEGER, b VARCHAR)").await;
        let bucket = format!("redshift-{name}-{}", std::process::id());
        let vault = Arc::new(Vault::ephemeral(&Chance::seeded(1)).unwrap());
        let stream = StreamKey {
            account: "000000000000".to_owned(),
            region: store.region.clone(),
            name: name.to_owned(),
        };
        let sealed = vault.seal(&Secret::new(PASSWORD), &stream.to_string());
        let leg = S3Spec {
            role_arn: store.role_arn.clone(),
            bucket_arn: format!("arn:aws:s3:::{bucket}"),
            prefix: None,
            buffering: BufferingHints::DEFAULT,
            compression: CompressionFormat::Uncompressed,
            encryption: Encryption::None,
            echoed: serde_json::Map::new(),
        };
        let rig = Rig {
            store,
            bucket,
            credentials: RedshiftCredentials::Keys,
            rule: S3Rule {
                pattern: "redshift-*".to_owned(),
                endpoint: Some(store.endpoint.clone()),
                access_key_id: Some(store.assumer_access_key.clone()),
                secret_access_key: Some(Secret::new(&store.assumer_secret_key)),
                sts_endpoint: Some(store.sts_endpoint.clone()),
                ..S3Rule::default()
            },
            spec: RedshiftSpec {
                role_arn: store.role_arn.clone(),
                jdbc_url: format!(
                    "jdbc:postgresql://127.0.0.1:{}/dev?sslmode=disable",
                    peer.port
                ),
                username: USER.to_owned(),
                password: sealed.unwrap(),
                copy: CopyCommand {
                    table: "t".to_owned(),
                    columns: None,
                    options: None,
                },
                retry_s: 0,
                s3: leg,
                echoed: serde_json::Map::new(),
            },
            peer,
            stream,
            vault,
        };
        rig.put("", "").await;
        Some(rig)
    }

    async fn put(&self, key: &str, body: impl Into<bytes::Bytes>) {
        let path = format!("{}/{key}", self.bucket);
        let owner = bucket::owner(self.store);
        let (status, answer) = bucket::request(self.store, &owner, "PUT", &path, body).await;
        assert_eq!(status, 200, "{path}: {answer:?}");
    }

    /// Objects, and a manifest of them.
    async fn deliver(&self, objects: &[&[u8]]) {
        let mut urls = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            let key = format!("2015/10/07/{index}");
            self.put(&key, object.to_vec()).await;
            urls.push(S3Url::new(&self.bucket, key).unwrap());
        }
        self.put(MANIFEST, Manifest::mandatory(urls).to_json())
            .await;
    }

    fn warehouses(&self) -> Warehouses {
        let clock = Arc::new(SystemClock::new());
        let outbound = Outbound::new(clock.clone());
        let rules = vec![BucketRule::S3(self.rule.clone())];
        let buckets = Buckets::new(rules, "/nowhere/buckets".into(), outbound).unwrap();
        Warehouses::new(
            Arc::new(buckets),
            self.vault.clone(),
            Connector::new(clock, None).unwrap(),
            self.credentials,
        )
    }

    async fn get(&self, key: &str) -> bytes::Bytes {
        let path = format!("{}/{key}", self.bucket);
        let owner = bucket::owner(self.store);
        let none = bytes::Bytes::new();
        let (status, body) = bucket::request(self.store, &owner, "GET", &path, none).await;
        assert_eq!(status, 200, "{path}");
        body
    }

    async fn copy(&self) -> Result<Loaded, DeliveryError> {
        self.copy_of(MANIFEST).await
    }

    async fn copy_of(&self, manifest: &str) -> Result<Loaded, DeliveryError> {
        let load = Load {
            stream: self.stream.clone(),
            warehouse: Arc::new(self.spec.clone()),
            leg: Arc::new(self.spec.s3.clone()),
            manifest: manifest.to_owned(),
        };
        self.warehouses().copy(&load).await
    }

    /// A refusal's text, which has `code` and no secret in it.
    async fn refused(&self, code: &str) -> String {
        let error = self.copy().await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error}");
        assert_eq!(error.code(), code, "{error}");
        let text = error.to_string();
        for secret in [PASSWORD, &self.store.assumer_secret_key] {
            assert!(!text.contains(secret), "{text}");
        }
        text
    }

    /// The table, a row in each text.
    async fn table(&self) -> Vec<String> {
        self.peer
            .column("SELECT a || ' ' || b FROM t ORDER BY a, b")
            .await
    }
}

fn rows(rows: u64) -> Loaded {
    Loaded {
        rows: Some(rows),
        ..Loaded::default()
    }
}

#[tokio::test]
async fn a_manifest_is_loaded_with_the_keys_of_the_role() {
    let Some(mut rig) = Rig::new("keys").await else {
        return;
    };
    rig.deliver(&[b"1|one\n2|two\n", b"3|three\n"]).await;
    assert_eq!(rig.copy().await.unwrap(), rows(3));
    assert_eq!(rig.table().await, ["1 one", "2 two", "3 three"]);
    let statements = rig.peer.statements();
    let copy = statements
        .iter()
        .find(|sql| sql.starts_with("COPY"))
        .unwrap();
    // Those of the role, which alone may read the bucket.
    assert!(copy.contains(";token=") && !copy.contains(&rig.store.assumer_access_key));

    // Columns, options and Redshift's own driver; TLS the peer has none.
    rig.spec.jdbc_url = format!("jdbc:redshift://127.0.0.1:{}/dev?ssl=false", rig.peer.port);
    rig.spec.copy.columns = Some("b, a".to_owned());
    rig.spec.copy.options = Some("csv gzip;".to_owned());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b"\"four, or so\",4\n").unwrap();
    rig.deliver(&[&gzip.finish().unwrap()]).await;
    assert_eq!(rig.copy().await.unwrap(), rows(1));
    assert_eq!(rig.table().await[3], "4 four, or so");
    assert!(
        !rig.peer
            .statements()
            .contains(&"SELECT version()".to_owned())
    );
}

#[tokio::test]
async fn only_simple_queries_are_understood_there() {
    let Some(rig) = Rig::new("simple").await else {
        return;
    };
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(rig.peer.port)
        .user(USER)
        .password(PASSWORD);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.simple_query("SELECT version()").await.unwrap();
    assert!(client.query("SELECT version()", &[]).await.is_err());
}

#[tokio::test]
async fn a_role_is_named_where_that_is_set() {
    let Some(mut rig) = Rig::new("role").await else {
        return;
    };
    rig.deliver(&[b"1|one\n"]).await;
    rig.credentials = RedshiftCredentials::Role;
    let told = rig.refused("Redshift.AccessDenied").await;
    assert!(told.contains(&rig.store.role_arn), "{told}");
    rig.peer
        .shared
        .roles
        .lock()
        .unwrap()
        .push(rig.store.role_arn.clone());
    assert_eq!(rig.copy().await.unwrap(), rows(1));
    let statements = rig.peer.statements().join("\n");
    assert!(statements.contains(&format!("'aws_iam_role={}'", rig.store.role_arn)));
    assert!(!statements.contains("aws_access_key_id"));
}

#[tokio::test]
async fn a_load_is_whole_or_not_at_all() {
    let Some(rig) = Rig::new("whole").await else {
        return;
    };
    rig.deliver(&[b"1|one\n"]).await;
    rig.peer.fail(Fault::CutWhileLoading);
    let error = rig.copy().await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert_eq!(error.code(), "Redshift.ConnectionFailed");
    assert!(rig.table().await.is_empty());
    assert_eq!(rig.copy().await.unwrap(), rows(1));
    assert_eq!(rig.table().await, ["1 one"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_known_by_the_ledger_alone() {
    let Some(rig) = Rig::new("ledger").await else {
        return;
    };
    rig.deliver(&[b"1|one\n"]).await;
    for expected in [vec!["1 one", "1 one"], vec!["1 one"]] {
        rig.peer.column("TRUNCATE t").await;
        rig.peer.fail(Fault::CutAfterCommit);
        let error = rig.copy().await.unwrap_err();
        assert!(error.is_unreachable(), "{error}");
        let again = rig.copy().await.unwrap();
        assert_eq!(rig.table().await, expected);
        assert_eq!(again.skipped > 0, expected.len() == 1);
        // At first there is none.
        if expected.len() == 2 {
            rig.peer.column(LEDGER).await;
        }
    }
    let noted = rig
        .peer
        .column(
            "SELECT manifest || ' ' || manifest_url || ' ' || stream FROM hydrant.loaded_manifests",
        )
        .await;
    let url = format!("s3://{}/{MANIFEST}", rig.bucket);
    assert_eq!(noted, [format!("{url} {url} {}", rig.stream)]);
}

#[tokio::test]
async fn a_manifest_that_was_given_up_after_all_is_known_by_the_ledger() {
    let Some(mut rig) = Rig::new("given-up").await else {
        return;
    };
    rig.peer.column(LEDGER).await;
    rig.deliver(&[b"1|one\n"]).await;
    let name = "manifests/2019/09/26/13/s-2019-09-26-13-21-49-56371982-2375-4b28-8d79-45f01952667e";
    let given_up = format!("errors/{name}");
    let manifest = rig.get(MANIFEST).await;
    rig.put(name, manifest.clone()).await;
    rig.put(&given_up, manifest).await;
    // What is only checked is not loaded.
    rig.spec.copy.options = Some("noload".to_owned());
    rig.copy_of(name).await.unwrap();
    assert_eq!(
        rig.peer
            .column("SELECT manifest FROM hydrant.loaded_manifests")
            .await,
        [""; 0]
    );
    rig.spec.copy.options = None;
    rig.peer.column("TRUNCATE t").await;

    rig.peer.fail(Fault::CutAfterCommit);
    rig.copy_of(name).await.unwrap_err();
    assert_eq!(rig.copy_of(&given_up).await.unwrap().skipped, 1);
    assert_eq!(rig.table().await, ["1 one"]);
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_redshifts_words() {
    let Some(mut rig) = Rig::new("words").await else {
        return;
    };
    rig.deliver(&[b"1|one\n"]).await;
    let healthy = rig.spec.copy.clone();

    rig.spec.copy.options = Some("delimitr '|'".to_owned());
    let told = rig.refused("Redshift.SyntaxError").await;
    let copy = rig
        .peer
        .statements()
        .into_iter()
        .find(|sql| sql.starts_with("COPY"))
        .unwrap();
    let position = copy.find("delimitr").unwrap() + 1;
    assert!(
        told.contains("ERROR: syntax error at or near \"delimitr\""),
        "{told}"
    );
    assert!(told.ends_with(&format!("Position: {position}")), "{told}");

    rig.spec.copy.options = Some("csv escape".to_owned());
    rig.refused("Redshift.IncorrectCopyOptions").await;
    rig.spec.copy.options = Some("manifest".to_owned());
    rig.refused("Redshift.IncorrectCopyOptions").await;

    rig.spec.copy = healthy.clone();
    rig.spec.copy.table = "nowhere".to_owned();
    let told = rig.refused("Redshift.TableNotFound").await;
    assert!(
        told.contains("relation \"nowhere\" does not exist"),
        "{told}"
    );

    rig.spec.copy = healthy.clone();
    rig.spec.copy.columns = Some("a, c".to_owned());
    rig.refused("Redshift.ColumnNotFound").await;

    rig.spec.copy = healthy.clone();
    rig.spec.copy.options = Some(format!("json 's3://{}/paths'", rig.bucket));
    rig.put("paths", "{\"jsonpaths\":[\"$.a\"]}").await;
    rig.refused("Redshift.ColumnMismatch").await;
    rig.put("paths", "{\"jsonpaths\":").await;
    rig.refused("Redshift.IncorrectJsonPathsFile").await;

    rig.spec.copy = healthy;
    rig.put(
        MANIFEST,
        format!("{{\"entries\":[{{\"url\":\"s3://{}/gone\"}}]}}", rig.bucket),
    )
    .await;
    let told = rig.refused("Redshift.MissingS3File").await;
    assert!(
        told.contains("S3 key being read") && !told.contains('\n'),
        "{told}"
    );
    assert!(rig.table().await.is_empty());
}

#[tokio::test]
async fn the_table_of_load_errors_is_asked_where_it_knows_more() {
    let Some(mut rig) = Rig::new("stl").await else {
        return;
    };
    rig.deliver(&[b"1|one\nsecret!|two\n", b"3|three\n"]).await;
    let told = rig.refused("Redshift.DataLoadFailed").await;
    let place = format!(
        "s3://{}/2015/10/07/0, line 2, column a: Invalid digit",
        rig.bucket
    );
    assert!(told.contains(&place) && told.contains("(1207)"), "{told}");
    assert!(rig.table().await.is_empty());

    rig.spec.copy.options = Some("maxerror 2".to_owned());
    let loaded = rig.copy().await.unwrap();
    assert_eq!((loaded.rows, loaded.rejected), (Some(2), 1));
    assert_eq!(rig.table().await, ["1 one", "3 three"]);
}

#[tokio::test]
async fn no_secret_comes_back() {
    let Some(rig) = Rig::new("secret").await else {
        return;
    };
    rig.deliver(&[b"1|one\n"]).await;
    rig.peer.fail(Fault::RepeatStatement);
    let told = rig.refused("InternalError").await;
    let copy = rig
        .peer
        .statements()
        .into_iter()
        .find(|sql| sql.starts_with("COPY"))
        .unwrap();
    let keys = statement::Copy::parse(&copy).unwrap().credentials;
    let statement::Credentials::Keys(keys) = keys else {
        panic!("{keys:?}");
    };
    assert!(told.contains("cannot plan COPY t FROM"), "{told}");
    for secret in [keys.key_id, keys.secret_key, keys.token.unwrap()] {
        assert!(!told.contains(&secret), "{told}");
    }
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let Some(mut rig) = Rig::new("denied").await else {
        return;
    };
    rig.deliver(&[b"1|one\n"]).await;

    // The node's own key may read no bucket.
    rig.rule.sts_endpoint = None;
    let told = rig.refused("Redshift.S3BucketAccessDenied").await;
    assert!(told.contains("Status 403"), "{told}");
    rig.rule.sts_endpoint = Some(rig.store.sts_endpoint.clone());

    let allowed = std::mem::replace(&mut rig.spec.role_arn, rig.store.forbidden_role_arn.clone());
    rig.refused("Redshift.AccessDenied").await;
    let region = &rig.store.region;
    let vetted = rig
        .warehouses()
        .vet(&Destination::Redshift(Box::new(rig.spec.clone())), region)
        .await;
    assert!(vetted.unwrap_err().contains("unable to assume role"));
    rig.spec.role_arn = allowed;

    rig.spec.username = "somebody".to_owned();
    rig.refused("Redshift.AuthenticationFailed").await;
    rig.spec.username = USER.to_owned();

    let owner = std::mem::replace(&mut rig.stream.name, "another".to_owned());
    rig.refused("Redshift.AuthenticationFailed").await;
    rig.stream.name = owner;

    assert_eq!(rig.copy().await.unwrap(), rows(1));
}

#[tokio::test]
async fn keys_go_in_clear_only_where_somebody_says_so() {
    let Some(mut rig) = Rig::new("clear").await else {
        return;
    };
    rig.deliver(&[b"1|one\n"]).await;
    // The peer says that it has no TLS, as whoever wants the keys would.
    rig.spec.jdbc_url = format!("jdbc:postgresql://127.0.0.1:{}/dev", rig.peer.port);
    let told = rig.refused("Redshift.ConnectionFailed").await;
    assert!(told.contains("sslmode=disable"), "{told}");
    assert_eq!(rig.peer.statements(), ["SELECT version()"]);

    // A role's name is no secret.
    rig.credentials = RedshiftCredentials::Role;
    let told = rig.copy().await;
    assert!(
        rig.peer
            .statements()
            .iter()
            .any(|sql| sql.starts_with("COPY")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_host_that_is_postgresql_is_loaded_by_the_node_itself() {
    let Some(mut rig) = Rig::new("postgres").await else {
        return;
    };
    rig.deliver(&[b"1|one\n", b"2|two\n"]).await;
    let server = rig.peer.behind();
    let password = Secret::new(&server.password);
    rig.spec.jdbc_url = format!(
        "jdbc:postgresql://{}:{}/{}?sslmode=require",
        server.host, server.port, server.database
    );
    rig.spec.username = server.user.clone();
    rig.spec.password = rig.vault.seal(&password, &rig.stream.to_string()).unwrap();
    assert_eq!(rig.copy().await.unwrap(), rows(2));
    assert_eq!(rig.table().await, ["1 one", "2 two"]);
    assert!(rig.peer.statements().is_empty());
    assert_eq!(rig.copy().await.unwrap().skipped, 2);
    assert_eq!(rig.table().await.len(), 2);
}

#[tokio::test]
async fn redshift_cannot_read_a_directory() {
    let Some(mut rig) = Rig::new("directory").await else {
        return;
    };
    let vet = async |rig: &Rig| {
        let destination = Destination::Redshift(Box::new(rig.spec.clone()));
        rig.warehouses().vet(&destination, &rig.store.region).await
    };
    assert_eq!(vet(&rig).await, Ok(()));
    rig.spec.s3.bucket_arn = "arn:aws:s3:::here".to_owned();
    rig.spec.role_arn = rig.spec.s3.role_arn.clone();
    // Only a connection tells that it is Redshift.
    assert_eq!(vet(&rig).await, Ok(()));
    rig.refused("Redshift.S3BucketAccessDenied").await;
    rig.spec.jdbc_url = "jdbc:redshift://h/d".to_owned();
    let refusal = vet(&rig).await.unwrap_err();
    assert!(refusal.contains("bucket here is a directory"), "{refusal}");
}

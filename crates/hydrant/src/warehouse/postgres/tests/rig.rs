//! A database of its own for each test, and a bucket.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hydrant_engine::{Chance, SystemClock};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::{
    credentials::{Outbound, Sealed, Secret, Vault},
    destination::{Buckets, DeliveryError, Destinations, conformance},
    stream::{
        BufferingHints, CompressionFormat, CopyCommand, Encryption, RedshiftSpec, S3Spec, StreamKey,
    },
    warehouse::{
        Load, Loaded,
        postgres::copy,
        tests::server::{Server, server},
    },
};

pub(super) const BUCKET: &str = "bucket";

/// A database, and a node's view of a bucket.
pub(super) struct Rig {
    server: &'static Server,
    pub(super) database: String,
    pub(super) root: tempfile::TempDir,
    pub(super) buckets: Buckets,
    sealed: Sealed,
    /// A superuser's.
    pub(super) admin: Client,
    manifests: AtomicU64,
}

/// One COPY to be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Command<'a> {
    pub(super) table: &'a str,
    pub(super) columns: &'a str,
    pub(super) options: &'a str,
}

impl Rig {
    /// With tables that `sql` makes; `{database}` in it is the database's name.
    pub(super) async fn new(sql: &str) -> Rig {
        Self::encoded("UTF8", sql).await
    }

    /// In a database of this encoding.
    pub(super) async fn encoded(encoding: &str, sql: &str) -> Rig {
        let server = server().expect(
            "these tests need a PostgreSQL: install Debian's postgresql, or run them as \
             python3 compat/lib/postgres.py --run cargo test …",
        );
        static DATABASES: AtomicU64 = AtomicU64::new(0);
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let database = format!("load_{}_{number}", std::process::id());
        let maker = connect(server, &server.user, &server.password, &server.database).await;
        maker
            .batch_execute(&format!(
                "CREATE DATABASE {database} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
            ))
            .await
            .unwrap();
        let root = tempfile::tempdir().unwrap();
        let outbound = Outbound::new(Arc::new(SystemClock::new()));
        let vault = Vault::open(&root.path().join("key"), &Chance::seeded(1)).unwrap();
        let rig = Rig {
            server,
            buckets: Buckets::new(Vec::new(), root.path().join("buckets"), outbound).unwrap(),
            sealed: vault.seal(&Secret::new("unused"), "unused").unwrap(),
            admin: connect(server, &server.user, &server.password, &database).await,
            database,
            root,
            manifests: AtomicU64::new(0),
        };
        rig.sql(&sql.replace("{database}", &rig.database)).await;
        rig
    }

    pub(super) async fn sql(&self, sql: &str) {
        let done = self.admin.batch_execute(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {:?}", error.as_db_error()));
    }

    /// Rows as text, fields between `|`, NULL as `<null>`.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        let answer = self.admin.simple_query(sql).await.unwrap();
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                let field = |n| row.get(n).unwrap_or("<null>").to_owned();
                Some((0..row.len()).map(field).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        answer.iter().filter_map(row).collect()
    }

    pub(super) async fn value(&self, sql: &str) -> String {
        self.rows(sql).await.join("\n")
    }

    /// A connection as `user`, whose password is its name.
    pub(super) async fn connect_as(&self, user: &str) -> Client {
        connect(self.server, user, user, &self.database).await
    }

    /// A superuser's connection.
    pub(super) async fn connect(&self) -> Client {
        let Server { user, password, .. } = self.server;
        connect(self.server, user, password, &self.database).await
    }

    /// Where the server is.
    pub(super) fn place(&self) -> (String, u16) {
        (self.server.host.clone(), self.server.port)
    }

    /// A superuser's connection by way of another port.
    pub(super) async fn connect_at(&self, port: u16) -> Client {
        let (host, server) = ("127.0.0.1".to_owned(), self.server.clone());
        let server = Server {
            host,
            port,
            ..server
        };
        connect(&server, &server.user, &server.password, &self.database).await
    }

    pub(super) fn leg(&self, bucket: &str) -> S3Spec {
        S3Spec {
            role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
            bucket_arn: format!("arn:aws:s3:::{bucket}"),
            prefix: None,
            buffering: BufferingHints::DEFAULT,
            compression: CompressionFormat::Uncompressed,
            encryption: Encryption::None,
            echoed: serde_json::Map::new(),
        }
    }

    /// Puts an object into the bucket; its URL.
    pub(super) async fn put(&self, key: &str, bytes: &[u8]) -> String {
        self.put_into(BUCKET, key, bytes).await
    }

    pub(super) async fn put_into(&self, bucket: &str, key: &str, bytes: &[u8]) -> String {
        let found = self.buckets.find(&self.leg(bucket), "us-east-1").unwrap();
        let object = conformance::object(key, bytes);
        found.deliver(&object).await.unwrap();
        format!("s3://{bucket}/{key}")
    }

    /// Puts a manifest of objects that must be there; its key.
    pub(super) async fn manifest<S: AsRef<str>>(&self, urls: &[S]) -> String {
        let entries: Vec<_> = urls
            .iter()
            .map(|url| serde_json::json!({"url": url.as_ref(), "mandatory": true}))
            .collect();
        self.manifest_of(&serde_json::json!({ "entries": entries }).to_string())
            .await
    }

    pub(super) async fn manifest_of(&self, json: &str) -> String {
        let number = self.manifests.fetch_add(1, Ordering::Relaxed);
        let key = format!("manifests/{number}");
        self.put(&key, json.as_bytes()).await;
        key
    }

    pub(super) fn load(&self, command: Command<'_>, manifest: &str) -> Load {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let leg = self.leg(BUCKET);
        Load {
            stream: StreamKey::new("000000000000", "us-east-1", "s"),
            warehouse: Arc::new(RedshiftSpec {
                role_arn: leg.role_arn.clone(),
                jdbc_url: format!("jdbc:postgresql://127.0.0.1/{}", self.database),
                username: "unused".to_owned(),
                password: self.sealed.clone(),
                copy: CopyCommand {
                    table: command.table.to_owned(),
                    columns: text(command.columns),
                    options: text(command.options),
                },
                retry_s: 0,
                s3: leg.clone(),
                echoed: serde_json::Map::new(),
            }),
            leg: Arc::new(leg),
            manifest: manifest.to_owned(),
        }
    }

    /// Loads the objects of `manifest`.
    pub(super) async fn copy(
        &self,
        command: Command<'_>,
        manifest: &str,
    ) -> Result<Loaded, DeliveryError> {
        let mut client = self.connect().await;
        self.copy_by(&mut client, command, manifest).await
    }

    pub(super) async fn copy_by(
        &self,
        client: &mut Client,
        command: Command<'_>,
        manifest: &str,
    ) -> Result<Loaded, DeliveryError> {
        let load = self.load(command, manifest);
        copy(&self.buckets, "us-east-1", client, &load).await
    }

    /// Loads `bytes` as one object.
    pub(super) async fn copy_bytes(
        &self,
        command: Command<'_>,
        bytes: &[u8],
    ) -> Result<Loaded, DeliveryError> {
        let number = self.manifests.fetch_add(1, Ordering::Relaxed);
        let url = self.put(&format!("objects/{number}"), bytes).await;
        let manifest = self.manifest(&[url]).await;
        self.copy(command, &manifest).await
    }

    pub(super) fn path_of(&self, key: &str) -> PathBuf {
        self.root.path().join("buckets").join(BUCKET).join(key)
    }
}

async fn connect(server: &Server, user: &str, password: &str, database: &str) -> Client {
    let mut config = Config::new();
    config
        .host(&server.host)
        .port(server.port)
        .user(user)
        .password(password)
        .dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

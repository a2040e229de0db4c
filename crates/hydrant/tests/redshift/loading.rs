//! What the peer does for a COPY: fetch with the statement's credentials, read, load.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use futures::SinkExt;
use hydrant::credentials::{
    Outbound, Secret,
    outbound::{Base, Role, StaticKey},
};
use hydrant_copy::{
    Column, ColumnList, Compression, CopyOptions, Format, JsonFormat, JsonPaths, Kind, Manifest,
    OptionsErrorKind, S3Url, TableName, Transform, TransformError,
};
use hydrant_engine::SystemClock;
use object_store::aws::AwsCredential;
use pgwire::error::ErrorInfo;

use super::{
    bucket,
    peer::{Session, error, relayed},
    statement::{Copy, Credentials},
};

type Failed = Box<ErrorInfo>;

pub(crate) struct Loading<'a> {
    session: &'a Session,
    copy: &'a Copy<'a>,
    query: u32,
}

impl<'a> Loading<'a> {
    pub(crate) fn new(session: &'a Session, copy: &'a Copy<'a>, query: u32) -> Self {
        Loading {
            session,
            copy,
            query,
        }
    }

    /// How many rows were loaded.
    pub(crate) async fn run(&self) -> Result<u64, Failed> {
        let options = self.options()?;
        let table = TableName::parse(self.copy.table).map_err(|e| error("42601", e.to_string()))?;
        let columns = self.columns(&table).await?;
        let credential = self.credential().await?;
        let manifest = self.fetch(&credential, &self.copy.url).await?;
        let manifest = Manifest::parse(&manifest).map_err(|e| error("XX000", e.to_string()))?;
        let paths = match &options.format {
            Format::Json(JsonFormat::Paths(url)) => {
                let file = self.fetch(&credential, url).await?;
                Some(
                    JsonPaths::parse(&file)
                        .map_err(|e| error("XX000", format!("Invalid JSONPath format: {e}")))?,
                )
            }
            _ => None,
        };
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let mut transform =
            Transform::new(&options, columns, paths).map_err(|failed| match failed {
                TransformError::ColumnMismatch { given, columns, .. } => error(
                    "XX000",
                    format!(
                        "Number of jsonpaths and the number of columns should match. JSONPath size: {given}, \
                         Number of columns in table or column list: {columns}"
                    ),
                ),
                other => error("XX000", other.to_string()),
            })?;

        let (mut out, mut wrong) = (Vec::new(), 0);
        for entry in &manifest.entries {
            let url = entry.url.to_string();
            let bytes = self.fetch(&credential, &url).await?;
            let bytes = match options.compression {
                Compression::Gzip => gunzip(&bytes)?,
                _ => bytes.to_vec(),
            };
            let mut errors = Vec::new();
            transform.begin_file();
            transform.feed(&bytes, &mut out, &mut errors).unwrap();
            transform.end_file(&mut out, &mut errors).unwrap();
            wrong += errors.len() as u64;
            for error in &errors {
                let column = error.column.and_then(|at| names.get(at));
                let column = column.map(String::as_str).unwrap_or_default();
                self.session.note(self.query, &url, column, error).await;
            }
        }
        if wrong > 0 && options.max_errors.failed(wrong) {
            let message = format!(
                "Load into table '{}' failed.  Check 'stl_load_errors' system table for details.",
                table.table
            );
            return Err(error("XX000", message));
        }
        self.insert(&table, &names, out).await
    }

    fn options(&self) -> Result<CopyOptions, Failed> {
        CopyOptions::parse(self.copy.options).map_err(|refused| match refused.kind {
            OptionsErrorKind::Syntax => {
                let mut told = error("42601", refused.message);
                told.position = Some((self.copy.options_at + refused.position + 1).to_string());
                told
            }
            OptionsErrorKind::Incorrect => error("0A000", refused.message),
        })
    }

    /// The columns that are loaded, in order.
    async fn columns(&self, table: &TableName) -> Result<Vec<Column>, Failed> {
        let probe = format!("SELECT * FROM {} LIMIT 0", table.to_sql());
        let answer = self.session.postgres.prepare(&probe).await;
        let all = answer.map_err(|failed| relayed(&failed))?;
        let column = |column: &tokio_postgres::Column| Column {
            name: column.name().to_owned(),
            kind: match column.type_().name() {
                "int4" => Kind::Integer,
                "int8" => Kind::BigInt,
                "varchar" | "text" => Kind::Varchar(None),
                other => Kind::Other(other.to_owned()),
            },
            not_null: false,
        };
        let all: Vec<Column> = all.columns().iter().map(column).collect();
        let list =
            ColumnList::parse(self.copy.columns).map_err(|e| error("42601", e.to_string()))?;
        if list.is_all() {
            return Ok(all);
        }
        let named = list.names().iter().map(|name| {
            let found = all.iter().find(|column| column.name == *name).cloned();
            let told = format!(
                "column \"{name}\" of relation \"{}\" does not exist",
                table.table
            );
            found.ok_or_else(|| error("42703", told))
        });
        named.collect()
    }

    async fn credential(&self) -> Result<Arc<AwsCredential>, Failed> {
        let store = &self.session.shared.store;
        let role = match &self.copy.credentials {
            Credentials::Keys(keys) => {
                return Ok(Arc::new(AwsCredential {
                    key_id: keys.key_id.clone(),
                    secret_key: keys.secret_key.clone(),
                    token: keys.token.clone(),
                }));
            }
            Credentials::Role(role) => role,
        };
        if !self.session.shared.roles.lock().unwrap().contains(role) {
            let told = format!(
                "User arn:aws:redshift:::dbuser:c/loader is not authorized to assume IAM Role {role}"
            );
            return Err(error("XX000", told));
        }
        let base = Base::Static(StaticKey {
            id: store.assumer_access_key.clone(),
            secret: Secret::new(&store.assumer_secret_key),
            token: None,
        });
        let role = Role {
            arn: role.clone(),
            endpoint: store.sts_endpoint.clone(),
            region: store.region.clone(),
        };
        let outbound = Outbound::new(Arc::new(SystemClock::new()));
        Ok(outbound
            .source(&base, Some(&role))
            .credential()
            .await
            .unwrap())
    }

    async fn fetch(&self, credential: &AwsCredential, url: &str) -> Result<Bytes, Failed> {
        let url = S3Url::parse(url).unwrap();
        let path = format!("{}/{}", url.bucket(), url.key());
        let store = &self.session.shared.store;
        let (status, body) = bucket::request(store, credential, "GET", &path, Bytes::new()).await;
        let (text, code) = match status {
            200 => return Ok(body),
            403 => ("Access Denied", "AccessDenied"),
            404 => ("The specified key does not exist.", "NoSuchKey"),
            _ => panic!("{url}: {status}"),
        };
        let mut told = error(
            "XX000",
            format!("S3ServiceException:{text},Status {status},Error {code},Rid 1,CanRetry 1"),
        );
        told.detail = Some(format!(
            "\n  -----------------------------------------------\n  error:  {}\n  code:      8001\n  \
             context:   S3 key being read : {url}\n  query:     {}\n  \
             -----------------------------------------------\n",
            told.message, self.query
        ));
        Err(told)
    }

    async fn insert(
        &self,
        table: &TableName,
        names: &[String],
        rows: Vec<u8>,
    ) -> Result<u64, Failed> {
        let names: Vec<String> = names
            .iter()
            .map(|name| hydrant_copy::table::quoted(name))
            .collect();
        let into = format!("COPY {} ({}) FROM STDIN", table.to_sql(), names.join(", "));
        let relay = |failed| relayed(&failed);
        let sink = self
            .session
            .postgres
            .copy_in::<_, Bytes>(&into)
            .await
            .map_err(relay)?;
        let mut sink = pin!(sink);
        sink.send(Bytes::from(rows)).await.map_err(relay)?;
        sink.finish().await.map_err(relay)
    }
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut plain = Vec::new();
    let read =
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(bytes), &mut plain);
    read.map_err(|_| error("XX000", "The file does not appear to be in GZIP format"))?;
    Ok(plain)
}

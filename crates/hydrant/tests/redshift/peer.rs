//! A thin Redshift: what Hydrant sees of one, over a real store and a real database.
//!
//! It speaks the wire protocol as Redshift does (simple queries only, passwords by MD5, `version()`, states of
//! PostgreSQL for what its planner finds and XX000 for what happens while it loads), takes the COPY statement apart,
//! fetches manifest and objects from the store **with the credentials in the statement**, and loads them into
//! PostgreSQL in the transaction that is open. Everything else goes to that PostgreSQL as it is.
//!
//! What it does not imitate: TLS; the planner's texts for statements other than COPY, which are PostgreSQL's; slices, sort keys,
//! compression, STL tables but `stl_load_errors`, and of that only what Hydrant reads; serializable isolation; all
//! rules of COPY that `hydrant-copy` does not know, since it is what reads the objects here.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use futures::{Sink, stream};
use pgwire::{
    api::{
        ClientInfo, ClientPortalStore, PgWireServerHandlers, Type,
        auth::{
            AuthSource, DefaultServerParameterProvider, LoginInfo, Password, StartupHandler,
            md5pass::{Md5PasswordAuthStartupHandler, hash_md5_password},
        },
        query::SimpleQueryHandler,
        results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag},
        store::PortalStore,
    },
    error::{ErrorInfo, PgWireError, PgWireResult},
    messages::PgWireBackendMessage,
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::{
    loading::Loading,
    services::{Postgres, S3},
    statement::Copy,
};

pub(crate) const USER: &str = "loader";
pub(crate) const PASSWORD: &str = "Redshift-Passw0rd";
const SALT: [u8; 4] = [7, 11, 13, 17];
const VERSION: &str = "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 \
    (Red Hat 3.4.2-6.fc3), Redshift 1.0.103264";

/// What goes wrong next, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is lost while rows are being loaded.
    CutWhileLoading,
    /// The connection is lost after COMMIT, before it is answered.
    CutAfterCommit,
    /// COPY fails, and the error repeats the statement.
    RepeatStatement,
}

/// One cluster.
pub(crate) struct Peer {
    pub(crate) port: u16,
    pub(crate) shared: Arc<Shared>,
}

/// What its sessions have in common.
pub(crate) struct Shared {
    pub(crate) store: S3,
    postgres: Postgres,
    /// By ARN: the roles that are attached to it.
    pub(crate) roles: Mutex<Vec<String>>,
    fault: Mutex<Option<Fault>>,
    /// Every statement that arrived.
    statements: Mutex<Vec<String>>,
    copies: AtomicU32,
}

impl Peer {
    /// A new cluster with an empty database of its own.
    pub(crate) async fn start(store: &S3, postgres: &Postgres) -> Self {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let database = format!(
            "redshift_{}_{}",
            std::process::id(),
            DATABASES.fetch_add(1, SeqCst)
        );
        let create = format!("CREATE DATABASE {database}");
        connect(postgres)
            .await
            .batch_execute(&create)
            .await
            .unwrap();
        let postgres = Postgres {
            database,
            ..postgres.clone()
        };
        connect(&postgres)
            .await
            .batch_execute(
                "CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT localtimestamp';
                 CREATE TABLE stl_load_errors (
                     session int, query int, starttime timestamp DEFAULT clock_timestamp(), filename char(256),
                     line_number bigint, colname char(127), err_code int, err_reason char(100));",
            )
            .await
            .unwrap();
        let shared = Arc::new(Shared {
            store: store.clone(),
            postgres,
            roles: Mutex::default(),
            fault: Mutex::default(),
            statements: Mutex::default(),
            copies: AtomicU32::new(1000),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let session = Arc::new(Session {
                    postgres: connect(&serving.postgres).await,
                    shared: serving.clone(),
                    cut: Notify::new(),
                    last: Mutex::default(),
                });
                tokio::spawn(async move {
                    let handlers = Handlers(session.clone());
                    tokio::select! {
                        _ = pgwire::tokio::process_socket(socket, None, handlers) => {}
                        () = session.cut.notified() => {}
                    }
                });
            }
        });
        Peer { port, shared }
    }

    /// `fault` happens at the next occasion.
    pub(crate) fn fail(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some(fault);
    }

    /// Its database, as what it is.
    pub(crate) fn behind(&self) -> &Postgres {
        &self.shared.postgres
    }

    /// What it has in `sql`'s first column, as its administrator sees it.
    pub(crate) async fn column(&self, sql: &str) -> Vec<String> {
        let client = connect(&self.shared.postgres).await;
        let answer = client.simple_query(sql).await.unwrap();
        let values = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        });
        values.collect()
    }

    /// The statements that arrived since the last call.
    pub(crate) fn statements(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.statements.lock().unwrap())
    }
}

impl Shared {
    fn fails(&self, fault: Fault) -> bool {
        let mut next = self.fault.lock().unwrap();
        let hit = *next == Some(fault);
        if hit {
            *next = None;
        }
        hit
    }
}

async fn connect(postgres: &Postgres) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&postgres.host)
        .port(postgres.port)
        .user(&postgres.user)
        .password(&postgres.password)
        .dbname(&postgres.database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// One session, and the session of PostgreSQL behind it.
pub(crate) struct Session {
    pub(crate) postgres: tokio_postgres::Client,
    pub(crate) shared: Arc<Shared>,
    cut: Notify,
    /// The last COPY: its query's number and its rows.
    last: Mutex<(u32, u64)>,
}

impl Session {
    async fn run(&self, sql: &str) -> Result<Response, Box<ErrorInfo>> {
        self.shared.statements.lock().unwrap().push(sql.to_owned());
        let verb = sql.split([' ', ';']).next().unwrap_or_default();
        match verb {
            _ if sql == "SELECT version()" => {
                Ok(rows(&["version"], vec![vec![Some(VERSION.to_owned())]]))
            }
            "COPY" => self.copy(sql).await,
            "SELECT" => {
                let (query, count) = *self.last.lock().unwrap();
                let sql = sql
                    .replace("pg_last_copy_id()", &query.to_string())
                    .replace("pg_last_copy_count()", &count.to_string());
                self.ask(&sql).await
            }
            "BEGIN" | "INSERT" | "ROLLBACK" => {
                self.ask(sql).await?;
                Ok(Response::Execution(Tag::new(verb)))
            }
            "COMMIT" => {
                self.ask(sql).await?;
                if self.shared.fails(Fault::CutAfterCommit) {
                    return self.cut().await;
                }
                Ok(Response::Execution(Tag::new(verb)))
            }
            _ => Err(error(
                "42601",
                format!("syntax error at or near \"{verb}\""),
            )),
        }
    }

    async fn copy(&self, sql: &str) -> Result<Response, Box<ErrorInfo>> {
        let copy = Copy::parse(sql).ok_or_else(|| {
            error(
                "42601",
                format!("syntax error at or near \"{}\"", &sql[..20]),
            )
        })?;
        if self.shared.fails(Fault::RepeatStatement) {
            return Err(error(
                "XX000",
                format!("cannot plan {sql}, of which {sql} is all"),
            ));
        }
        let query = self.shared.copies.fetch_add(1, SeqCst);
        let count = Loading::new(self, &copy, query).run().await?;
        if self.shared.fails(Fault::CutWhileLoading) {
            return self.cut().await;
        }
        *self.last.lock().unwrap() = (query, count);
        Ok(Response::Execution(Tag::new("COPY")))
    }

    /// Notes a row that is not loaded, whatever becomes of the transaction.
    pub(crate) async fn note(
        &self,
        query: u32,
        url: &str,
        column: &str,
        error: &hydrant_copy::RowError,
    ) {
        let session = self.postgres.query_one("SELECT pg_backend_pid()", &[]);
        let session: i32 = session.await.unwrap().get(0);
        let line = i64::try_from(error.line).unwrap();
        let (number, query) = (i32::from(error.code.number), query as i32);
        let insert = "INSERT INTO stl_load_errors (session, query, filename, line_number, colname, err_code, err_reason) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let client = connect(&self.shared.postgres).await;
        client
            .execute(
                insert,
                &[
                    &session,
                    &query,
                    &url,
                    &line,
                    &column,
                    &number,
                    &error.reason,
                ],
            )
            .await
            .unwrap();
    }

    /// Nobody hears of anything any more.
    async fn cut<T>(&self) -> T {
        self.cut.notify_one();
        std::future::pending().await
    }

    async fn ask(&self, sql: &str) -> Result<Response, Box<ErrorInfo>> {
        let answer = self
            .postgres
            .simple_query(sql)
            .await
            .map_err(|e| relayed(&e))?;
        let mut names = Vec::new();
        let mut values = Vec::new();
        for message in &answer {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    names = columns.iter().map(|c| c.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    values.push(
                        (0..row.len())
                            .map(|i| row.get(i).map(str::to_owned))
                            .collect(),
                    );
                }
                _ => {}
            }
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(rows(&names, values))
    }
}

/// An error of the cluster's own.
pub(crate) fn error(state: &str, message: impl Into<String>) -> Box<ErrorInfo> {
    Box::new(ErrorInfo::new(
        "ERROR".to_owned(),
        state.to_owned(),
        message.into(),
    ))
}

/// PostgreSQL's error, passed on.
pub(crate) fn relayed(error: &tokio_postgres::Error) -> Box<ErrorInfo> {
    let told = error.as_db_error().unwrap();
    self::error(told.code().code(), told.message())
}

fn rows(names: &[&str], values: Vec<Vec<Option<String>>>) -> Response {
    let field = |name: &&str| {
        FieldInfo::new(
            (*name).to_owned(),
            None,
            None,
            Type::VARCHAR,
            FieldFormat::Text,
        )
    };
    let fields = Arc::new(names.iter().map(field).collect::<Vec<_>>());
    let mut encoder = DataRowEncoder::new(fields.clone());
    let encoded: Vec<_> = values
        .into_iter()
        .map(|row| {
            for value in row {
                encoder.encode_field(&value)?;
            }
            Ok(encoder.take_row())
        })
        .collect();
    Response::Query(QueryResponse::new(fields, stream::iter(encoded)))
}

struct Handlers(Arc<Session>);

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::new(Simple(self.0.clone()))
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        let parameters = DefaultServerParameterProvider::default();
        Arc::new(Md5PasswordAuthStartupHandler::new(
            Arc::new(Users),
            Arc::new(parameters),
        ))
    }
}

struct Simple(Arc<Session>);

#[async_trait]
impl SimpleQueryHandler for Simple {
    async fn do_query<C>(&self, _client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let answer = self.0.run(query).await;
        Ok(vec![answer.unwrap_or_else(Response::Error)])
    }
}

#[derive(Debug)]
struct Users;

#[async_trait]
impl AuthSource for Users {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let user = login.user().unwrap_or_default();
        let known = HashMap::from([(USER, PASSWORD)]);
        let password = known.get(user).copied().unwrap_or("nobody has this one");
        let hash = hash_md5_password(user, password, &SALT);
        Ok(Password::new(Some(SALT.to_vec()), hash.into_bytes()))
    }
}

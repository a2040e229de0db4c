//! A real PostgreSQL.
//!
//! `HYDRANT_TEST_POSTGRES` says where it is (see `compat/lib/postgres.py`, whose `--run` sets it). Without it one is started
//! if Debian's `postgresql` is installed, and tests say so if it is not.

use std::{
    path::PathBuf,
    process::Child,
    sync::{Arc, OnceLock},
};

use hydrant_engine::SystemClock;
use serde::Deserialize;

use crate::{
    credentials::Secret,
    destination::{DeliveryError, started},
    warehouse::{
        connect::{Connection, Connector},
        jdbc::JdbcUrl,
    },
};

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// A superuser.
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
    /// The file of the authority that signed the server's certificate, which lies beside it as `server.crt`.
    pub(crate) ca: PathBuf,
}

/// The server, started at most once.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<(Server, Option<Child>)>> = OnceLock::new();
    let needs = ["/usr/lib/postgresql"];
    let found =
        SERVER.get_or_init(|| started::found("HYDRANT_TEST_POSTGRES", "postgres.py", &needs));
    if found.is_none() {
        eprintln!("skipped: neither HYDRANT_TEST_POSTGRES nor Debian's postgresql");
    }
    found.as_ref().map(|(server, _)| server)
}

impl Server {
    /// Its `ClusterJDBCURL`, with `parameters` such as `?ssl=true`.
    pub(crate) fn url(&self, parameters: &str) -> JdbcUrl {
        let Server {
            host,
            port,
            database,
            ..
        } = self;
        let url = format!("jdbc:postgresql://{host}:{port}/{database}{parameters}");
        JdbcUrl::parse(&url).unwrap()
    }

    /// A connection to `url` that trusts `ca`.
    pub(crate) async fn connect(
        &self,
        url: &JdbcUrl,
        ca: Option<&[u8]>,
    ) -> Result<Connection, DeliveryError> {
        let connector = Connector::new(Arc::new(SystemClock::new()), ca).unwrap();
        let password = Secret::new(&self.password);
        connector.connect(url, &self.user, &password).await
    }
}

/// The first column of the first row.
pub(crate) async fn value(connection: &mut Connection, sql: &str) -> Option<String> {
    let answer = connection.client().simple_query(sql).await.unwrap();
    answer.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

//! The real store and the real database behind the tests, as `compat/lib` starts them.
//!
//! `HYDRANT_TEST_S3` and `HYDRANT_TEST_POSTGRES` say where they are. Without one it is started, if Debian's packages for it are
//! installed, and tests say so if they are not.

#[path = "../../src/destination/tests/started.rs"]
mod started;

use std::{process::Child, sync::OnceLock};

use serde::{Deserialize, de::DeserializeOwned};

/// radosgw: verifies signatures, assumes roles.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    pub(crate) sts_endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// May read no bucket, but may assume the role, which may.
    pub(crate) assumer_access_key: String,
    pub(crate) assumer_secret_key: String,
    pub(crate) role_arn: String,
    pub(crate) forbidden_role_arn: String,
}

/// PostgreSQL, and a superuser of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Postgres {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

/// Both, or nothing.
pub(crate) fn services() -> Option<(&'static S3, &'static Postgres)> {
    static S3: OnceLock<Option<(S3, Option<Child>)>> = OnceLock::new();
    static POSTGRES: OnceLock<Option<(Postgres, Option<Child>)>> = OnceLock::new();
    let store = S3.get_or_init(|| found("HYDRANT_TEST_S3", "radosgw.py", "/usr/bin/radosgw"));
    let database = POSTGRES.get_or_init(|| {
        found(
            "HYDRANT_TEST_POSTGRES",
            "postgres.py",
            "/usr/lib/postgresql",
        )
    });
    Some((&store.as_ref()?.0, &database.as_ref()?.0))
}

fn found<T: DeserializeOwned>(
    variable: &str,
    helper: &str,
    needs: &str,
) -> Option<(T, Option<Child>)> {
    let found = started::found(variable, helper, &[needs]);
    if found.is_none() {
        eprintln!("skipped: neither {variable} nor {needs}");
    }
    found
}

//! What the loader keeps in the database that it loads into: schema `hydrant`.
//!
//! ```text
//! hydrant.loaded_objects    a row for each object that was loaded, committed with its rows
//! hydrant.stl_load_errors   rows that were not loaded, and why: Redshift's STL_LOAD_ERRORS
//! ```
//!
//! * **No row twice.** A load begins by *claiming* its objects: it inserts them here, and what another load has committed
//!   is not inserted again and not loaded again. Two loads of one object at once cannot be: the second waits
//!   for the first one's end at the unique index, and then skips or loads.
//! * The claim and the rows are one transaction, so a crash on either side leaves both or neither, and a commit
//!   whose answer was lost is found out by the next attempt.
//! * INSERT and SELECT suffice. With UPDATE on `rows` their number is noted, with DELETE on `stl_load_errors` rows
//!   older than [`KEPT_DAYS`] are removed.

use tokio_postgres::{Client, Transaction, error::SqlState, types::Type};

use crate::{
    destination::DeliveryError,
    warehouse::errors::{self, Code},
};

/// Days that rows of `hydrant.stl_load_errors` are kept, as in Redshift.
pub const KEPT_DAYS: u32 = 7;

/// Makes the schema and its tables. The loader does so itself where its user may (`CREATE` on the database); else
/// an administrator runs it, and then [`grant_sql`].
pub const SETUP_SQL: &str = "\
CREATE SCHEMA IF NOT EXISTS hydrant;
CREATE TABLE IF NOT EXISTS hydrant.loaded_objects (
    url text PRIMARY KEY,
    manifest text NOT NULL,
    stream text NOT NULL,
    table_name text NOT NULL,
    rows bigint,
    loaded_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS hydrant.stl_load_errors (
    userid bigint,
    slice integer,
    tbl bigint,
    starttime timestamp,
    session integer,
    query bigint,
    filename text,
    line_number bigint,
    colname text,
    type text,
    col_length text,
    position integer,
    raw_line text,
    raw_field_value text,
    err_code integer,
    err_reason text,
    table_name text,
    stream text,
    manifest text,
    load_failed boolean
);
CREATE INDEX IF NOT EXISTS stl_load_errors_starttime ON hydrant.stl_load_errors (starttime);
";

/// Lets `role`, quoted where that is needed, use what [`SETUP_SQL`] made.
pub fn grant_sql(role: &str) -> String {
    format!(
        "GRANT USAGE ON SCHEMA hydrant TO {role};
GRANT SELECT, INSERT, UPDATE (rows) ON hydrant.loaded_objects TO {role};
GRANT SELECT, INSERT, DELETE ON hydrant.stl_load_errors TO {role};
"
    )
}

/// For what is done beside a load and must not hold it up.
pub(super) const BRIEFLY: &str =
    "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '30s'";

/// Only one makes the schema at a time: `IF NOT EXISTS` does not guard against another who does the same.
const SETUP_LOCK: i64 = 0x6879_6472_616e_7400;

/// What the user may do beyond what is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger {
    /// Note how many rows an object had.
    pub(super) notes_rows: bool,
    /// Remove old errors.
    pub(super) prunes: bool,
}

impl Ledger {
    /// Makes the schema if it is missing.
    pub(super) async fn open(client: &mut Client) -> Result<Ledger, DeliveryError> {
        if let Some(ledger) = Self::look(client).await? {
            return Ok(ledger);
        }
        match set_up(client).await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return Err(refusal(client, &error.to_string()).await);
            }
            set_up => set_up.map_err(|error| errors::in_words(&error))?,
        }
        match Self::look(client).await? {
            Some(ledger) => Ok(ledger),
            None => Err(refusal(client, "its tables are missing").await),
        }
    }

    /// The tables as they are, `None` if they are not all there.
    async fn look(client: &Client) -> Result<Option<Ledger>, DeliveryError> {
        // By the catalog: it may be read by all, and says nothing of names in a schema that one may not use.
        let found = client
            .query_typed_one(
                "SELECT count(*) = 2,
                    coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE')
                        AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')), false),
                    coalesce(bool_or(c.relname = 'loaded_objects'
                        AND has_column_privilege(c.oid, a.attnum, 'UPDATE')), false),
                    coalesce(bool_or(c.relname = 'stl_load_errors' AND has_table_privilege(c.oid, 'DELETE')), false)
                FROM pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'rows'
                WHERE n.nspname = 'hydrant' AND c.relname IN ('loaded_objects', 'stl_load_errors')",
                &[],
            )
            .await;
        let found = found.map_err(|error| errors::in_words(&error))?;
        if !found.get::<_, bool>(0) {
            return Ok(None);
        }
        if !found.get::<_, bool>(1) {
            return Err(refusal(client, "its tables belong to another user").await);
        }
        Ok(Some(Ledger {
            notes_rows: found.get(2),
            prunes: found.get(3),
        }))
    }

    /// Claims `urls` for a load; those that are its to load, which are not those that another has loaded. Waits for loads
    /// that are under way.
    pub(super) async fn claim(
        transaction: &Transaction<'_>,
        claim: &Claim<'_>,
        urls: &[String],
    ) -> Result<Vec<String>, tokio_postgres::Error> {
        // In one order everywhere, or two loads of the same objects could wait for each other.
        let rows = transaction
            .query_typed(
                "INSERT INTO hydrant.loaded_objects (url, manifest, stream, table_name)
                SELECT url, $2, $3, $4 FROM unnest($1::text[]) AS claimed(url) ORDER BY url COLLATE \"C\"
                ON CONFLICT (url) DO NOTHING RETURNING url",
                &[
                    (&urls, Type::TEXT_ARRAY),
                    (&claim.manifest, Type::TEXT),
                    (&claim.stream, Type::TEXT),
                    (&claim.table, Type::TEXT),
                ],
            )
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Notes how many rows each object had.
    pub(super) async fn note_rows(
        self,
        transaction: &Transaction<'_>,
        loaded: &[(String, i64)],
    ) -> Result<(), tokio_postgres::Error> {
        if self.notes_rows {
            let (urls, rows): (Vec<&str>, Vec<i64>) = loaded
                .iter()
                .map(|(url, rows)| (url.as_str(), *rows))
                .unzip();
            transaction
                .execute_typed(
                    "UPDATE hydrant.loaded_objects SET rows = noted.rows
                    FROM unnest($1::text[], $2::bigint[]) AS noted(url, rows)
                    WHERE loaded_objects.url = noted.url",
                    &[(&urls, Type::TEXT_ARRAY), (&rows, Type::INT8_ARRAY)],
                )
                .await?;
        }
        Ok(())
    }

    /// Removes old errors, if that is done quickly. Whatever comes of it: it is no part of a load.
    pub(super) async fn prune(self, client: &mut Client) {
        if self.prunes
            && let Err(error) = prune(client).await
        {
            tracing::debug!(%error, "old rows of hydrant.stl_load_errors are not removed");
        }
    }
}

/// Whose a claim is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) manifest: &'a str,
    pub(super) stream: &'a str,
    pub(super) table: &'a str,
}

async fn prune(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let transaction = client.build_transaction().read_only(false).start().await?;
    transaction.batch_execute(BRIEFLY).await?;
    let sql = format!(
        "DELETE FROM hydrant.stl_load_errors
        WHERE starttime < (now() AT TIME ZONE 'UTC') - interval '{KEPT_DAYS} days'"
    );
    transaction.batch_execute(&sql).await?;
    transaction.commit().await
}

async fn set_up(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let transaction = client.build_transaction().read_only(false).start().await?;
    transaction
        .batch_execute("SET LOCAL lock_timeout = '1min'; SET LOCAL statement_timeout = '5min'")
        .await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&SETUP_LOCK])
        .await?;
    transaction.batch_execute(SETUP_SQL).await?;
    transaction.commit().await
}

async fn refusal(client: &Client, detail: &str) -> DeliveryError {
    let role = match client
        .query_one("SELECT quote_ident(current_user)", &[])
        .await
    {
        Ok(row) => row.get::<_, String>(0),
        Err(error) => return errors::in_words(&error),
    };
    Code::InsufficientPrivilege.refused(format_args!(
        "Hydrant keeps a ledger in schema hydrant, so that no row is loaded twice, and user {role} cannot use it: {detail}. \
         An administrator makes it with:\n{SETUP_SQL}{}",
        grant_sql(&role)
    ))
}

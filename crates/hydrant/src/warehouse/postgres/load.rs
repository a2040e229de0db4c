//! One attempt at a load: the transaction, object after object, and rows that the database refuses.
//!
//! * Every object is a COPY of its own in the one transaction, so that rows are counted for each, and an error's
//!   line is a line of that object's rows.
//! * A row that the *database* refuses (a constraint, a type of its own, a trigger) ends the COPY. Its object is
//!   loaded again without that row, from a savepoint, as often as MAXERROR allows and [`MAX_REPLAYS`] times at
//!   most; the row counts as any other that is wrong.
//! * Where one such row ends the load anyway, the object is only read again up to it, to say where in which file it is.

use std::collections::{BTreeMap, BTreeSet};

use hydrant_copy::{manifest::S3Url, transform::Refusal};
use tokio_postgres::{Client, IsolationLevel, Statement, Transaction};

use super::{
    feed::{Failure, Work, feed},
    ledger::Ledger,
    plan::Plan,
    refusal,
    rejects::{Rejects, Written},
    source::Source,
    target::Target,
};
use crate::{
    destination::DeliveryError,
    warehouse::{
        Loaded,
        errors::{self, Code},
    },
};

/// Rows of one load that the database may refuse: each costs loading its object once more.
pub const MAX_REPLAYS: usize = 100;

/// How the transaction behaves, whatever the role's or the database's settings are.
///
/// * What was committed is on disk before the objects count as loaded.
/// * Time stamps without a zone are UTC, as in Redshift, also those of defaults.
/// * A lock is waited for until the next attempt would come anyway; the load itself may take as long as it takes.
/// * A node that vanished is found out within two minutes, so that its locks do not outlive it for hours.
const SETTINGS: &str = "
SET LOCAL client_encoding = 'UTF8';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL TimeZone = 'UTC';
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '5min';
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL tcp_keepalives_idle = 30;
SET LOCAL tcp_keepalives_interval = 15;
SET LOCAL tcp_keepalives_count = 6;
SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
";

/// Loads what `plan` says, all of it or nothing.
pub(super) async fn load(
    client: &mut Client,
    ledger: Ledger,
    source: Source<'_>,
    plan: &Plan,
) -> Result<Loaded, DeliveryError> {
    let in_words = |error| errors::in_words(&error);
    let transaction = client
        .build_transaction()
        // A claim must see what others have committed meanwhile.
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await
        .map_err(in_words)?;
    transaction
        .batch_execute(SETTINGS)
        .await
        .map_err(in_words)?;
    let target = Target::describe(&transaction, plan).await?;
    let mut loading = Loading {
        transaction: &transaction,
        source,
        plan,
        target: &target,
        rejects: Rejects::default(),
    };
    let done = loading.all(ledger).await;
    let rejects = loading.rejects;
    let written = |failed| Written {
        claim: plan.claim(&target),
        target: &target,
        failed,
    };
    match done {
        Ok(loaded) => {
            let done = rejects.write(&transaction, &written(false)).await;
            done.map_err(in_words)?;
            // An answer that does not come leaves it open what happened; the ledger tells the next attempt.
            transaction.commit().await.map_err(in_words)?;
            Ok(loaded)
        }
        Err(error) => {
            // What is written now must outlive the load.
            if transaction.rollback().await.is_ok()
                && let Err(error) = rejects.record(client, &written(true)).await
            {
                tracing::warn!(%error, "rows are not written to hydrant.stl_load_errors");
            }
            Err(error)
        }
    }
}

/// A load under way.
struct Loading<'a> {
    transaction: &'a Transaction<'a>,
    source: Source<'a>,
    plan: &'a Plan,
    target: &'a Target,
    rejects: Rejects,
}

impl Loading<'_> {
    async fn all(&mut self, ledger: Ledger) -> Result<Loaded, DeliveryError> {
        let in_words = |error| errors::in_words(&error);
        let objects = &self.plan.objects;
        if self.plan.options.no_load {
            for object in objects {
                self.check(object).await?;
            }
            return Ok(self.loaded(0, 0));
        }
        let urls: Vec<String> = objects.iter().map(S3Url::to_string).collect();
        let claim = self.plan.claim(self.target);
        let claimed = Ledger::claim(self.transaction, &claim, &urls).await;
        let claimed: BTreeSet<String> = claimed.map_err(in_words)?.into_iter().collect();
        let copy = self.transaction.prepare(&self.target.copy_sql()).await;
        let copy = copy.map_err(in_words)?;
        // Nothing to go back to where the first error ends the load.
        let forgiving = !self.plan.options.max_errors.failed(1);
        if forgiving {
            self.execute("SAVEPOINT object").await?;
        }
        let (mut rows, mut noted) = (0, Vec::with_capacity(claimed.len()));
        for (object, url) in objects.iter().zip(&urls) {
            if claimed.contains(url) {
                let taken = self.object(object, &copy, forgiving).await?;
                noted.push((url.clone(), i64::try_from(taken).unwrap_or(i64::MAX)));
                rows += taken;
            }
        }
        let done = ledger.note_rows(self.transaction, &noted).await;
        done.map_err(in_words)?;
        Ok(self.loaded(rows, urls.len() - claimed.len()))
    }

    fn loaded(&self, rows: u64, skipped: usize) -> Loaded {
        Loaded {
            rows: Some(rows),
            rejected: self.rejects.count,
            skipped: skipped as u64,
        }
    }

    /// Reads an object as if it were loaded.
    async fn check(&mut self, object: &S3Url) -> Result<(), DeliveryError> {
        match self.feed(object, &BTreeMap::new(), None).await? {
            Ok(_) => Ok(()),
            Err(failure) => Err(self.in_words(failure)),
        }
    }

    /// Loads an object; how many rows it had. `forgiving`, there is a savepoint before it, and then one behind it.
    async fn object(
        &mut self,
        object: &S3Url,
        copy: &Statement,
        forgiving: bool,
    ) -> Result<u64, DeliveryError> {
        let before = self.rejects.mark();
        let mut refused = BTreeMap::new();
        let mut copying = Some(copy);
        loop {
            let failure = match self.feed(object, &refused, copying).await? {
                Ok(rows) if copying.is_some() => {
                    if forgiving {
                        self.execute("RELEASE SAVEPOINT object; SAVEPOINT object")
                            .await?;
                    }
                    return Ok(rows);
                }
                // The row that ended the load is not there any more.
                Ok(_) => return Err(DeliveryError::internal(format!("{object} was replaced"))),
                Err(failure) => failure,
            };
            let Some((row, refusal)) = self.refused(&failure, &refused) else {
                return Err(self.in_words(failure));
            };
            if refused.len() >= MAX_REPLAYS || refused.insert(row, refusal).is_some() {
                return Err(self.in_words(failure));
            }
            self.rejects.back_to(before);
            if forgiving {
                self.execute("ROLLBACK TO SAVEPOINT object").await?;
            } else {
                copying = None;
            }
        }
    }

    async fn feed(
        &mut self,
        object: &S3Url,
        refused: &BTreeMap<u64, Refusal>,
        copy: Option<&Statement>,
    ) -> Result<Result<u64, Failure>, DeliveryError> {
        let mut transform = self.plan.transform(self.target)?;
        for (row, refusal) in refused {
            transform.refuse(*row, refusal.clone());
        }
        let work = Work {
            transform,
            compression: self.plan.options.compression,
            limit: self.plan.options.max_errors,
            rejects: std::mem::take(&mut self.rejects),
            url: object.to_string(),
            columns: self.target.columns.clone(),
        };
        let bytes = match self.source.open(object).await {
            Ok(bytes) => bytes,
            Err(error) => {
                self.rejects = work.rejects;
                return Err(error);
            }
        };
        let copy = copy.map(|statement| (self.transaction, statement));
        let (rejects, outcome) = feed(bytes, work, copy).await;
        self.rejects = rejects;
        Ok(outcome)
    }

    async fn execute(&self, sql: &str) -> Result<(), DeliveryError> {
        let done = self.transaction.batch_execute(sql).await;
        done.map_err(|error| errors::in_words(&error))
    }

    /// Which of the object's rows it was that the database refused, and why.
    fn refused(&self, failure: &Failure, known: &BTreeMap<u64, Refusal>) -> Option<(u64, Refusal)> {
        let Failure::Database(error) = failure else {
            return None;
        };
        let told = error.as_db_error()?;
        let (line, column) = refusal::refused(told, &self.target.name)?;
        let named = |column: String| {
            let columns = &self.target.columns;
            columns.iter().position(|known| known.name == column)
        };
        Some((
            refusal::among_all(line, known.keys().copied()),
            Refusal {
                column: column.and_then(named),
                code: refusal::code(told),
                reason: errors::text(told),
            },
        ))
    }

    fn in_words(&self, failure: Failure) -> DeliveryError {
        match failure {
            Failure::Source(error) => error,
            Failure::Rows => {
                Code::DataLoadFailed.refused(self.rejects.in_words(&self.target.quoted))
            }
            Failure::Database(error) => match error.as_db_error() {
                // What a trigger or a function raises.
                Some(told) if told.code().code().starts_with("P0") => {
                    Code::DataLoadFailed.refused(errors::text(told))
                }
                _ => errors::in_words(&error),
            },
        }
    }
}

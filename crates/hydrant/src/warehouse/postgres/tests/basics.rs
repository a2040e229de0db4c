//! That it loads at all, and what it says when it cannot.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    super::copy,
    rig::{Command, Rig},
};
use crate::{
    destination::{Bytestream, DeliveryError, Destination, Destinations, Object, Receipt},
    stream::S3Spec,
};

const T: Command<'static> = Command {
    table: "t",
    columns: "",
    options: "",
};

#[tokio::test]
async fn objects_of_a_manifest_are_loaded_together() {
    let rig = Rig::new("CREATE TABLE t (a int, b varchar(10))").await;
    let one = rig.put("a/1", b"1|one\n2|two\n").await;
    let two = rig.put_into("another", "a//2", b"3|three\n").await;
    let manifest = rig.manifest(&[&one, &two, &one]).await;
    let loaded = rig.copy(T, &manifest).await.unwrap();
    assert_eq!(
        (loaded.rows, loaded.rejected, loaded.skipped),
        (Some(3), 0, 0)
    );
    assert_eq!(
        rig.rows("SELECT * FROM t ORDER BY a").await,
        ["1|one", "2|two", "3|three"]
    );
    let ledger = "SELECT url, manifest, stream, table_name, rows FROM hydrant.loaded_objects ORDER BY url COLLATE \"C\"";
    assert_eq!(
        rig.rows(ledger).await,
        [
            "s3://another/a//2|s3://bucket/manifests/0|000000000000/us-east-1/s|public.t|1",
            "s3://bucket/a/1|s3://bucket/manifests/0|000000000000/us-east-1/s|public.t|2",
        ]
    );
}

async fn refusal(rig: &Rig, command: Command<'_>, manifest: &str) -> DeliveryError {
    let error = rig.copy(command, manifest).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
    error
}

#[tokio::test]
async fn what_is_missing_from_the_bucket_is_named() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let there = rig.put("there", b"1\n").await;
    let gone = "s3://bucket/gone".to_owned();
    let elsewhere = "s3://no-such-bucket/gone".to_owned();
    for missing in [&gone, &elsewhere] {
        let manifest = rig.manifest(&[&there, missing]).await;
        let error = refusal(&rig, T, &manifest).await;
        assert_eq!(error.code(), "Redshift.MissingS3File");
        assert!(error.message().contains(missing), "{error}");
    }
    for (manifest, words) in [
        ("manifests/none".to_owned(), "s3://bucket/manifests/none"),
        (rig.manifest_of("{\"entries\":[]}").await, "no entries"),
        (rig.manifest_of("nonsense").await, "not valid"),
    ] {
        let error = refusal(&rig, T, &manifest).await;
        assert_eq!(error.code(), "Redshift.MissingS3File");
        assert!(error.message().contains(words), "{error}");
    }
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");

    // One that need not be there is loaded when it comes.
    let manifest = rig
        .manifest_of(&format!(
            "{{\"entries\":[{{\"url\":\"{there}\"}},{{\"url\":\"{gone}\",\"mandatory\":false}}]}}"
        ))
        .await;
    assert_eq!(rig.copy(T, &manifest).await.unwrap().rows, Some(1));
    rig.put("gone", b"2\n").await;
    let loaded = rig.copy(T, &manifest).await.unwrap();
    assert_eq!((loaded.rows, loaded.skipped), (Some(1), 1));
}

/// A store that answers every reader the same.
#[derive(Clone, Debug)]
struct Refusing(DeliveryError);

#[async_trait]
impl Destination for Refusing {
    async fn deliver(&self, _: &Object) -> Result<Receipt, DeliveryError> {
        Err(self.0.clone())
    }

    async fn read(&self, _: &str) -> Result<Bytestream, DeliveryError> {
        Err(self.0.clone())
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

impl Destinations for Refusing {
    fn find(&self, _: &S3Spec, _: &str) -> Result<Arc<dyn Destination>, DeliveryError> {
        Ok(Arc::new(self.clone()))
    }
}

#[tokio::test]
async fn a_bucket_that_refuses_is_told_as_redshift_tells_it() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let load = rig.load(T, "manifest");
    for (code, told) in [
        ("S3.AccessDenied", "Redshift.S3BucketAccessDenied"),
        ("S3.NoSuchBucket", "Redshift.MissingS3File"),
        ("S3.MethodNotAllowed", "S3.MethodNotAllowed"),
    ] {
        let buckets = Refusing(DeliveryError::refused(code, "words"));
        let mut client = rig.connect().await;
        let error = copy(&buckets, "us-east-1", &mut client, &load).await;
        let error = error.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
        assert_eq!(error.code(), told);
        assert!(
            error.message().contains("s3://bucket/manifest: words"),
            "{error}"
        );
    }
    let passing = DeliveryError::internal("slow down");
    let mut client = rig.connect().await;
    let error = copy(&Refusing(passing.clone()), "us-east-1", &mut client, &load).await;
    assert_eq!(error.unwrap_err(), passing);
}

#[tokio::test]
async fn tables_are_found_as_the_database_finds_them() {
    let rig = Rig::new(
        "CREATE SCHEMA \"My Schema\"; CREATE TABLE \"My Schema\".\"T\" (\"A b\" int);
        CREATE TABLE t (a int); CREATE VIEW v AS SELECT 1 AS a",
    )
    .await;
    let url = rig.put("a", b"1\n").await;
    let manifest = rig.manifest(&[&url]).await;
    for (table, code, words) in [
        ("nope", "Redshift.TableNotFound", "\"nope\" does not exist"),
        ("nope.t", "Redshift.TableNotFound", "\"nope"),
        ("a.b.c", "Redshift.SyntaxError", "SCHEMA.TABLE"),
        (
            "t; DROP TABLE t",
            "Redshift.SyntaxError",
            "syntax error at or near \";\"",
        ),
        ("v", "Redshift.SyntaxError", "cannot copy to view"),
    ] {
        let error = refusal(&rig, Command { table, ..T }, &manifest).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    let quoted = Command {
        table: "\"My Schema\" . \"T\"",
        columns: "\"A b\"",
        options: "",
    };
    assert_eq!(rig.copy(quoted, &manifest).await.unwrap().rows, Some(1));
    let other = rig.manifest(&[rig.put("b", b"2\n").await]).await;
    assert_eq!(
        rig.copy(
            Command {
                table: "PUBLIC.T",
                ..T
            },
            &other
        )
        .await
        .unwrap()
        .rows,
        Some(1)
    );
}

#[tokio::test]
async fn no_load_checks_and_loads_nothing() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let good = rig.manifest(&[rig.put("good", b"1\n").await]).await;
    let bad = rig.manifest(&[rig.put("bad", b"x\n").await]).await;
    let command = Command {
        options: "NOLOAD",
        ..T
    };
    assert_eq!(rig.copy(command, &good).await.unwrap().rows, Some(0));
    let error = refusal(&rig, command, &bad).await;
    assert_eq!(error.code(), "Redshift.DataLoadFailed");
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");
    assert_eq!(rig.copy(T, &good).await.unwrap().rows, Some(1));
}

#[tokio::test]
async fn what_a_role_has_set_does_not_change_a_load() {
    let rig = Rig::new(
        "CREATE TABLE t (a date, b timestamptz DEFAULT '2015-10-07 00:00', c interval, d bytea DEFAULT '\\x00');
        CREATE ROLE odd LOGIN SUPERUSER PASSWORD 'odd';
        ALTER ROLE odd SET DateStyle = 'German';
        ALTER ROLE odd SET TimeZone = 'Asia/Tokyo';
        ALTER ROLE odd SET IntervalStyle = 'sql_standard';
        ALTER ROLE odd SET client_encoding = 'LATIN1';
        ALTER ROLE odd SET statement_timeout = '2s';
        ALTER ROLE odd SET synchronous_commit = 'off';
        ALTER ROLE odd SET default_transaction_read_only = on;
        ALTER ROLE odd SET default_transaction_isolation = 'serializable'",
    )
    .await;
    rig.sql(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_sleep(2.1);
            IF current_setting('synchronous_commit') <> 'on' THEN RAISE 'not safe'; END IF;
            RETURN NEW; END $$;
        CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()",
    )
    .await;
    let manifest = rig
        .manifest(&[rig.put("a", b"2015-10-07|-1 day\n").await])
        .await;
    let mut client = rig.connect_as("odd").await;
    let command = Command {
        columns: "a, c",
        ..T
    };
    let loaded = rig.copy_by(&mut client, command, &manifest).await.unwrap();
    assert_eq!(loaded.rows, Some(1));
    let sql = "SET TimeZone = 'UTC'; SELECT a, b, c FROM t";
    assert_eq!(
        rig.rows(sql).await,
        ["2015-10-07|2015-10-07 00:00:00+00|-1 days"]
    );
    rig.sql("DROP OWNED BY odd; DROP ROLE odd").await;
}

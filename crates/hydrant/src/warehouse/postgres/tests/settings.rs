//! Locks that others hold, and settings that somebody made for a role or a database.

use super::rig::{Command, Rig};

const T: Command<'static> = Command {
    table: "t",
    columns: "",
    options: "",
};

/// Far longer than what is waited for here, far shorter than a hang.
async fn in_time<T>(what: &str, load: impl Future<Output = T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test's patience")]
    let done = tokio::time::timeout(std::time::Duration::from_secs(60), load).await;
    done.unwrap_or_else(|_| panic!("it hangs: {what}"))
}

#[tokio::test]
async fn nobody_who_looks_at_the_errors_holds_up_a_load_or_what_is_told_of_one() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    rig.copy_bytes(T, b"x\n").await.unwrap_err();
    let mut holder = rig.connect().await;
    let held = holder.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE hydrant.stl_load_errors IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let loaded = in_time("old errors are removed", rig.copy_bytes(T, b"1\n")).await;
    assert_eq!(loaded.unwrap().rows, Some(1));
    let error = in_time("errors are written", rig.copy_bytes(T, b"x\n")).await;
    assert_eq!(error.unwrap_err().code(), "Redshift.DataLoadFailed");
    drop(held);
    assert_eq!(rig.value("SELECT a FROM t").await, "1");
}

#[tokio::test]
async fn a_load_does_not_depend_on_the_settings_of_its_user() {
    let role = format!("set_{}", std::process::id());
    let rig = Rig::new(&format!(
        "CREATE TABLE t (a int, at timestamp, tz timestamptz);
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.a = 2 THEN PERFORM pg_sleep(1.2); END IF; RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();
        CREATE ROLE {role} LOGIN PASSWORD '{role}';
        GRANT CREATE ON DATABASE {{database}} TO {role};
        GRANT INSERT, SELECT ON t TO {role};
        ALTER ROLE {role} SET statement_timeout = '1s';
        ALTER ROLE {role} SET idle_in_transaction_session_timeout = '1s';
        ALTER ROLE {role} SET lock_timeout = '1ms';
        ALTER ROLE {role} SET default_transaction_isolation = 'serializable';
        ALTER ROLE {role} SET default_transaction_read_only = on;
        ALTER ROLE {role} SET default_transaction_deferrable = on;
        ALTER ROLE {role} SET synchronous_commit = off;
        ALTER ROLE {role} SET DateStyle = 'SQL, DMY';
        ALTER ROLE {role} SET TimeZone = 'Asia/Kolkata';
        ALTER ROLE {role} SET client_encoding = 'LATIN1';
        ALTER ROLE {role} SET standard_conforming_strings = off;
        ALTER ROLE {role} SET client_min_messages = debug1;"
    ))
    .await;
    let mut client = rig.connect_as(&role).await;
    for rows in [
        &b"1|2015-03-02 01:02:03|2015-03-02 01:02:03\n2||\n"[..],
        b"3||\nx||\n",
    ] {
        let url = rig.put(&format!("{}", rows.len()), rows).await;
        let manifest = rig.manifest(&[url]).await;
        let within = Command {
            options: "MAXERROR 3",
            ..T
        };
        let loaded = rig.copy_by(&mut client, within, &manifest).await;
        loaded.unwrap();
    }
    rig.sql("SET TimeZone = 'UTC'").await;
    assert_eq!(
        rig.rows("SELECT a, at, tz FROM t ORDER BY a").await,
        [
            "1|2015-03-02 01:02:03|2015-03-02 01:02:03+00",
            "2|<null>|<null>",
            "3|<null>|<null>"
        ]
    );
    // What is told of a load that failed, and what is old, is written under the same settings.
    rig.sql("UPDATE hydrant.stl_load_errors SET starttime = starttime - interval '30 days'")
        .await;
    let url = rig.put("bad", b"y||\n").await;
    let manifest = rig.manifest(&[url]).await;
    rig.copy_by(&mut client, T, &manifest).await.unwrap_err();
    assert_eq!(
        rig.rows("SELECT raw_line FROM hydrant.stl_load_errors")
            .await,
        ["y||"]
    );
    drop(client);
    rig.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test]
async fn a_database_of_another_encoding_records_what_it_cannot_hold() {
    let rig = Rig::encoded("LATIN1", "CREATE TABLE t (a int, b text)").await;
    let within = Command {
        options: "MAXERROR 9",
        ..T
    };
    let rows = "1|é\nü€|x\n2|€\n3|z\n";
    let loaded = rig.copy_bytes(within, rows.as_bytes()).await.unwrap();
    assert_eq!((loaded.rows, loaded.rejected), (Some(2), 2));
    assert_eq!(
        rig.rows("SELECT raw_line FROM hydrant.stl_load_errors ORDER BY line_number")
            .await,
        ["\\u{fc}\\u{20ac}|x", "2|\\u{20ac}"]
    );
    let error = rig.copy_bytes(T, "€|x\n".as_bytes()).await.unwrap_err();
    assert_eq!(error.code(), "Redshift.DataLoadFailed");
    assert_eq!(
        rig.value("SELECT count(*) FROM hydrant.stl_load_errors")
            .await,
        "3"
    );
}

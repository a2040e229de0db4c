//! Connections that break off, wherever they do.

use futures::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    super::ledger::Ledger,
    rig::{Command, Rig},
};
use crate::destination::DeliveryError;

const T: Command<'static> = Command {
    table: "t",
    columns: "",
    options: "",
};

/// Waits until `sql` says true.
async fn until(rig: &Rig, sql: &str) {
    let deadline = std::time::Duration::from_secs(30);
    let wait = async {
        while rig.value(sql).await != "t" {
            tokio::task::yield_now().await;
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a test's patience")]
    let waited = tokio::time::timeout(deadline, wait).await;
    waited.unwrap_or_else(|_| panic!("never: {sql}"));
}

#[tokio::test]
async fn a_backend_that_dies_in_the_middle_leaves_nothing_and_the_next_attempt_loads_all() {
    // The trigger waits for a lock that the test holds: the load is in the middle for as long as that.
    let rig = Rig::new(
        "CREATE TABLE t (a int);
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.a = 1500 THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    .await;
    let rows: String = (0..2_000).map(|n| format!("{n}\n")).collect();
    let first = rig.put("1", b"-1\n").await;
    let second = rig.put("2", rows.as_bytes()).await;
    let manifest = rig.manifest(&[&first, &second]).await;
    for attempt in 0..2 {
        rig.sql("SELECT pg_advisory_lock(1)").await;
        let load = rig.copy(T, &manifest);
        let kill = async {
            until(
                &rig,
                "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
            )
            .await;
            rig.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
            )
            .await;
        };
        let (loaded, ()) = tokio::join!(load, kill);
        let error = loaded.unwrap_err();
        assert!(
            matches!(error, DeliveryError::Retry { .. }),
            "{attempt}: {error:?}"
        );
        rig.sql("SELECT pg_advisory_unlock(1)").await;
        assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");
    }
    let loaded = rig.copy(T, &manifest).await.unwrap();
    assert_eq!((loaded.rows, loaded.skipped), (Some(2_001), 0));
    assert_eq!(
        rig.value("SELECT count(*), count(DISTINCT a) FROM t").await,
        "2001|2001"
    );
}

/// Passes bytes on in both directions until the client says COMMIT: that still arrives, but no answer to it comes back.
async fn lose_the_answer_to_commit(listener: TcpListener, server: (String, u16)) {
    let (mut client, _) = listener.accept().await.unwrap();
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut asked, mut told) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read.unwrap()];
                server.write_all(bytes).await.unwrap();
                if bytes.windows(7).any(|word| word == b"COMMIT\0") {
                    // The answer means that it happened.
                    assert!(server.read(&mut told).await.unwrap() > 0);
                    return;
                }
            }
            read = server.read(&mut told) => {
                client.write_all(&told[..read.unwrap()]).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_out() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let manifest = rig.manifest(&[rig.put("1", b"1\n2\n").await]).await;
    Ledger::open(&mut rig.connect().await).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = tokio::spawn(lose_the_answer_to_commit(listener, rig.place()));
    let mut client = rig.connect_at(port).await;
    let error = rig.copy_by(&mut client, T, &manifest).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Retry { .. }), "{error:?}");
    proxy.await.unwrap();
    let again = rig.copy(T, &manifest).await.unwrap();
    assert_eq!((again.rows, again.skipped), (Some(0), 1));
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "2");
}

#[tokio::test]
async fn a_load_that_is_dropped_lets_go() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let rows: String = (0..300_000).map(|n| format!("{n}\n")).collect();
    let manifest = rig.manifest(&[rig.put("1", rows.as_bytes()).await]).await;
    // Held up by a lock on the table, and given up.
    let mut holder = rig.connect().await;
    let held = holder.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    {
        let mut load = Box::pin(rig.copy(T, &manifest));
        let waiting = until(&rig, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted");
        tokio::select! {
            loaded = &mut load => panic!("{loaded:?}"),
            () = waiting => {}
        }
        assert!((&mut load).now_or_never().is_none());
    }
    drop(held);
    until(
        &rig,
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()",
    )
    .await;
    assert_eq!(rig.copy(T, &manifest).await.unwrap().rows, Some(300_000));
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "300000");
}

#[tokio::test]
async fn an_object_that_breaks_off_is_not_taken_for_whole() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    // Far more than fits between the file and a database that does not read.
    let rows = "7\n".repeat(16 << 20);
    let manifest = rig.manifest(&[rig.put("1", rows.as_bytes()).await]).await;
    // Cut while it is being read: the load has a lock on the table then, which the test waits for.
    rig.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_advisory_xact_lock_shared(2); RETURN NULL; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION slow();
        SELECT pg_advisory_lock(2)",
    )
    .await;
    let cut = async {
        until(
            &rig,
            "SELECT count(*) > 0 FROM pg_locks JOIN pg_database d ON d.oid = database
             WHERE datname = current_database() AND locktype = 'advisory' AND objid = 2 AND NOT granted",
        )
        .await;
        let file = std::fs::File::options()
            .write(true)
            .open(rig.path_of("1"))
            .unwrap();
        file.set_len(5 << 20).unwrap();
        rig.sql("SELECT pg_advisory_unlock(2)").await;
    };
    let (loaded, ()) = tokio::join!(rig.copy(T, &manifest), cut);
    let error = loaded.unwrap_err();
    assert!(matches!(error, DeliveryError::Retry { .. }), "{error:?}");
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");
}

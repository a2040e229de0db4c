//! Nothing is loaded twice, and what the user must be allowed.

use super::{
    super::ledger::{SETUP_SQL, grant_sql},
    rig::{Command, Rig},
};
use crate::destination::DeliveryError;

const T: Command<'static> = Command {
    table: "t",
    columns: "",
    options: "",
};

#[tokio::test]
async fn what_was_loaded_is_not_loaded_again() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let one = rig.put("1", b"1\n").await;
    let two = rig.put("2", b"2\n").await;
    let first = rig.manifest(&[&one]).await;
    let both = rig.manifest(&[&two, &one]).await;
    for (manifest, rows, skipped) in [(&first, 1, 0), (&first, 0, 1), (&both, 1, 1), (&both, 0, 2)]
    {
        let loaded = rig.copy(T, manifest).await.unwrap();
        assert_eq!((loaded.rows, loaded.skipped), (Some(rows), skipped));
    }
    assert_eq!(rig.rows("SELECT a FROM t ORDER BY a").await, ["1", "2"]);
    // An object that was loaded once may be gone since.
    std::fs::remove_file(rig.path_of("1")).unwrap();
    assert_eq!(rig.copy(T, &both).await.unwrap().skipped, 2);
}

#[tokio::test]
async fn what_failed_is_loaded_whole_later() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let one = rig.put("1", b"1\n").await;
    let two = rig.put("2", b"x\n").await;
    let manifest = rig.manifest(&[&one, &two]).await;
    rig.copy(T, &manifest).await.unwrap_err();
    assert_eq!(
        rig.value("SELECT count(*) FROM hydrant.loaded_objects")
            .await,
        "0"
    );
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");
    rig.put("2", b"2\n").await;
    let loaded = rig.copy(T, &manifest).await.unwrap();
    assert_eq!((loaded.rows, loaded.skipped), (Some(2), 0));
}

#[tokio::test]
async fn many_loads_of_the_same_objects_at_once_load_them_once() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let mut urls = Vec::new();
    for n in 0..10 {
        urls.push(rig.put(&format!("{n}"), format!("{n}\n").as_bytes()).await);
    }
    let forwards = rig.manifest(&urls).await;
    urls.reverse();
    let backwards = rig.manifest(&urls).await;
    // The first of them also make the schema, all at once.
    let loads = (0..8).map(|n| rig.copy(T, if n % 2 == 0 { &forwards } else { &backwards }));
    let loaded = futures::future::join_all(loads).await;
    let total = |of: fn(&crate::warehouse::Loaded) -> u64| -> u64 {
        loaded
            .iter()
            .map(|loaded| of(loaded.as_ref().unwrap()))
            .sum()
    };
    assert_eq!(total(|loaded| loaded.rows.unwrap()), 10);
    assert_eq!(total(|loaded| loaded.skipped), 70);
    assert_eq!(
        rig.value("SELECT count(*), count(DISTINCT a) FROM t").await,
        "10|10"
    );
}

#[tokio::test]
async fn a_user_who_may_not_is_told_what_an_administrator_runs() {
    let role = format!("loader_{}", std::process::id());
    let rig = Rig::new(&format!(
        "CREATE TABLE t (a int); CREATE ROLE {role} LOGIN PASSWORD '{role}';"
    ))
    .await;
    let manifest = rig.manifest(&[rig.put("1", b"1\n").await]).await;
    let refused = async || {
        let mut client = rig.connect_as(&role).await;
        let error = rig.copy_by(&mut client, T, &manifest).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error:?}");
        assert_eq!(error.code(), "Redshift.InsufficientPrivilege");
        error.message().to_owned()
    };
    let told = refused().await;
    // The words are put on one line; the statements are the same.
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&told).contains(&flat(SETUP_SQL)), "{told}");
    assert!(flat(&told).contains(&flat(&grant_sql(&role))), "{told}");

    rig.sql(SETUP_SQL).await;
    let told = refused().await;
    assert!(told.contains("another user"), "{told}");

    rig.sql(&grant_sql(&role)).await;
    let told = refused().await;
    assert!(told.contains("permission denied for table t"), "{told}");

    rig.sql(&format!("GRANT INSERT ON t TO {role}")).await;
    let mut client = rig.connect_as(&role).await;
    let loaded = rig.copy_by(&mut client, T, &manifest).await.unwrap();
    assert_eq!(loaded.rows, Some(1));
    let noted = "SELECT rows FROM hydrant.loaded_objects";
    assert_eq!(rig.value(noted).await, "1");

    // INSERT and SELECT suffice.
    rig.sql(&format!(
        "REVOKE ALL ON ALL TABLES IN SCHEMA hydrant FROM {role};
        REVOKE UPDATE (rows) ON hydrant.loaded_objects FROM {role};
        GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA hydrant TO {role};"
    ))
    .await;
    let other = rig.manifest(&[rig.put("2", b"2\nx\n").await]).await;
    let within = Command {
        options: "MAXERROR 5",
        ..T
    };
    let loaded = rig.copy_by(&mut client, within, &other).await.unwrap();
    assert_eq!((loaded.rows, loaded.rejected), (Some(1), 1));
    assert_eq!(
        rig.value(&format!("{noted} WHERE url LIKE '%/2'")).await,
        "<null>"
    );
    drop(client);
    rig.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

//! `hydrant.stl_load_errors`, and rows that the database refuses.

use super::{
    super::{MAX_REPLAYS, rejects::MAX_RECORDED},
    rig::{Command, Rig},
};

const T: Command<'static> = Command {
    table: "t",
    columns: "",
    options: "",
};

fn within(options: &str) -> Command<'_> {
    Command { options, ..T }
}

#[tokio::test]
async fn errors_are_recorded_as_redshift_records_them() {
    let rig = Rig::new("CREATE TABLE t (a int, b varchar(3), c numeric(5,2))").await;
    let url = rig.put("a b", b"1|abc|1\n2|abcd|1\n3|\xff|1\n").await;
    let manifest = rig.manifest(&[&url]).await;
    let loaded = rig.copy(within("MAXERROR 5"), &manifest).await.unwrap();
    assert_eq!((loaded.rows, loaded.rejected), (Some(1), 2));
    let columns = "filename, line_number, colname, type, col_length, position, raw_line, raw_field_value, err_code, \
                   table_name, stream, manifest, load_failed, slice";
    assert_eq!(
        rig.rows(&format!(
            "SELECT {columns} FROM hydrant.stl_load_errors ORDER BY line_number"
        ))
        .await,
        [
            "s3://bucket/a b|2|b|varchar|3|2|2|abcd|1|abcd|1204|public.t|000000000000/us-east-1/s|s3://bucket/manifests/0|f|0",
            "s3://bucket/a b|3|b|varchar|3|2|3|\\xff|1|\\xff|1220|public.t|000000000000/us-east-1/s|s3://bucket/manifests/0|f|0",
        ]
    );
    let rest = "SELECT count(*) FROM hydrant.stl_load_errors WHERE tbl = 't'::regclass::oid
        AND userid = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND session > 0 AND query > 0
        AND starttime > (now() AT TIME ZONE 'UTC') - interval '1 minute' AND err_reason <> ''";
    assert_eq!(rig.value(rest).await, "2");
}

#[tokio::test]
async fn errors_outlive_the_load_that_they_ended_and_are_removed_after_a_week() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let manifest = rig.manifest(&[rig.put("1", b"1\nx\n").await]).await;
    let error = rig.copy(T, &manifest).await.unwrap_err();
    assert!(
        error.message().contains("s3://bucket/1, line 2, column a"),
        "{error}"
    );
    let recorded = "SELECT line_number, load_failed FROM hydrant.stl_load_errors";
    assert_eq!(rig.rows(recorded).await, ["2|t"]);
    rig.sql("UPDATE hydrant.stl_load_errors SET starttime = starttime - interval '8 days'")
        .await;
    rig.put("1", b"1\n").await;
    rig.copy(T, &manifest).await.unwrap();
    assert_eq!(rig.rows(recorded).await, [""; 0]);
}

#[tokio::test]
async fn a_load_records_so_many_errors_and_counts_the_rest() {
    let rig = Rig::new("CREATE TABLE t (a int)").await;
    let loaded = rig
        .copy_bytes(
            within("IGNOREALLERRORS"),
            "x\n".repeat(MAX_RECORDED + 50).as_bytes(),
        )
        .await
        .unwrap();
    assert_eq!(loaded.rejected, MAX_RECORDED as u64 + 50);
    let count = "SELECT count(*) FROM hydrant.stl_load_errors";
    assert_eq!(rig.value(count).await, MAX_RECORDED.to_string());
}

#[tokio::test]
async fn what_triggers_raise_counts_like_any_other_error() {
    let rig = Rig::new(
        "CREATE TABLE t (a int);
        CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.a % 10 = 7 THEN RAISE 'not % on line 99', NEW.a; END IF; RETURN NEW; END $$;
        CREATE TRIGGER picky BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION picky()",
    )
    .await;
    let rows: String = (0..100).map(|n| format!("{n}\n")).collect();
    let loaded = rig
        .copy_bytes(within("MAXERROR 20"), rows.as_bytes())
        .await
        .unwrap();
    assert_eq!((loaded.rows, loaded.rejected), (Some(90), 10));
    let told = "SELECT line_number, err_reason FROM hydrant.stl_load_errors ORDER BY 1 LIMIT 1";
    assert_eq!(rig.rows(told).await, ["8|ERROR: not 7 on line 99"]);
    let error = rig
        .copy_bytes(within("MAXERROR 5"), rows.as_bytes())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "Redshift.DataLoadFailed");
    assert!(error.message().contains("not 7 on line 99"), "{error}");
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "90");
}

#[tokio::test]
async fn the_database_may_refuse_so_many_rows() {
    let rig = Rig::new("CREATE TABLE t (a int CHECK (a >= 0), b int)").await;
    let wrong = |rows: usize| -> String { (0..rows).map(|n| format!("-1|{n}\n")).collect() };
    let most = wrong(MAX_REPLAYS);
    let loaded = rig
        .copy_bytes(
            within("MAXERROR 1000"),
            format!("1|1\n{most}2|2\n").as_bytes(),
        )
        .await
        .unwrap();
    assert_eq!(
        (loaded.rows, loaded.rejected),
        (Some(2), MAX_REPLAYS as u64)
    );
    let more = wrong(MAX_REPLAYS + 1);
    let error = rig
        .copy_bytes(within("MAXERROR 1000"), more.as_bytes())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "Redshift.DataLoadFailed");
    assert!(
        error.message().contains("violates check constraint"),
        "{error}"
    );
}

#[tokio::test]
async fn what_no_single_row_is_to_blame_for_ends_the_load() {
    let rig = Rig::new(
        "CREATE TABLE known (a int PRIMARY KEY); INSERT INTO known VALUES (1);
        CREATE TABLE t (a int REFERENCES known)",
    )
    .await;
    for constraint in ["NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"] {
        rig.sql(&format!(
            "ALTER TABLE t DROP CONSTRAINT t_a_fkey; ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES known {constraint}"
        ))
        .await;
        let error = rig
            .copy_bytes(within("MAXERROR 9"), b"1\n2\n")
            .await
            .unwrap_err();
        assert_eq!(error.code(), "Redshift.DataLoadFailed", "{error}");
        assert!(
            error.message().contains("Key (a)=(2) is not present"),
            "{error}"
        );
        assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");
    }
}

#[tokio::test]
async fn no_row_is_left_out_for_another() {
    // PostgreSQL finds such a row too big when it writes many at once, and names the line that it read last.
    let rig = Rig::new(
        "CREATE TABLE t (a int, b text); ALTER TABLE t ALTER b SET STORAGE PLAIN;
        CREATE TABLE u (a int, b text UNIQUE)",
    )
    .await;
    let rows = format!("1|x\n2|{}\n3|x\n4|x\n", "y".repeat(60_000));
    let error = rig
        .copy_bytes(within("MAXERROR 9"), rows.as_bytes())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "Redshift.DataLoadFailed", "{error}");
    assert!(error.message().contains("row is too big"), "{error}");
    assert_eq!(rig.value("SELECT count(*) FROM t").await, "0");
    // But for what it says of an index, it names the right one.
    let mut rows: String = (0..300).map(|n| format!("{n}|x{n}\n")).collect();
    rows.push_str("300|x17\n");
    rows.extend((301..600).map(|n| format!("{n}|x{n}\n")));
    let command = Command {
        table: "u",
        ..within("MAXERROR 3")
    };
    let loaded = rig.copy_bytes(command, rows.as_bytes()).await.unwrap();
    assert_eq!(loaded.rejected, 1);
    assert_eq!(
        rig.value("SELECT count(*) FROM u WHERE a <> 300").await,
        "599"
    );
}

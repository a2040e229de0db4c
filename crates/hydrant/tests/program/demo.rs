//! `hydrant demo`.

use std::{fs, process::Stdio};

use super::running::{hydrant, text};

#[test]
fn it_proves_every_line_and_tidies_up() {
    let tmp = tempfile::tempdir().unwrap();
    let demo = |args: &[&str]| {
        let mut command = hydrant(&["demo", "--records", "60000"]);
        command
            .args(args)
            .env("TMPDIR", tmp.path())
            .stderr(Stdio::piped());
        command.output().unwrap()
    };
    let output = demo(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("proved     all 60,000 lines"), "{told}");
    assert_eq!(
        fs::read_dir(tmp.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );

    assert!(demo(&["--keep"]).status.success());
    let kept = fs::read_dir(tmp.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(kept.join("buckets/demo-bucket").is_dir());
}

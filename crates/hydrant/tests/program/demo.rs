//! `hydrant demo`.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};

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

#[test]
fn interrupted_it_tidies_up_too() {
    let tmp = tempfile::tempdir().unwrap();
    let mut child = hydrant(&["demo", "--records", "100000000"])
        .env("TMPDIR", tmp.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Once an object is there, everything runs.
    let object = lines.find(|line| line.as_ref().unwrap().ends_with("KiB"));
    assert!(object.is_some());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    for line in lines {
        assert!(!line.unwrap().contains("proved"));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0);
}

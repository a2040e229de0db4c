//! Reads every object of a bucket back and compares it with what was sent.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::lines::Lines;

/// What the objects hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    /// Different lines of those that were sent.
    pub(super) found: u64,
    /// Lines that are there more than once, each further time counted.
    pub(super) twice: u64,
    /// Lines that nobody sent.
    pub(super) foreign: u64,
}

impl Proof {
    /// Whether the objects hold each of `sent` lines once and nothing else.
    pub(super) fn holds(self, sent: u64) -> bool {
        self.found == sent && self.twice == 0 && self.foreign == 0
    }
}

/// An object in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// Every object of the bucket in `root`, in order of key. A bucket that does not exist is empty.
/// Names that begin with a dot are uploads under way.
pub(super) fn objects(root: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // It may have been renamed since it was listed.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                directories.push(entry.path());
            } else {
                found.push(Found {
                    path: entry.path(),
                    bytes: metadata.len(),
                });
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads `objects` (gzip) and looks for each of the `sent` first lines; `progress` is told how
/// many were looked at.
pub(super) fn prove(
    objects: &[Found],
    lines: Lines,
    sent: u64,
    progress: impl Fn(u64),
) -> io::Result<Proof> {
    let mut seen = vec![false; usize::try_from(sent).unwrap_or(0)];
    let mut proof = Proof::default();
    let mut looked_at = 0;
    for object in objects {
        let file = BufReader::new(File::open(&object.path)?);
        let mut reader = BufReader::new(MultiGzDecoder::new(file));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let bare = line.strip_suffix(b"\n").unwrap_or(&line);
            let number = lines.number_of(bare).and_then(|n| usize::try_from(n).ok());
            match number.and_then(|number| seen.get_mut(number)) {
                None => proof.foreign += 1,
                Some(true) => proof.twice += 1,
                Some(seen) => {
                    *seen = true;
                    proof.found += 1;
                }
            }
            line.clear();
            looked_at += 1;
            if looked_at % 1024 == 0 {
                progress(looked_at);
            }
        }
    }
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use hydrant_engine::Timestamp;

    use super::*;

    #[test]
    fn it_notices_what_is_missing_double_and_foreign() {
        let lines = Lines {
            seed: 1,
            begin: Timestamp(0),
        };
        let root = tempfile::tempdir().unwrap();
        assert!(objects(&root.path().join("nothing")).unwrap().is_empty());
        let prefix = root.path().join("2026/01");
        fs::create_dir_all(&prefix).unwrap();
        let write = |name: &str, numbers: &[u64], more: &[u8]| {
            let file = File::create(prefix.join(name)).unwrap();
            let mut gzip = GzEncoder::new(file, Compression::fast());
            for &number in numbers {
                gzip.write_all(&lines.line(number)).unwrap();
            }
            gzip.write_all(more).unwrap();
            gzip.finish().unwrap();
        };
        write("a.gz", &[0, 1], b"");
        write("b.gz", &[2], b"");
        write(".c.gz", &[9], b"");
        let all = objects(root.path()).unwrap();
        assert_eq!(all.len(), 2);
        assert!(prove(&all, lines, 3, |_| {}).unwrap().holds(3));
        assert!(
            !prove(&all, lines, 4, |_| {}).unwrap().holds(4),
            "one is missing"
        );
        write("b.gz", &[2, 0], b"not ours\n");
        let all = objects(root.path()).unwrap();
        let wanted = Proof {
            found: 3,
            twice: 1,
            foreign: 1,
        };
        assert_eq!(prove(&all, lines, 3, |_| {}).unwrap(), wanted);
    }
}

//! Checks a stopped node's data directory: what the engine finds in its files, what the catalog's values mean, and whether they
//! agree with the log.
//!
//! | module | is |
//! |---|---|
//! | [`values`] | the catalog's values: read once, then held against the log |
//! | [`around`] | the key file and who may write |

mod around;
mod values;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use hydrant_engine::{
    LaneId, OpenError, Timestamp,
    doctor::{Diagnosis, Doctor, Finding, Repair, Repaired, Severity},
};

use self::values::Books;

/// What to look at beside the directory itself.
#[derive(Debug)]
pub struct Surroundings {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The key that seals passwords; `None` is where a node makes it.
    pub key_file: Option<PathBuf>,
    /// Now; how old records are is told from it.
    pub now: Timestamp,
}

/// What was found.
#[derive(Debug)]
pub struct Examination {
    /// All findings, the engine's and those about what values mean.
    pub diagnosis: Diagnosis,
    /// The stream of each lane that has one, as ACCOUNT/REGION/NAME.
    pub streams: HashMap<LaneId, String>,
}

impl Examination {
    /// Nothing is damaged; notes there may be.
    pub fn is_healthy(&self) -> bool {
        self.diagnosis
            .worst()
            .is_none_or(|worst| worst == Severity::Note)
    }

    /// What a repair would do, each once.
    pub fn repairs(&self) -> Vec<Repair> {
        let mut repairs: Vec<Repair> = Vec::new();
        for repair in self
            .diagnosis
            .findings
            .iter()
            .filter_map(|it| it.repair.as_ref())
        {
            if !repairs.contains(repair) {
                repairs.push(repair.clone());
            }
        }
        repairs
    }
}

/// Examines the directory. Blocks. `progress` is told how many bytes of how many are read.
///
/// # Errors
/// See [`Doctor::examine`].
pub fn examine(
    doctor: &Doctor,
    around: &Surroundings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Examination, OpenError> {
    let catalog = around.data_dir.join("catalog.redb");
    let mut books = Books::new(&catalog, progress);
    let mut diagnosis = doctor.examine(&mut books)?;
    let streams: HashMap<LaneId, String> = books
        .streams()
        .map(|stream| (stream.lane, stream.key.to_string()))
        .collect();
    if diagnosis.values.is_some() {
        for finding in &mut diagnosis.findings {
            books.refine(finding);
        }
        let found = books.judge(&diagnosis, around.now);
        diagnosis.findings.extend(found);
        let found = around::key_file(around, books.streams());
        diagnosis.findings.extend(found);
    }
    diagnosis.findings.extend(around::modes(&around.data_dir));
    Ok(Examination { diagnosis, streams })
}

/// Repairs what can be repaired. Blocks. What is changed or removed is kept in a directory that is named for the time.
///
/// # Errors
/// See [`Doctor::repair`].
pub fn repair(
    doctor: &Doctor,
    examination: &Examination,
    now: Timestamp,
) -> Result<Repaired, OpenError> {
    doctor.repair(&examination.repairs(), &named(now))
}

/// `2006-01-02T15-04-05Z`: a time that is a file's name everywhere.
fn named(now: Timestamp) -> String {
    let at = i64::try_from(now.0)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    match at {
        Some(at) => at.strftime("%Y-%m-%dT%H-%M-%SZ").to_string(),
        None => now.0.to_string(),
    }
}

/// A finding about one value of the catalog.
fn of_value(severity: Severity, catalog: &Path, key: &str, what: impl Into<String>) -> Finding {
    Finding::new(severity, catalog, what).of_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_name() {
        assert_eq!(named(Timestamp(1_444_222_333_444)), "2015-10-07T12-52-13Z");
        assert_eq!(named(Timestamp(u64::MAX)), u64::MAX.to_string());
    }
}

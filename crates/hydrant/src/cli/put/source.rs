//! Files and standard input as a stream of batches. Reading happens in a thread of its own, a few
//! batches ahead of sending.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::split::{Framing, Records, SplitError};
use crate::client::{Batch, batches};

/// Batches read ahead of sending.
const READ_AHEAD: usize = 4;
/// Size of a read.
const BUFFER_BYTES: usize = 256 * 1024;

/// Where records come from.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Stdin,
    File { path: PathBuf, bytes: Option<u64> },
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Stdin => f.write_str("standard input"),
            Input::File { path, .. } => path.display().fmt(f),
        }
    }
}

/// What went wrong, and in which file.
#[derive(Debug, thiserror::Error)]
#[error("{input}: {error}")]
pub(super) struct SourceError {
    input: Input,
    error: SplitError,
}

/// Looks at every file before the first byte is sent.
pub(super) fn inputs(files: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    if files.is_empty() {
        return Ok(vec![Input::Stdin]);
    }
    files.iter().map(|path| input(path)).collect()
}

fn input(path: &Path) -> anyhow::Result<Input> {
    if path == Path::new("-") {
        return Ok(Input::Stdin);
    }
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    ensure!(
        !metadata.is_dir(),
        "{} is a directory; name files",
        path.display()
    );
    Ok(Input::File {
        path: path.to_owned(),
        // A pipe or device has no length.
        bytes: metadata.is_file().then_some(metadata.len()),
    })
}

/// All bytes together; `None` when an input does not tell.
pub(super) fn total_bytes(inputs: &[Input]) -> Option<u64> {
    inputs
        .iter()
        .map(|input| match input {
            Input::Stdin => None,
            Input::File { bytes, .. } => *bytes,
        })
        .sum()
}

/// The inputs' records in batches.
pub(super) fn stream(
    inputs: Vec<Input>,
    framing: Framing,
) -> impl Stream<Item = Result<Batch, SourceError>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        for batch in batches(records(inputs, framing)) {
            if sender.blocking_send(batch).is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

fn records(
    inputs: Vec<Input>,
    framing: Framing,
) -> impl Iterator<Item = Result<Bytes, SourceError>> {
    inputs.into_iter().flat_map(move |input| {
        let records = open(&input).map(|reader| Records::new(reader, framing.clone()));
        let (records, failed) = match records {
            Ok(records) => (Some(records), None),
            Err(error) => (None, Some(Err(SplitError::Read(error)))),
        };
        let named = records.into_iter().flatten().chain(failed);
        named.map(move |record| {
            record.map_err(|error| SourceError {
                input: input.clone(),
                error,
            })
        })
    })
}

fn open(input: &Input) -> io::Result<Box<dyn BufRead>> {
    Ok(match input {
        Input::Stdin => Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin())),
        Input::File { path, .. } => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?))
        }
    })
}

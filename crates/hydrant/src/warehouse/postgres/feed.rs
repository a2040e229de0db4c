//! One object, from the bucket into a COPY: three stages that work at once, with little between them.
//!
//! ```text
//! bucket ─(pieces)→ a thread: decompress, Transform ─(COPY text)→ the connection
//! ```
//!
//! * Each stage waits for the next, so memory does not depend on the object's size, nor on who is slow.
//! * When one stage ends early, its neighbours find their channel closed and end, too. Told is the error of the stage
//!   that began it: the database's before the rows', the bucket's before both, for what breaks off there looks
//!   like a damaged file further on.
//! * Dropped, it ends: the thread at its next piece.

use std::{
    io::{self, BufRead, Read},
    pin::pin,
};

use bytes::{Buf, Bytes};
use futures::{SinkExt, StreamExt};
use hydrant_copy::{Column, Compression, MaxErrors, RowError, Transform};
use tokio::sync::mpsc;
use tokio_postgres::{Statement, Transaction};

use super::{decompress::decompress, rejects::Rejects};
use crate::{
    destination::{Bytestream, DeliveryError},
    warehouse::errors::Code,
};

/// COPY text that is sent at a time, about.
const SEND_BYTES: usize = 128 << 10;
/// So many of those wait for the connection.
const SENDS_WAITING: usize = 4;
/// File bytes that are transformed at a time.
const STEP_BYTES: usize = 64 << 10;

/// The stage in the middle: what becomes of a file's bytes.
pub(super) struct Work {
    pub(super) transform: Transform,
    pub(super) compression: Compression,
    pub(super) limit: MaxErrors,
    pub(super) rejects: Rejects,
    pub(super) url: String,
    pub(super) columns: Vec<Column>,
}

/// Why an object was not loaded.
#[derive(Debug)]
pub(super) enum Failure {
    /// The bucket's, or of the whole file.
    Source(DeliveryError),
    /// More rows are wrong than MAXERROR allows; they are among the rejects.
    Rows,
    /// The database's.
    Database(tokio_postgres::Error),
}

/// Feeds `object` into the COPY that the statement begins; without one, only checks it. How many rows were taken, and
/// what was wrong with others.
pub(super) async fn feed(
    object: Bytestream,
    work: Work,
    copy: Option<(&Transaction<'_>, &Statement)>,
) -> (Rejects, Result<u64, Failure>) {
    let (pieces, file) = mpsc::channel(1);
    let (text, texts) = mpsc::channel(SENDS_WAITING);
    let thread = tokio::task::spawn_blocking(move || {
        let mut work = work;
        let done = work.run(file, text);
        (work, done)
    });
    let (read, sent, worked) = tokio::join!(read(object, pieces), send(texts, copy), thread);
    let (work, done) = match worked {
        Ok(worked) => worked,
        // A panic, or the end of the process: one load's failure, nobody else's.
        Err(error) => {
            let error = DeliveryError::internal(format!("a load's thread ended: {error}"));
            return (Rejects::default(), Err(Failure::Source(error)));
        }
    };
    let outcome = match (read, sent, done) {
        (Err(error), ..) => Err(Failure::Source(error)),
        (_, Err(error), _) => Err(Failure::Database(error)),
        (_, _, Err(Stopped::Rows)) => Err(Failure::Rows),
        (_, _, Err(Stopped::File(error))) => Err(Failure::Source(
            Code::DataLoadFailed.refused(format_args!("{}: {error}.", work.url)),
        )),
        (_, Ok(rows), Ok(())) => Ok(rows),
        (_, _, Err(Stopped::Closed)) => Err(Failure::Source(DeliveryError::internal(
            "a load stopped for no reason that it knows",
        ))),
    };
    (work.rejects, outcome)
}

/// Passes the object on; its end is `None`, which no closed channel can be taken for.
async fn read(
    mut object: Bytestream,
    pieces: mpsc::Sender<Option<Bytes>>,
) -> Result<(), DeliveryError> {
    while let Some(piece) = object.next().await {
        if pieces.send(Some(piece?)).await.is_err() {
            return Ok(());
        }
    }
    // Whoever does not listen any more has its own reason.
    let _ = pieces.send(None).await;
    Ok(())
}

/// Passes the text on, the first of which is made while the database begins the COPY. Ends the COPY only after all of
/// it: what is dropped before is undone by the database.
async fn send(
    mut texts: mpsc::Receiver<Option<Bytes>>,
    copy: Option<(&Transaction<'_>, &Statement)>,
) -> Result<u64, tokio_postgres::Error> {
    let Some((transaction, statement)) = copy else {
        while texts.recv().await.is_some() {}
        return Ok(0);
    };
    let mut sink = pin!(transaction.copy_in(statement).await?);
    while let Some(text) = texts.recv().await {
        let Some(text) = text else {
            return sink.finish().await;
        };
        if sink.feed(text).await.is_err() {
            // The connection says only that it is closed; what the database said before comes here.
            return sink.finish().await;
        }
    }
    Ok(0)
}

/// Why the thread stopped.
enum Stopped {
    Closed,
    Rows,
    File(io::Error),
}

impl Work {
    fn run(
        &mut self,
        file: mpsc::Receiver<Option<Bytes>>,
        text: mpsc::Sender<Option<Bytes>>,
    ) -> Result<(), Stopped> {
        let source = Pieces {
            file,
            piece: Bytes::new(),
            ended: false,
        };
        let mut bytes = decompress(self.compression, source).map_err(Stopped::File)?;
        let mut out = Vec::with_capacity(SEND_BYTES + STEP_BYTES);
        self.transform.begin_file();
        loop {
            let step = bytes.fill_buf().map_err(Stopped::File)?;
            let step = step.get(..STEP_BYTES).unwrap_or(step);
            let length = step.len();
            let mut wrong = Vec::new();
            let done = match length {
                0 => self.transform.end_file(&mut out, &mut wrong),
                _ => self.transform.feed(step, &mut out, &mut wrong),
            };
            done.map_err(|error| Stopped::File(io::Error::other(error)))?;
            bytes.consume(length);
            self.count(&wrong)?;
            if out.len() >= SEND_BYTES || (length == 0 && !out.is_empty()) {
                let full = std::mem::replace(&mut out, Vec::with_capacity(SEND_BYTES + STEP_BYTES));
                let sent = text.blocking_send(Some(full.into()));
                sent.map_err(|_| Stopped::Closed)?;
            }
            if length == 0 {
                return text.blocking_send(None).map_err(|_| Stopped::Closed);
            }
        }
    }

    fn count(&mut self, wrong: &[RowError]) -> Result<(), Stopped> {
        for error in wrong {
            self.rejects.add(&self.url, &self.columns, error);
            if self.limit.failed(self.rejects.count) {
                return Err(Stopped::Rows);
            }
        }
        Ok(())
    }
}

/// The pieces of an object as one thing to read from.
struct Pieces {
    file: mpsc::Receiver<Option<Bytes>>,
    piece: Bytes,
    ended: bool,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && !self.ended {
            match self.file.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.piece.advance(amount.min(self.piece.len()));
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut piece = self.fill_buf()?;
        let read = piece.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

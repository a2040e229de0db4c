//! What a server may do to a client before and after it is believed.
//!
//! Whoever configures a stream names the server, and whoever sits between here and there may play it. The client library
//! does what it is told, so its stream is watched, message by message:
//!
//! * **No password in clear** over a connection that nobody asked to be in clear. With `prefer`, a server that says it has
//!   no TLS and then asks for the password itself could be anybody. Digests (SCRAM, MD5) are answered: they are not
//!   the password. `sslmode=disable` is somebody's word that the way there is safe.
//! * **Bounded.** The library keeps a message, an answer's rows and the server's settings in memory, however large. Here
//!   they have limits, far above what any statement of this program is answered with.
//! * **Moving.** What was last heard of the server can be asked, so that silence can be ended.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// The largest message. An error may repeat a row, and no row is larger than 4 MiB.
const MAX_MESSAGE_BYTES: u32 = 16 << 20;
/// What may come before the server is ready for the next statement: the longest answer names a manifest's new objects.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
/// What settings may be told in the life of a connection: the library keeps them.
const MAX_SETTINGS_BYTES: u64 = 64 << 20;
/// What the smallest message costs to keep, about.
const MESSAGE_COSTS: u64 = 256;

/// Why a server is not listened to any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::warehouse) enum Refusal {
    #[error("it asks for the password in clear over a connection that is not encrypted")]
    PasswordInClear,
    #[error("it sends more than any statement can be answered with")]
    TooMuch,
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub(super) struct Seen {
    encrypted: AtomicBool,
    moves: AtomicU64,
}

impl Seen {
    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted.load(Relaxed)
    }

    /// Rises whenever bytes move, either way.
    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Relaxed)
    }
}

/// A stream whose server is watched.
pub(super) struct Guarded<S> {
    inner: S,
    watch: Watch,
    seen: Arc<Seen>,
}

impl<S> Guarded<S> {
    /// A stream on which TLS may still begin, if it is `asked_for_tls`.
    pub(super) fn in_clear(
        inner: S,
        asked_for_tls: bool,
        password_may_be_seen: bool,
        seen: Arc<Seen>,
    ) -> Self {
        Guarded {
            inner,
            watch: Watch::new(asked_for_tls, password_may_be_seen),
            seen,
        }
    }
}

/// Begins TLS on a stream, which is watched inside it from then on.
pub(super) struct Within<T>(pub(super) T);

impl<S, T> TlsConnect<Guarded<S>> for Within<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = Guarded<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, T::Error>> + Send>>;

    fn connect(self, stream: Guarded<S>) -> Self::Future {
        let seen = stream.seen;
        let handshake = self.0.connect(stream.inner);
        Box::pin(async move {
            let inner = handshake.await?;
            seen.encrypted.store(true, Relaxed);
            let watch = Watch::new(false, true);
            Ok(Guarded { inner, watch, seen })
        })
    }
}

impl<S: TlsStream> TlsStream for Guarded<S>
where
    Self: AsyncRead + AsyncWrite,
{
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let known = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let new = buf.filled().get(known..).unwrap_or_default();
        if !new.is_empty() {
            self.seen.moves.fetch_add(1, Relaxed);
        }
        Poll::Ready(self.watch.look(new).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes));
        self.seen.moves.fetch_add(1, Relaxed);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Follows a server's messages: a tag, four bytes of length that count themselves, and a body.
#[derive(Debug)]
struct Watch {
    /// One byte without a frame comes first: whether there will be TLS.
    tls_is_answered_first: bool,
    password_may_be_seen: bool,
    /// What is known of the next message's beginning.
    head: Vec<u8>,
    /// Bytes of the present message to come.
    left: u32,
    kept: Kept,
}

/// What the client library keeps.
#[derive(Debug, Default)]
struct Kept {
    /// The server has been ready for a statement.
    ready: bool,
    answer: u64,
    settings: u64,
}

/// Tag and length.
const HEAD_BYTES: usize = 5;
/// With the kind of an authentication request.
const REQUEST_BYTES: usize = 9;
/// That kind, for the password itself.
const CLEARTEXT_PASSWORD: [u8; 4] = [0, 0, 0, 3];

impl Watch {
    fn new(tls_is_answered_first: bool, password_may_be_seen: bool) -> Self {
        Watch {
            tls_is_answered_first,
            password_may_be_seen,
            head: Vec::with_capacity(REQUEST_BYTES),
            left: 0,
            kept: Kept::default(),
        }
    }

    /// Looks at the next bytes; whether the client may see them.
    fn look(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = bytes.len().min(self.left as usize);
                self.left -= skipped as u32;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            if std::mem::take(&mut self.tls_is_answered_first) {
                continue;
            }
            self.head.push(*first);
            self.begun()?;
        }
        Ok(())
    }

    /// Judges a message by its beginning, once there is enough of that.
    fn begun(&mut self) -> Result<(), Refusal> {
        let Some((&[tag, a, b, c, d], kind)) = self.head.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(());
        };
        // A length that does not count itself is the library's to refuse.
        let body = u32::from_be_bytes([a, b, c, d]).saturating_sub(4);
        if kind.is_empty() {
            self.kept.add(tag, body)?;
        }
        let is_request = tag == b'R' && body >= 4;
        if is_request && kind.len() < REQUEST_BYTES - HEAD_BYTES {
            return Ok(());
        }
        if is_request && kind == CLEARTEXT_PASSWORD && !self.password_may_be_seen {
            return Err(Refusal::PasswordInClear);
        }
        self.left = body.saturating_sub(kind.len() as u32);
        self.head.clear();
        Ok(())
    }
}

impl Kept {
    fn add(&mut self, tag: u8, body: u32) -> Result<(), Refusal> {
        let cost = u64::from(body).max(MESSAGE_COSTS);
        match tag {
            b'Z' => {
                self.ready = true;
                self.answer = 0;
            }
            b'S' => self.settings += cost,
            // Notices, which nobody keeps: a trigger may have one for each row.
            b'N' | b'A' if self.ready => {}
            _ => self.answer += cost,
        }
        let too_much = body > MAX_MESSAGE_BYTES
            || self.answer > MAX_ANSWER_BYTES
            || self.settings > MAX_SETTINGS_BYTES;
        match too_much {
            true => Err(Refusal::TooMuch),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() + 4) as u32;
        [&[tag], &length.to_be_bytes()[..], body].concat()
    }

    /// What comes of `bytes`, told in pieces.
    fn look(mut watch: Watch, bytes: &[u8], piece: usize) -> Result<(), Refusal> {
        bytes.chunks(piece).try_for_each(|piece| watch.look(piece))
    }

    fn asking(kind: u8) -> Vec<u8> {
        message(b'R', &[0, 0, 0, kind])
    }

    #[test]
    fn a_password_is_not_seen_however_the_question_is_cut() {
        let mut bytes = message(b'N', b"hello");
        bytes.extend(asking(3));
        let refused = Err(Refusal::PasswordInClear);
        for piece in 1..=bytes.len() {
            assert_eq!(look(Watch::new(false, false), &bytes, piece), refused);
            assert_eq!(look(Watch::new(false, true), &bytes, piece), Ok(()));
        }
        let answered = [b"N", &bytes[..]].concat();
        assert_eq!(look(Watch::new(true, false), &answered, 1), refused);
        // MD5, which has a salt, and SASL.
        for digest in [
            message(b'R', &[0, 0, 0, 5, 0, 0, 0, 3]),
            message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"),
        ] {
            assert_eq!(look(Watch::new(false, false), &digest, 3), Ok(()));
        }
    }

    #[test]
    fn what_the_client_would_keep_has_limits() {
        let judged = |message: &[u8], times: u64| {
            let mut watch = Watch::new(false, true);
            watch.look(&message_of_ready()).unwrap();
            (0..times).try_for_each(|_| watch.look(message))
        };
        let huge = [b'E', 0x7f, 0xff, 0xff, 0xff];
        assert_eq!(judged(&huge, 1), Err(Refusal::TooMuch));
        let many = MAX_ANSWER_BYTES / MESSAGE_COSTS;
        for tag in [b'D', b'C', b'S', b'T'] {
            assert_eq!(judged(&message(tag, b""), many), Ok(()));
            assert_eq!(judged(&message(tag, b""), many + 1), Err(Refusal::TooMuch));
        }
        // As many answers as there are statements, and as many notices as anybody likes, but not before the beginning.
        let answer = [message(b'D', &[0; 1 << 20]), message_of_ready()].concat();
        assert_eq!(judged(&answer, 100), Ok(()));
        assert_eq!(judged(&message(b'N', b""), many * 2), Ok(()));
        let mut watch = Watch::new(false, true);
        let notices = (0..=many).try_for_each(|_| watch.look(&message(b'N', b"")));
        assert_eq!(notices, Err(Refusal::TooMuch));
    }

    fn message_of_ready() -> Vec<u8> {
        message(b'Z', b"I")
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..9) {
            let whole = look(Watch::new(false, false), &bytes, 1000);
            prop_assert_eq!(whole, look(Watch::new(false, false), &bytes, piece));
        }
    }
}

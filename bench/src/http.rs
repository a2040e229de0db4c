//! Just enough of HTTP/1.1 to ask a node something at next to no cost: `Content-Length` bodies, keep-alive.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result, bail, ensure};

/// Headers that an answer may have.
const HEADERS: usize = 64;

/// Where an answer's body is, and what its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// E.g. 200.
    pub(crate) status: u16,
    /// Bytes up to the body.
    pub(crate) head: usize,
    /// Bytes of the body.
    pub(crate) body: usize,
}

impl Head {
    /// Bytes of the whole answer.
    pub(crate) fn total(&self) -> usize {
        self.head + self.body
    }
}

/// The head that `bytes` begin with; `None` while it is incomplete.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(head) => head,
    };
    let status = response.code.context("an answer without a status")?;
    ensure!(
        value(response.headers, "transfer-encoding").is_none(),
        "an answer in chunks"
    );
    let body = value(response.headers, "content-length")
        .map_or(Ok(0), str::parse)
        .context("content-length")?;
    Ok(Some(Head { status, head, body }))
}

/// The value of the header `name`, in whatever case it is written.
pub(crate) fn value<'h>(headers: &[httparse::Header<'h>], name: &str) -> Option<&'h str> {
    let header = headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok()
}

/// One request on a connection of its own, blocking: the answer's status and body.
pub(crate) fn ask(address: &str, head_and_body: &[u8]) -> Result<(u16, String)> {
    let mut socket =
        TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    socket.set_nodelay(true)?;
    socket.write_all(head_and_body)?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        if let Some(head) = head(&answer)?
            && answer.len() >= head.total()
        {
            let body = String::from_utf8_lossy(&answer[head.head..head.total()]);
            return Ok((head.status, body.into_owned()));
        }
        match socket.read(&mut piece)? {
            0 => bail!("{address} closed the connection before its answer was complete"),
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx: y\r\n\r\nabcHTTP/1.1 503";
        for cut in 0..43 {
            assert_eq!(head(&answer[..cut]).unwrap(), None, "{cut}");
        }
        let read = head(answer).unwrap().unwrap();
        assert_eq!((read.status, read.body), (200, 3));
        assert_eq!(&answer[read.head..read.total()], b"abc");
    }

    #[test]
    fn no_length_is_no_body_and_chunks_are_refused() {
        let read = head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((read.status, read.body), (204, 0));
        assert!(head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}

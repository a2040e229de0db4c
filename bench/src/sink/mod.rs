//! An S3 endpoint that costs next to nothing: it checks no signature and keeps what it is given in memory.
//!
//! A thread for each connection; single puts, multipart uploads, HEAD and GET, path style.

mod request;

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, ensure};

use self::request::{Asked, asked};
use crate::http::value;

/// Longest head of a request, bytes.
const HEAD_BYTES: usize = 64 << 10;

/// An object: its parts, in order.
pub(crate) type Object = Vec<Arc<Vec<u8>>>;

/// What came of an upload so far, by part number.
type Parts = BTreeMap<u32, Arc<Vec<u8>>>;

/// A running sink; it ends with the process.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    store: Arc<Store>,
}

#[derive(Debug, Default)]
struct Store {
    next: AtomicU64,
    objects: Mutex<BTreeMap<String, Object>>,
    uploads: Mutex<HashMap<u64, Parts>>,
}

impl Sink {
    /// Listens on `address`; port 0 takes a free one.
    pub(crate) fn start(address: &str) -> Result<Sink> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let store = Arc::<Store>::default();
        let sink = Sink {
            address,
            store: store.clone(),
        };
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let store = store.clone();
                thread::spawn(move || serve(&store, socket));
            }
        });
        Ok(sink)
    }

    /// `http://HOST:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Takes all objects out.
    pub(crate) fn take(&self) -> Vec<Object> {
        std::mem::take(&mut *locked(&self.store.objects))
            .into_values()
            .collect()
    }
}

/// Serves one connection until its client goes.
fn serve(store: &Store, socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut writer = socket.try_clone()?;
    let mut reader = BufReader::with_capacity(64 << 10, socket);
    let mut head = Vec::new();
    while read_head(&mut reader, &mut head)? {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(&head)?;
        let what = asked(
            request.method.unwrap_or_default(),
            request.path.unwrap_or_default(),
        );
        let length = value(request.headers, "content-length").map_or(Ok(0), str::parse)?;
        if value(request.headers, "expect").is_some() {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = Vec::with_capacity(length);
        (&mut reader).take(length as u64).read_to_end(&mut body)?;
        ensure!(body.len() == length, "a body ended early");
        let answer = store.answer(what, Arc::new(body));
        writer.write_all(&answer)?;
    }
    Ok(())
}

/// Reads a head, its empty line included; false at the connection's end.
fn read_head(reader: &mut impl BufRead, head: &mut Vec<u8>) -> Result<bool> {
    head.clear();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < HEAD_BYTES, "a head is too long");
        if reader.read_until(b'\n', head)? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Store {
    fn answer(&self, asked: Asked, body: Arc<Vec<u8>>) -> Vec<u8> {
        let etag = |number: u64| format!("\"{number:032x}\"");
        let next = || self.next.fetch_add(1, Ordering::Relaxed);
        match asked {
            Asked::Put(key) => {
                locked(&self.objects).insert(key, vec![body]);
                answer("200 OK", &etag(next()), "")
            }
            Asked::Begin(_) => {
                let id = next();
                locked(&self.uploads).insert(id, Parts::new());
                let text = format!(
                    "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                answer("200 OK", &etag(id), &text)
            }
            Asked::Part { id, number } => match locked(&self.uploads).get_mut(&id) {
                None => missing("NoSuchUpload"),
                Some(parts) => {
                    parts.insert(number, body);
                    answer("200 OK", &etag(next()), "")
                }
            },
            Asked::Complete { id, key } => match locked(&self.uploads).remove(&id) {
                None => missing("NoSuchUpload"),
                Some(parts) => {
                    locked(&self.objects).insert(key, parts.into_values().collect());
                    let etag = etag(next());
                    let text = format!(
                        "<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
                    );
                    answer("200 OK", &etag, &text)
                }
            },
            Asked::Abort(id) => {
                locked(&self.uploads).remove(&id);
                answer("204 No Content", &etag(id), "")
            }
            Asked::Head(key) => match locked(&self.objects).get(&key) {
                None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
                Some(object) => found(object),
            },
            Asked::Get(key) => match locked(&self.objects).get(&key) {
                None => missing("NoSuchKey"),
                Some(object) => {
                    let mut answer = found(object);
                    object
                        .iter()
                        .for_each(|part| answer.extend_from_slice(part));
                    answer
                }
            },
            Asked::Other => answer(
                "501 Not Implemented",
                &etag(0),
                "<Error><Code>NotImplemented</Code></Error>",
            ),
        }
    }
}

fn answer(status: &str, etag: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nETag: {etag}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn found(object: &Object) -> Vec<u8> {
    let length: usize = object.iter().map(|part| part.len()).sum();
    format!(
        "HTTP/1.1 200 OK\r\nETag: \"0\"\r\nLast-Modified: Wed, 07 Oct 2015 12:00:00 GMT\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

fn missing(code: &str) -> Vec<u8> {
    answer(
        "404 Not Found",
        "\"0\"",
        &format!("<Error><Code>{code}</Code><Message/></Error>"),
    )
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ask;

    fn request(sink: &Sink, method: &str, target: &str, body: &str) -> (u16, String) {
        let text = format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        ask(&sink.address(), text.as_bytes()).unwrap()
    }

    #[test]
    fn it_keeps_objects_and_uploads_in_parts() {
        let sink = Sink::start("127.0.0.1:0").unwrap();
        assert_eq!(request(&sink, "HEAD", "/b/none", "").0, 404);
        assert_eq!(request(&sink, "PUT", "/b/one", "abc").0, 200);
        let (_, begun) = request(&sink, "POST", "/b/two?uploads", "");
        let id = begun
            .split(['<', '>'])
            .skip_while(|s| *s != "UploadId")
            .nth(1)
            .unwrap();
        for (number, text) in [(2, "world"), (1, "hello ")] {
            let target = format!("/b/two?partNumber={number}&uploadId={id}");
            assert_eq!(request(&sink, "PUT", &target, text).0, 200);
        }
        let (status, text) = request(&sink, "POST", &format!("/b/two?uploadId={id}"), "<x/>");
        assert!(status == 200 && text.contains("CompleteMultipartUploadResult"));
        assert_eq!(request(&sink, "GET", "/b/two", "").1, "hello world");
        assert_eq!(
            request(&sink, "POST", &format!("/b/two?uploadId={id}"), "").0,
            404
        );
        assert_eq!(sink.take().len(), 2);
        assert!(sink.take().is_empty());
    }
}

//! What the network alone takes, on the loopback interface.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{median, timed};
use crate::load::body::Body;

/// What a server reads at once.
const WINDOW: usize = 256 << 10;

/// CPU seconds that a thread spends to receive `bodies`, over and over until they are `amount` bytes.
pub(super) fn receive(bodies: &[Body], amount: usize) -> Result<f64> {
    let (mut from, mut to) = pair()?;
    let receiving = thread::spawn(move || -> Result<(f64, usize)> {
        let (mut spent, mut received, mut window) = (0.0, 0, vec![0; WINDOW]);
        timed(&mut spent, || {
            loop {
                match from.read(&mut window)? {
                    0 => return Ok(()),
                    read => received += read,
                }
            }
        })?;
        Ok((spent, received))
    });
    let mut sent = 0;
    for body in bodies.iter().cycle() {
        to.write_all(&body.text)?;
        sent += body.text.len();
        if sent >= amount {
            break;
        }
    }
    to.shutdown(Shutdown::Write)?;
    let (spent, received) = joined(receiving)?;
    ensure!(received == sent, "{received} of {sent} bytes were received");
    Ok(spent)
}

/// Seconds from a request of `there` bytes to its answer of `back` bytes, at the median of `count`, each in one piece and
/// both threads asleep in between.
pub(super) fn round_trip(there: usize, back: usize, count: usize) -> Result<f64> {
    let (mut server, mut client) = pair()?;
    let answering = thread::spawn(move || -> Result<()> {
        let (mut request, answer) = (vec![0; there], vec![b'a'; back]);
        // The client has gone: it has measured enough.
        while server.read_exact(&mut request).is_ok() {
            server.write_all(&answer)?;
        }
        Ok(())
    });
    let (request, mut answer) = (vec![b'r'; there], vec![0; back]);
    let time = median(count, |_| {
        client.write_all(&request)?;
        Ok(client.read_exact(&mut answer)?)
    })?;
    drop(client);
    joined(answering)?;
    Ok(time)
}

/// Seconds for a thread to wake another one and be woken by it, at the median of `count`.
pub(super) fn hand_over(count: usize) -> Result<f64> {
    let (there, asked) = mpsc::channel::<()>();
    let (answer, back) = mpsc::channel::<()>();
    let answering = thread::spawn(move || -> Result<()> {
        while asked.recv().is_ok() {
            answer.send(())?;
        }
        Ok(())
    });
    let time = median(count, |_| {
        there.send(())?;
        Ok(back.recv()?)
    })?;
    drop(there);
    joined(answering)?;
    Ok(time)
}

fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = TcpStream::connect(listener.local_addr()?)?;
    let (from, _) = listener.accept()?;
    for socket in [&from, &to] {
        socket.set_nodelay(true)?;
    }
    Ok((from, to))
}

fn joined<T>(thread: thread::JoinHandle<Result<T>>) -> Result<T> {
    let done = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
    done.context("on the other side")
}

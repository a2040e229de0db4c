//! TCP, tuned for connections on which hours may pass without a byte.

use std::{io, time::Duration};

use hydrant_engine::Clock;
use rustix::net::sockopt;
use tokio::net::{TcpStream, lookup_host};

/// Longest wait for one of a host's addresses.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle for so long, the connection is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Probes without an answer that end the connection.
const KEEPALIVE_RETRIES: u32 = 4;
/// Sent data that nobody acknowledges for so long ends the connection.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(120);

/// A connection to the first of the host's addresses that takes one.
pub(super) async fn dial(clock: &dyn Clock, host: &str, port: u16) -> io::Result<TcpStream> {
    let mut refusal = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((host, port)).await? {
        let connected = tokio::select! {
            connected = TcpStream::connect(address) => connected,
            () = clock.sleep(ADDRESS_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
        };
        match connected.and_then(|socket| tuned(&socket).map(|()| socket)) {
            Ok(socket) => return Ok(socket),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn tuned(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_RETRIES)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(socket, USER_TIMEOUT.as_millis() as u32)?;
    Ok(())
}

//! Free ports on the loopback interface.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The ports of one server. They stay the same over its restarts, so that clients find it again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// gRPC, what clients and workers speak.
    pub(crate) grpc: u16,
    /// The HTTP API of the frontend.
    pub(crate) http: u16,
    /// Prometheus metrics of the server.
    pub(crate) metrics: u16,
    /// The Web UI.
    pub(crate) ui: u16,
}

impl Ports {
    /// Four different ports that were free a moment ago. All listeners are open at once, so that
    /// the system cannot give the same port twice; between their closing and the server's opening
    /// another program can take one, which is why a start is repeated with others.
    pub(crate) fn free() -> io::Result<Self> {
        let listeners: [TcpListener; 4] = [listen()?, listen()?, listen()?, listen()?];
        let [grpc, http, metrics, ui] = &listeners;
        Ok(Self { grpc: port(grpc)?, http: port(http)?, metrics: port(metrics)?, ui: port(ui)? })
    }
}

fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn port(listener: &TcpListener) -> io::Result<u16> {
    Ok(listener.local_addr()?.port())
}

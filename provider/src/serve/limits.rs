//! What one client, and all of them together, can take of the server.

use std::time::Duration;

/// Bounds of the server. [`Limits::default`] says what each is in the binary, and why.
#[derive(Debug, Clone)]
pub struct Limits {
    /// TLS handshakes under way; one more ends the oldest.
    pub handshakes: usize,
    /// Time for a handshake.
    pub handshake_time: Duration,
    /// Connections past their handshake; one more closes the one that is idle for the longest.
    pub connections: usize,
    /// Time after which a connection is closed once its requests have ended, a tenth more or less.
    pub age: Duration,
    /// Time without a request after which a connection is closed.
    pub idle: Duration,
    /// How long a client may take to notice that a connection is being closed.
    pub linger: Duration,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// Streams that a client has reset and the server has not seen yet; more end the connection.
    pub pending_resets: usize,
    /// Streams that the server itself may reset because of a client's errors.
    pub error_resets: usize,
    /// Time without a frame after which the other end is asked whether it is there (HTTP/2).
    pub ping: Duration,
    /// Time for the answer to that.
    pub ping_time: Duration,
    /// Request line and headers, in bytes.
    pub header_bytes: u32,
    /// Headers of an HTTP/1.1 request.
    pub headers: usize,
    /// Time for a whole head of a request (HTTP/1.1), and between two requests.
    pub header_time: Duration,
    /// A body that a request announces, in bytes. None is read.
    pub body_bytes: u64,
    /// Requests at a time, over all connections.
    pub requests: usize,
    /// Time for a request.
    pub request_time: Duration,
    /// Time for the requests under way when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    /// Those marked with a star are the ones of Go's API servers (`k8s.io/apiserver/pkg/server`).
    fn default() -> Self {
        Self {
            // With what the rest of the process has open, below the usual 1,024 files. A real
            // cluster has a connection or two for each kube-apiserver, probe and scraper.
            handshakes: 256,
            handshake_time: Duration::from_secs(10),
            connections: 512,
            age: Duration::from_secs(300),
            idle: Duration::from_secs(90), // *
            linger: Duration::from_secs(5),
            streams: 100, // *
            pending_resets: 20,
            error_resets: 100,
            ping: Duration::from_secs(30),
            ping_time: Duration::from_secs(15),
            // The longest path and query that the `http` crate takes has 64 KiB; as much again for
            // the headers. A 1 MiB as in Go would let 512 connections take half a gigabyte.
            header_bytes: 128 << 10,
            // One for each group of the user and for each value of its extras.
            headers: 500,
            header_time: Duration::from_secs(32), // *
            body_bytes: 64 << 10,
            requests: 400,                         // *
            request_time: Duration::from_secs(60), // *
            drain: Duration::from_secs(10),
        }
    }
}

//! Stands between a provider and its server and counts what is asked.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What each request's first line ends with, and no body of ours contains.
const MARK: &[u8] = b" HTTP/1.1\r\n";
const BUFFER_BYTES: usize = 64 * 1024;

/// Forwards connections for as long as the bench runs.
pub struct Counter {
    endpoint: String,
    requests: Arc<AtomicU64>,
}

impl Counter {
    /// Forwards to the server at `target`, an address with a port.
    pub fn before(target: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        let target = target.to_owned();
        // Ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (counted, target) = (Arc::clone(&counted), target.clone());
                // A connection that fails is the provider's to report.
                thread::spawn(move || forward(client, &target, &counted));
            }
        });
        Ok(Self { endpoint, requests })
    }

    /// Where to ask instead.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many requests have passed so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn forward(mut client: TcpStream, target: &str, counted: &AtomicU64) -> io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        // Either end may close first; both directions end then.
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut tail = Vec::new();
    loop {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return server.shutdown(Shutdown::Write);
        }
        // A mark may lie across two reads.
        tail.extend_from_slice(&buffer[..read]);
        let marks = tail.windows(MARK.len()).filter(|window| *window == MARK);
        counted.fetch_add(marks.count() as u64, Ordering::SeqCst);
        let kept = tail.len().saturating_sub(MARK.len() - 1);
        tail.drain(..kept);
        server.write_all(&buffer[..read])?;
    }
}

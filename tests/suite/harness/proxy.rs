//! Stands between a client and berthd, and does at any request what a test wants.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::http::{self, Message};

/// When the test is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The request has come and berthd has not seen it.
    Before,
    /// berthd has answered and the client has not seen it.
    After,
}

/// What happens then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes its way.
    Pass,
    /// The connection ends.
    Cut,
    /// The client gets this answer instead: status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
}

type Judge = dyn Fn(usize, Moment, &str) -> Verdict + Send + Sync;

/// A running proxy. Ends its listening with the test's process.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    judge: Box<Judge>,
    count: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

impl Proxy {
    /// Stands before `upstream`. `judge` is told the number of the request, counted from one,
    /// the moment, and the request as `METHOD /path`.
    pub fn start(
        upstream: &str,
        judge: impl Fn(usize, Moment, &str) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            judge: Box::new(judge),
            count: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.relay(stream));
            }
        });
        Self { address, shared }
    }

    /// The proxy's URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, as `METHOD /path`.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn relay(&self, mut client: TcpStream) {
        // Either side may end at any time; that is what the proxy is for.
        let _ = self.relay_all(&mut client);
        let _ = client.shutdown(Shutdown::Both);
    }

    fn relay_all(&self, client: &mut TcpStream) -> std::io::Result<()> {
        let mut upstream = TcpStream::connect(&self.upstream)?;
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        while let Some(request) = http::read(client, &mut asked)? {
            let mut words = request.first_line.split(' ');
            let name = format!(
                "{} {}",
                words.next().unwrap_or_default(),
                words.next().unwrap_or_default()
            );
            let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
            self.seen.lock().unwrap().push(name.clone());
            match (self.judge)(number, Moment::Before, &name) {
                Verdict::Pass => {}
                Verdict::Cut => return Ok(()),
                Verdict::Answer(status, headers, body) => {
                    client.write_all(&answer(status, &headers, &body))?;
                    continue;
                }
            }
            upstream.write_all(&request.bytes)?;
            let Some(Message { bytes, .. }) = http::read(&mut upstream, &mut answered)? else {
                return Ok(());
            };
            match (self.judge)(number, Moment::After, &name) {
                Verdict::Pass => client.write_all(&bytes)?,
                Verdict::Cut => return Ok(()),
                Verdict::Answer(status, headers, body) => {
                    client.write_all(&answer(status, &headers, &body))?;
                }
            }
        }
        Ok(())
    }
}

fn answer(status: u16, headers: &[(String, String)], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{head}\r\n{body}").into_bytes()
}

//! A reverse proxy such as an operator has: it says for whom it asks, and hands on what is
//! answered as it comes.

use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};

use super::http;

/// A running reverse proxy. Ends its listening with the test's process.
pub struct Front {
    address: String,
}

impl Front {
    /// Stands before `upstream`, and names `client` as the address that it asks for.
    pub fn start(upstream: &str, client: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (upstream, client) = (upstream.to_owned(), client.to_owned());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (upstream, client) = (upstream.clone(), client.clone());
                std::thread::spawn(move || {
                    // Either side may end at any time.
                    let _ = relay(&mut stream, &upstream, &client);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address }
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// One request a connection, so that the end of the answer is that of the connection, and a
/// stream is an answer like any other.
fn relay(stream: &mut TcpStream, upstream: &str, client: &str) -> std::io::Result<()> {
    let Some(request) = http::read(stream, &mut Vec::new())? else {
        return Ok(());
    };
    let headers_at = request.first_line.len() + "\r\n".len();
    let (first_line, rest) = request.bytes.split_at(headers_at);
    let own = format!("x-forwarded-for: {client}\r\nconnection: close\r\n");
    let mut upstream = TcpStream::connect(upstream)?;
    upstream.write_all(&[first_line, own.as_bytes(), rest].concat())?;
    std::io::copy(&mut upstream, stream)?;
    Ok(())
}

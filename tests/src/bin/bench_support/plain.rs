//! As little HTTP as measures a server rather than its client.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What threads hand on, too.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A server, and what each request to it says beside its path.
#[derive(Clone)]
pub struct Target {
    /// Host and port.
    pub address: String,
    /// Lines of headers, each with its end.
    pub headers: String,
}

impl Target {
    /// A connection of its own.
    pub fn connect(&self) -> Outcome<Connection> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Connection {
            reader: BufReader::with_capacity(256 * 1024, stream),
            target: self.clone(),
        })
    }
}

/// As little HTTP as measures a server rather than a client.
pub struct Connection {
    reader: BufReader<TcpStream>,
    target: Target,
}

impl Connection {
    /// The body of what answers a GET.
    pub fn get(&mut self, path: &str) -> Outcome<Vec<u8>> {
        self.ask("GET", path, "")
    }

    /// The body of an answer; any but a success is an error.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Outcome<Vec<u8>> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\n{}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.target.headers,
            body.len()
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.clone();
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.reader.read_exact(&mut answer)?;
        if !status.starts_with("HTTP/1.1 2") {
            let text = String::from_utf8_lossy(&answer);
            return Err(format!("{method} {path}: {} {text}", status.trim()).into());
        }
        Ok(answer)
    }
}

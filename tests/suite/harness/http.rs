//! As much HTTP as the harness needs, without a client that could repair anything.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value as Json;

/// How long one answer may take.
const ANSWER_SECONDS_MAX: u64 = 60;

/// A request or an answer.
#[derive(Debug, Clone)]
pub struct Message {
    /// `GET /v1/version HTTP/1.1`, or `HTTP/1.1 200 OK`.
    pub first_line: String,
    /// The body.
    pub body: Vec<u8>,
    /// All of it, as it came.
    pub bytes: Vec<u8>,
}

/// Reads one message; none when the other side is done. What follows it stays in `buffer`.
pub fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Message>> {
    let mut chunk = [0_u8; 16_384];
    let mut more = |buffer: &mut Vec<u8>| -> std::io::Result<bool> {
        let count = stream.read(&mut chunk)?;
        buffer.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    };
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if !more(buffer)? {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let first_line = lines.next().unwrap_or_default().to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0_usize);
    while buffer.len() < head_end + length {
        if !more(buffer)? {
            return Ok(None);
        }
    }
    let bytes: Vec<u8> = buffer.drain(..head_end + length).collect();
    Ok(Some(Message {
        first_line,
        body: bytes[head_end..].to_vec(),
        bytes,
    }))
}

/// Sends one request and reads the answer: its status and its body.
pub fn call(
    address: &str,
    token: Option<&str>,
    method: &str,
    path: &str,
    body: Option<&Json>,
) -> std::io::Result<(u16, Json)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(ANSWER_SECONDS_MAX)))?;
    let body = body.map(Json::to_string).unwrap_or_default();
    let authorization = token
        .map(|token| format!("authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let answer = read(&mut stream, &mut Vec::new())?
        .ok_or_else(|| std::io::Error::other("the connection ended before the answer"))?;
    let status = answer.first_line.split(' ').nth(1);
    let status = status.and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = serde_json::from_slice(&answer.body).unwrap_or(Json::Null);
    Ok((status, body))
}

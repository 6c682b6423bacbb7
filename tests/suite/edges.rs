//! What a real berthd does with clients that nobody would want, and how it is reached over TLS.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, Client};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Docker, Runtime, Stack, TestBerth, not_run, processes, program};

/// How long a client waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory that berthd may take with nothing to do, however it is treated.
const RESIDENT_KIB_MAX: u64 = 300 * 1024;
/// Processes that hold connections, and how many each of them: as many as any may have open.
const HOLDERS: usize = 10;
const HELD_BY_ONE: usize = 1_000;
/// Clients that ask for six megabytes and leave them, more than fit into that memory.
const UNREAD_LARGE: usize = 64;
/// Clients that ask for some hundred kilobytes and leave them.
const UNREAD_MIDDLING: usize = 200;

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

fn connected(berth: &TestBerth) -> TcpStream {
    let stream = TcpStream::connect(berth.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the connection ends. A reset is an end too.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ended = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn head(berth: &TestBerth, more: &str) -> String {
    format!(
        "POST /v1/projects HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\n{more}\r\n",
        berth.address(),
        berth.token()
    )
}

/// A process that holds connections: this one has files to open too.
struct Holder(Child);

impl Holder {
    /// Begins to open them.
    fn start(berth: &TestBerth) -> Option<Self> {
        let (host, port) = berth.address().rsplit_once(':').unwrap();
        let script = format!(
            "import socket, sys\n\
             held = [socket.create_connection(({host:?}, {port})) for _ in range({HELD_BY_ONE})]\n\
             print(len(held), flush=True)\n\
             sys.stdin.read()\n"
        );
        let process = Command::new("python3")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        match process {
            Ok(process) => Some(Self(process)),
            Err(error) => {
                not_run(&format!(
                    "python3, which holds connections, is not to be run: {error}"
                ));
                None
            }
        }
    }

    /// How many it says that it holds.
    fn held(&mut self) -> String {
        let mut line = String::new();
        let mut told = BufReader::new(self.0.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        processes::end(&mut self.0);
    }
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let holders: Option<Vec<_>> = (0..HOLDERS).map(|_| Holder::start(&berth)).collect();
    let Some(mut holders) = holders else {
        return;
    };
    for holder in &mut holders {
        assert_eq!(holder.held(), HELD_BY_ONE.to_string());
    }
    for _ in 0..20 {
        let (status, _) = berth.call("GET", "/v1/databases", None);
        assert_eq!(status, 200);
    }
    let resident = resident_kib(berth.process());
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB");
    let files = std::fs::read_dir(format!("/proc/{}/fd", berth.process()));
    let files = files.unwrap().count();
    assert!(files < 5_000, "{files} open files");
}

#[test]
fn a_body_of_a_hundred_megabytes_is_not_taken() {
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    // Told beforehand, it is refused before a byte of it was sent.
    let mut stream = connected(&berth);
    let told = head(&berth, "content-length: 104857600\r\n");
    stream.write_all(told.as_bytes()).unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("body_too_large"), "{answer}");

    // Sent in pieces, it is cut off on the way.
    let mut stream = connected(&berth);
    let pieces = head(&berth, "transfer-encoding: chunked\r\n");
    stream.write_all(pieces.as_bytes()).unwrap();
    let piece = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 1_600 && stream.write_all(&piece).is_ok() {
        sent += 1;
    }
    assert!(sent < 1_600, "all of it was taken");
    let resident = resident_kib(berth.process());
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB");
    berth.get("/v1/projects");
}

/// A project whose environment is six megabytes of JSON: each character of it takes six.
fn with_large_environment(berth: &TestBerth) {
    let shop = json!({"name": "shop"});
    assert_eq!(berth.call("POST", "/v1/projects", Some(&shop)).0, 201);
    let value = json!({"value": "\u{1}".repeat(40_000)});
    for number in 0..24 {
        let path = format!("/v1/projects/shop/env/LARGE_{number}");
        assert_eq!(berth.call("PUT", &path, Some(&value)).0, 201);
    }
}

/// A client that has seen no more of its answer than the status.
fn asked_and_left(berth: &TestBerth, path: &str) -> (TcpStream, String) {
    let mut stream = connected(berth);
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        berth.address(),
        berth.token()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).unwrap();
    (stream, String::from_utf8_lossy(&begin[9..]).into_owned())
}

#[test]
fn answers_that_nobody_reads_do_not_pile_up() {
    const ENVIRONMENT: &str = "/v1/projects/shop/env";
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    with_large_environment(&berth);
    let (mut held, mut statuses) = (Vec::new(), BTreeMap::<_, usize>::new());
    let paths = [
        (ENVIRONMENT, UNREAD_LARGE),
        ("/openapi.json", UNREAD_MIDDLING),
    ];
    for path in paths.iter().flat_map(|(path, many)| vec![path; *many]) {
        let (stream, status) = asked_and_left(&berth, path);
        held.push(stream);
        *statuses.entry((*path, status)).or_default() += 1;
    }
    let resident = resident_kib(berth.process());
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB, {statuses:?}");
    for status in ["200", "429"] {
        let told = statuses.get(&(ENVIRONMENT, status.to_owned()));
        assert!(told.is_some(), "{statuses:?}");
    }
    berth.get("/v1/projects");
    // Whoever goes leaves room for others.
    drop(held);
    let patience = Instant::now() + PATIENCE;
    while asked_and_left(&berth, ENVIRONMENT).1 != "200" {
        assert!(Instant::now() < patience, "there is still no room");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_body_that_trickles_and_a_flood_of_headers_end() {
    let Some(berth) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let mut flood = connected(&berth);
    let many: String = (0..5_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let _cut_off = flood.write_all(head(&berth, &many).as_bytes());
    let answer = rest(flood);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    // One byte a second is steady, and still no reason to wait for a thousand.
    let mut slow = connected(&berth);
    let told = head(&berth, "content-length: 1000\r\n");
    slow.write_all(told.as_bytes()).unwrap();
    let mut writing = slow.try_clone().unwrap();
    let trickle = std::thread::spawn(move || {
        for _ in 0..120 {
            if writing.write_all(b" ").is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        false
    });
    let answer = rest(slow);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_timeout"), "{answer}");
    assert!(trickle.join().unwrap(), "the connection stayed");
}

/// A berthd that speaks TLS, which the harness does not.
struct Secured {
    folder: TempDir,
    address: String,
    process: Child,
    _told: BufReader<ChildStdout>,
}

impl Secured {
    fn start(arguments: &[&str]) -> Option<Self> {
        let berthd = program("berthd")?;
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let mut process = Command::new(berthd)
            .args(["serve", "--runtime", "fake", "--listen", &address])
            .args(arguments)
            .arg("--data-root")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says so when it listens; nothing, when it ended.
        let mut told = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let secured = Self {
            folder,
            address,
            process,
            _told: told,
        };
        assert!(line.contains(&secured.endpoint()), "it says: {line}");
        Some(secured)
    }

    fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    fn token(&self) -> String {
        let file = self.folder.path().join("admin.token");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        processes::end(&mut self.process);
    }
}

/// The status of an answer to a client that trusts that authority and no other.
fn asked(endpoint: &str, authority: Option<&str>) -> Option<u16> {
    // An error means that another test has set it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let trusted = authority.map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
    let client = Client::builder()
        .tls_certs_only(trusted)
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let url = format!("{endpoint}/v1/version");
    let answer = runtime.block_on(async { client.get(url).send().await });
    answer.ok().map(|answer| answer.status().as_u16())
}

#[test]
fn the_provider_reaches_berthd_over_tls_of_its_own_authority() {
    let Some(berth) = Secured::start(&["--tls", "self"]) else {
        return;
    };
    let told = Command::new(program("berthd").unwrap())
        .args(["ca", "--data-root"])
        .arg(berth.folder.path())
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let authority = String::from_utf8(told.stdout).unwrap();
    assert_eq!(asked(&berth.endpoint(), Some(&authority)), Some(200));
    assert_eq!(asked(&berth.endpoint(), None), None);
    // Plain HTTP is not answered on the same port.
    assert_eq!(asked(&format!("http://{}", berth.address), None), None);

    let Some(other) = TestBerth::start_with(Runtime::Fake, Docker::default(), &[]) else {
        return;
    };
    let Some(stack) = Stack::new(&other) else {
        return;
    };
    let stack = stack.with_token(&berth.token());
    stack.goes_to(berth.endpoint());
    std::fs::write(stack.folder().join("ca.pem"), &authority).unwrap();
    let project = "resource \"berth_project\" \"shop\" {\n  name = \"shop\"\n  deletion_protection = false\n}\n";
    let trusting = "provider \"berth\" {\n  ca_cert_pem = file(\"ca.pem\")\n}\n";
    stack.write(&format!("{trusting}{project}"));
    stack.apply().ok();
    stack.assert_settled();
    // Without the certificate the provider says what is wrong.
    stack.write(project);
    stack.plan().refused();
    stack.write(&format!("{trusting}{project}"));
    stack.destroy().ok();
    assert!(other.projects().is_empty());
}

/// An authority's certificate, and files signed by it in `folder`.
fn written(folder: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap();
    std::fs::write(folder.join("key.pem"), own.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    authority.pem()
}

#[test]
fn a_new_certificate_is_taken_over_at_sighup() {
    let folder = tempfile::tempdir().unwrap();
    let first = written(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let Some(berth) = Secured::start(&["--tls-cert", &cert, "--tls-key", &key]) else {
        return;
    };
    assert_eq!(asked(&berth.endpoint(), Some(&first)), Some(200));
    let second = written(folder.path());
    processes::signal(berth.process.id(), "HUP");
    let patience = Instant::now() + PATIENCE;
    while asked(&berth.endpoint(), Some(&second)) != Some(200) {
        assert!(Instant::now() < patience, "the certificate is the old one");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(asked(&berth.endpoint(), Some(&first)), None);
}

//! Clients of the API's socket: a bounded number of them, none of which keeps its place by
//! silence.

use crate::outgoing::Outgoing;
use crate::places::{Busy, Place, Places};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Version;
use axum::http::header::HOST;
use berth_http::UnclearHost;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Clients that may be connected at once, where the host allows as many open files.
const CONNECTIONS_MAX: usize = 4096;
/// Pause after a connection could not be taken, such as for want of file descriptors.
const ACCEPT_RETRY_MILLIS: u64 = 100;
/// Headers of a request, at most.
const HEADERS_MAX: usize = 100;
/// Bytes that are kept of what a client sends ahead, and of a request's head, at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes that the kernel is asked to hold of what is sent to a client. Left to itself it holds
/// megabytes of each.
const SENT_BYTES_MAX: usize = 256 * 1024;
/// How long a client may leave what it was sent unread.
const UNREAD_MILLIS_MAX: u32 = 120_000;

/// How many clients may be connected: each takes a file descriptor, and so do the store and the
/// engines. The soft limit of a login shell is far below what a server may have.
pub fn places_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays where it is");
            limit.current
        }
    };
    // No limit at all is spelt as none.
    let half = files.map_or(usize::MAX, |files| {
        usize::try_from(files / 2).unwrap_or(usize::MAX)
    });
    half.min(CONNECTIONS_MAX)
}

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Clients that are connected at once.
    pub connections_max: usize,
    /// How long a request's head may take to arrive, a TLS handshake to end, and a connection
    /// to lie idle between requests.
    pub patience: Duration,
}

/// Serves HTTP/1.1 until it is told to stop, and then until all that is under way has ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    bounds: Bounds,
    stopping: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.patience)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let places = Arc::new(Places::new(bounds.connections_max));
    let mut connections = JoinSet::new();
    let mut end = pin!(stopped(stopping.clone()));
    loop {
        let accepted = tokio::select! {
            () = &mut end => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not take a connection");
                tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
                continue;
            }
        };
        let place = tokio::select! {
            () = &mut end => break,
            place = Arc::clone(&places).take() => place,
        };
        let client = Client {
            http: http.clone(),
            router: router.clone(),
            tls: tls.clone(),
            patience: bounds.patience,
            address,
            stopping: stopping.clone(),
        };
        connections.spawn(async move {
            let leave = Arc::clone(&place.leave);
            tokio::select! {
                () = client.serve(stream, Arc::new(place)) => {}
                () = leave.notified() => {}
            }
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when the sender says so or is gone.
pub async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _gone = stopping.wait_for(|stop| *stop).await;
}

/// All that it takes to serve one client.
struct Client {
    http: http1::Builder,
    router: Router,
    tls: Option<TlsAcceptor>,
    patience: Duration,
    address: SocketAddr,
    stopping: watch::Receiver<bool>,
}

impl Client {
    async fn serve(self, stream: TcpStream, place: Arc<Place>) {
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_MILLIS_MAX) {
            tracing::debug!(%error, "a connection has no bound on what its client leaves unread");
        }
        if let Err(error) =
            rustix::net::sockopt::set_socket_send_buffer_size(&stream, SENT_BYTES_MAX)
        {
            tracing::debug!(%error, "a connection has no bound on what is on its way");
        }
        // Answers are written whole; waiting for more to send only delays their last part.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection cannot be made prompt");
        }
        let Some(tls) = self.tls.clone() else {
            return self.serve_http(stream, place).await;
        };
        let address = self.address;
        match tokio::time::timeout(self.patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve_http(stream, place).await,
            Ok(Err(error)) => tracing::debug!(%error, %address, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "a TLS handshake did not end"),
        }
    }

    async fn serve_http<S>(self, stream: S, place: Arc<Place>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = TowerToHyperService::new(self.router);
        let address = self.address;
        let sending = Arc::clone(&place);
        let patience = Duration::from_millis(u64::from(UNREAD_MILLIS_MAX));
        let stream = Outgoing::new(stream, patience, move || sending.all_sent());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            let busy = Busy::at(Arc::clone(&place));
            if !has_one_host(&request) {
                request.extensions_mut().insert(UnclearHost);
            }
            let answering = router.call(request);
            async move {
                let answer = answering.await?;
                // The body goes when its last part is handed on, which is before it is sent.
                Ok::<_, std::convert::Infallible>(answer.map(|body: Body| {
                    body.map_frame(move |frame| {
                        let _held = &busy;
                        frame
                    })
                }))
            }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = stopped(self.stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, %address, "a connection ended early");
        }
    }
}

/// Whether a request says once which host it is for, as HTTP/1.1 wants it.
fn has_one_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    struct Server {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        serving: JoinHandle<()>,
    }

    async fn served(router: Router, bounds: Bounds) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, router, None, bounds, stopping));
        Server {
            address,
            stop,
            serving,
        }
    }

    async fn read(mut stream: TcpStream) -> String {
        let mut text = String::new();
        // A reset is an end too.
        let _ended = stream.read_to_string(&mut text).await;
        text
    }

    async fn asked(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn a_silent_client_loses_its_place_and_others_are_served_to_the_end() {
        let who = |ConnectInfo(client): ConnectInfo<SocketAddr>| async move { client.to_string() };
        let bounds = Bounds {
            connections_max: 10,
            patience: Duration::from_millis(200),
        };
        let server = served(Router::new().route("/", get(who)), bounds).await;
        let address = server.address;

        let silent = TcpStream::connect(address).await.unwrap();
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut speaking = TcpStream::connect(address).await.unwrap();
        let name = speaking.local_addr().unwrap().to_string();
        speaking
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        // All three end by the server's doing, the last after its answer.
        assert_eq!(read(silent).await, "");
        assert!(!read(half).await.contains("200 OK"));
        let answer = read(speaking).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(&name),
            "{answer}"
        );

        server.stop.send(true).unwrap();
        server.serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn who_only_holds_connections_keeps_nobody_out_and_who_is_served_stays() {
        let turn = Arc::new(Notify::new());
        let (asked_slow, release) = (Arc::clone(&turn), Arc::clone(&turn));
        let begun = Arc::new(Notify::new());
        let begins = Arc::clone(&begun);
        let slow = move || async move {
            begins.notify_one();
            asked_slow.notified().await;
            "slow"
        };
        let router = Router::new()
            .route("/", get(|| async { "fine" }))
            .route("/slow", get(slow));
        let bounds = Bounds {
            connections_max: 3,
            patience: Duration::from_secs(600),
        };
        let server = served(router, bounds).await;
        let mut busy = TcpStream::connect(server.address).await.unwrap();
        let request = b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        busy.write_all(request).await.unwrap();
        begun.notified().await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            idle.push(TcpStream::connect(server.address).await.unwrap());
            let answer = read(asked(server.address).await).await;
            assert!(answer.ends_with("fine"), "{answer}");
        }
        // The first of the idle were sent away; the one with a request under way was not.
        assert_eq!(read(idle.remove(0)).await, "");
        release.notify_one();
        assert!(read(busy).await.ends_with("slow"));
    }

    #[tokio::test]
    async fn who_reads_a_large_answer_slowly_keeps_its_place_until_it_has_all() {
        const LARGE: usize = 64 * 1024 * 1024;
        let router = Router::new()
            .route("/", get(|| async { "fine" }))
            .route("/large", get(|| async { vec![b'x'; LARGE] }));
        let bounds = Bounds {
            connections_max: 2,
            patience: Duration::from_secs(600),
        };
        let server = served(router, bounds).await;
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        let request = b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        slow.write_all(request).await.unwrap();
        // It is being answered, and takes no more for now.
        slow.read_exact(&mut [0; 15]).await.unwrap();
        for _ in 0..5 {
            let _idle = TcpStream::connect(server.address).await.unwrap();
            let answer = read(asked(server.address).await).await;
            assert!(answer.ends_with("fine"), "{answer}");
        }
        let answer = read(slow).await;
        assert!(answer.len() > LARGE, "{} bytes came", answer.len());
    }

    #[tokio::test]
    async fn a_request_says_once_which_host_it_is_for() {
        let bounds = Bounds {
            connections_max: 3,
            patience: Duration::from_secs(600),
        };
        let told = |unclear: Option<Extension<UnclearHost>>| async move {
            match unclear {
                Some(_) => StatusCode::BAD_REQUEST,
                None => StatusCode::OK,
            }
        };
        let server = served(Router::new().route("/", get(told)), bounds).await;
        for (line, hosts, status) in [
            ("GET / HTTP/1.1", "", "400"),
            ("GET / HTTP/1.1", "host: x\r\nhost: y\r\n", "400"),
            ("GET / HTTP/1.1", "host: x\r\n", "200"),
            ("GET / HTTP/1.0", "", "200"),
        ] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let head = format!("{line}\r\n{hosts}connection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let answer = read(stream).await;
            assert_eq!(
                answer.split(' ').nth(1),
                Some(status),
                "{line} {hosts}: {answer}"
            );
        }
    }

    #[tokio::test]
    async fn a_flood_of_headers_is_refused() {
        let bounds = Bounds {
            connections_max: 3,
            patience: Duration::from_secs(600),
        };
        let server = served(Router::new(), bounds).await;
        let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
        let long = format!("x: {}\r\n", "y".repeat(2 * HEAD_BYTES_MAX));
        for headers in [many, long] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
            // It may be refused before all of it was sent.
            let _sent = stream.write_all(head.as_bytes()).await;
            let answer = read(stream).await;
            assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
    }
}

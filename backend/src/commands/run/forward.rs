//! A port of the loopback interface that leads to a name in a project's network.

use crate::config::Config;
use berth_docker::Docker;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How long the other end may take to accept a connection.
const CONNECT_SECONDS_MAX: u64 = 10;
/// Connections at once through one forward.
const CONNECTIONS_MAX: usize = 1024;
/// Pause after a connection could not be taken, such as for want of file descriptors.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// How names of a network become addresses.
#[derive(Clone)]
pub struct Reach {
    docker: Arc<Docker>,
    network: Arc<str>,
    installation: Arc<str>,
}

impl Reach {
    /// That of one project's network on the configured engine.
    pub fn new(config: &Config, network: &str) -> Result<Self, Box<dyn Error>> {
        let file = config.data_root.join("installation");
        let installation = std::fs::read_to_string(&file)
            .map_err(|e| format!("could not read {}: {e}", file.display()))?;
        Ok(Self {
            docker: Arc::new(Docker::at(&config.docker_socket.to_string_lossy())?),
            network: network.into(),
            installation: installation.trim().into(),
        })
    }

    /// Asked for each connection: a container that was made anew has another address.
    async fn address(&self, host: &str) -> Result<IpAddr, String> {
        let members = self
            .docker
            .members(&self.network, &self.installation)
            .await
            .map_err(|e| crate::chain(&e))?;
        let found = members.get(host).copied();
        found.ok_or_else(|| "no container of that name runs".to_owned())
    }
}

/// One forward, open until it is dropped.
pub struct Forward {
    host: String,
    port: u16,
    here: u16,
    task: JoinHandle<()>,
}

impl Forward {
    /// Opens a port that leads to `host` and `port`.
    pub async fn open(host: String, port: u16, reach: &Reach) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let here = listener.local_addr()?.port();
        let task = tokio::spawn(serve(listener, host.clone(), port, reach.clone()));
        Ok(Self {
            host,
            port,
            here,
            task,
        })
    }

    /// An address with this one's name in it, as it is reached here.
    pub fn rewritten(&self, address: String) -> String {
        let there = format!("@{}:{}/", self.host, self.port);
        address.replacen(&there, &format!("@127.0.0.1:{}/", self.here), 1)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, host: String, port: u16, reach: Reach) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
        };
        let Ok((client, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
            continue;
        };
        let (host, reach) = (host.clone(), reach.clone());
        connections.spawn(async move {
            if let Err(reason) = carry(client, &host, port, &reach).await {
                eprintln!("berthd: {host} cannot be reached: {reason}");
            }
        });
    }
}

async fn carry(mut client: TcpStream, host: &str, port: u16, reach: &Reach) -> Result<(), String> {
    let address = reach.address(host).await?;
    let patience = Duration::from_secs(CONNECT_SECONDS_MAX);
    let mut server = tokio::time::timeout(patience, TcpStream::connect((address, port)))
        .await
        .map_err(|_| format!("no answer within {CONNECT_SECONDS_MAX} seconds"))?
        .map_err(|e| e.to_string())?;
    for stream in [&client, &server] {
        // Small questions and answers go at once; where that cannot be had, they go later.
        let _later = stream.set_nodelay(true);
    }
    // How a connection ends is for its two ends to say.
    let _ended = copy_bidirectional(&mut client, &mut server).await;
    Ok(())
}

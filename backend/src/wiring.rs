//! The only place where all crates meet.

use crate::authority::{self, Authority, Pair};
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError, Runtime};
use crate::connections;
use crate::data_root::{self, DataRoot};
use crate::env_files;
use crate::images::{Obtainer, Recipes};
use crate::opening;
use crate::plans;
use crate::world::World;
use axum::Router;
use berth_containers::{
    ContainerPlatform, ContainerRuntime, FakeRuntime, Layout, Room, RuntimeError, Settings,
    SocketDialer,
};
use berth_control::{Certificates, Control, ServerCertificate};
use berth_docker::{BadAddress, Docker};
use berth_domain::{
    Addresses, Clock, EngineName, InstanceId, Preset, Secret, Timestamp, Token, TokenId, UserId,
};
use berth_engines::Registry;
use berth_platform::{Cause, Platform};
use berth_services::{Outside, Services, SystemEntropy};
use berth_store::{Store, TokenFilter};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Where directories in memory are.
pub const RUN_BASE: &str = "/run/berth";
/// The store's names of the authority's halves.
const AUTHORITY_CERTIFICATE: &str = "authority/certificate";
const AUTHORITY_KEY: &str = "authority/key";
/// The variable that may hold the root key itself.
pub const ROOT_KEY_VARIABLE: &str = "BERTH_ROOT_KEY";

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data root.
    #[error(transparent)]
    DataRoot(#[from] data_root::Error),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error("could not open the metadata store")]
    Store(#[from] berth_store::Error),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] authority::Error),
    /// The Docker engine's client.
    #[error("could not prepare to talk to the Docker engine")]
    Docker(#[from] BadAddress),
    /// A row that every installation has.
    #[error("could not prepare the store")]
    Prepare(#[from] berth_services::Error),
}

/// What serves.
pub struct Installation {
    /// The API for the network.
    pub router: Router,
    /// The API for the command line, as the host's administrator.
    pub local_router: Router,
    /// The loop.
    pub control: Arc<Control>,
    /// Signs certificates.
    pub authority: Arc<Authority>,
    /// Keeps the env files; none where nothing runs that could use them.
    pub env_files: Option<env_files::Keeper>,
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    berth_services::random(&SystemEntropy)
}

/// Opens what is kept and joins the crates. Nothing runs yet.
pub async fn open(
    config: &Config,
    root: &DataRoot,
    stopping: watch::Receiver<bool>,
) -> Result<Installation, Error> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = opening::open(config, root).await?;
    warn_of_missing_plans(config, &store).await;
    let addresses = config.addresses(root.installation().clone())?;
    let authority = Arc::new(open_authority(&store, root, clock.now()).await?);
    first_token(&store, root, clock.now()).await?;
    let platform = platform(config, root, &addresses)?;
    let published_on = (config.runtime == Runtime::Docker).then_some(config.publish_address);
    let world = Arc::new(World::new(Arc::clone(&platform), published_on));
    world.first_look().await;

    let wake = Arc::new(Notify::new());
    let services = Arc::new(Services::new(berth_services::Parts {
        store: store.clone(),
        rules: rules(config, addresses.clone(), authority.certificate()),
        clock: Arc::clone(&clock),
        entropy: Arc::new(SystemEntropy),
        outside: Arc::clone(&world) as Arc<dyn Outside>,
        wake: Arc::clone(&wake),
        runtime: config.runtime.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }));
    services.prepare().await?;
    let env_files = (config.runtime == Runtime::Docker).then(|| {
        let run_root = Path::new(RUN_BASE).join(root.installation().as_str());
        env_files::Keeper::new(Arc::clone(&services), store.watch_journal(), run_root)
    });
    let control = Arc::new(Control::new(berth_control::Parts {
        store,
        platform,
        engines: Arc::new(Registry::all()),
        catalogue: Arc::new(config.catalogue.clone()),
        addresses,
        clock,
        outside: Arc::clone(&world) as Arc<dyn Outside>,
        entropy: Arc::new(SystemEntropy),
        certificates: Arc::new(Signer(Arc::clone(&authority))),
        wake,
        limits: berth_control::Limits {
            spares: config.spares as usize,
            spare_versions: default_versions(),
            public_ports: config.publish_ports.clone(),
            recovery_floor_days: config.recovery_floor_days,
            ..berth_control::Limits::default()
        },
    }));
    tokio::spawn(world.keep_looking());
    let http = berth_http::Config {
        requests_per_second: config.requests_per_second,
        requests_burst: config.requests_burst,
        trusted_proxies: config.edge.trusted_proxies.clone(),
        cors_origins: config.edge.cors_origins.clone(),
        base_path: config.edge.base_path.clone(),
        connections_max: connections::places_max(),
        stopping,
        ..berth_http::Config::default()
    };
    Ok(Installation {
        router: berth_http::router(Arc::clone(&services), http.clone()),
        local_router: berth_http::local_router(services, http),
        control,
        authority,
        env_files,
    })
}

/// What an order that names no version gets, of each engine: it has spares from the first
/// start, where its image is here.
fn default_versions() -> Vec<(EngineName, String)> {
    let registry = Registry::all();
    let versions = registry
        .iter()
        .map(|e| (EngineName::new(e.name()), e.default_version().to_owned()));
    versions.collect()
}

fn rules(
    config: &Config,
    addresses: Addresses,
    authority: &str,
) -> berth_services::databases::Rules {
    let room = Room::of(config.network_range);
    berth_services::databases::Rules {
        engines: Registry::all(),
        catalogue: config.catalogue.clone(),
        addresses,
        limits: berth_services::databases::Limits {
            public_ports: config.publish_ports.clone(),
            project_addresses: room.in_project,
            public_addresses: room.in_public,
            overcommit: config.overcommit,
            recovery_floor_days: config.recovery_floor_days,
        },
        ca_certificate: authority.to_owned(),
    }
}

/// Says which plans of living databases the catalogue lacks. Nothing else depends on the answer.
async fn warn_of_missing_plans(config: &Config, store: &Store) {
    match store.plans_in_use().await {
        Ok(used) => {
            for gone in plans::missing(&config.catalogue, used) {
                tracing::warn!(
                    plan = gone.plan,
                    databases = plans::databases(&gone),
                    "the catalogue lacks a plan that databases have: {}",
                    plans::ADVICE
                );
            }
        }
        Err(error) => tracing::warn!(
            error = crate::chain(&error),
            "could not compare the catalogue with the plans in use"
        ),
    }
}

async fn open_authority(
    store: &Store,
    root: &DataRoot,
    now: Timestamp,
) -> Result<Authority, Error> {
    let kept = (
        store.secret(AUTHORITY_CERTIFICATE).await?,
        store.secret(AUTHORITY_KEY).await?,
    );
    let pair = match kept {
        (Some(certificate), Some(key)) => Pair {
            certificate: certificate.reveal().to_owned(),
            key,
        },
        _ => {
            let made = Authority::create(root.installation().as_str(), now)?;
            let mut tx = store.begin().await?;
            tx.put_secret(
                AUTHORITY_CERTIFICATE,
                &Secret::new(made.certificate.clone()),
            )
            .await?;
            tx.put_secret(AUTHORITY_KEY, &made.key).await?;
            tx.commit().await?;
            made
        }
    };
    let authority = Authority::open(&pair)?;
    data_root::write(
        &root.join("ca.pem"),
        authority.certificate().trim_end(),
        0o644,
    )?;
    Ok(authority)
}

/// Makes the first token, once in an installation's life. The file is written first: a start
/// that died in between finds it there and stores its hash.
async fn first_token(store: &Store, root: &DataRoot, now: Timestamp) -> Result<(), Error> {
    if !store
        .tokens_page(&TokenFilter::default(), None, 1)
        .await?
        .rows
        .is_empty()
    {
        return Ok(());
    }
    let path = root.join("admin.token");
    let secret = match data_root::read(&path)? {
        Some(text) if !text.trim().is_empty() => Secret::new(text.trim()),
        _ => {
            let made = Secret::new(format!("berth_{}", hex::encode(random::<32>())));
            data_root::write(&path, made.reveal(), 0o600)?;
            made
        }
    };
    let token = Token {
        id: TokenId::from_entropy(random()),
        name: "admin".to_owned(),
        hash: hex::encode(Sha256::digest(secret.reveal())),
        scopes: Preset::Admin.scopes(),
        project_id: None,
        user_id: UserId::administrator(),
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    let mut tx = store.begin().await?;
    tx.insert_token(&token).await?;
    tx.commit().await?;
    Ok(())
}

fn platform(
    config: &Config,
    root: &DataRoot,
    addresses: &Addresses,
) -> Result<Arc<dyn Platform>, Error> {
    let registry = Arc::new(Registry::all());
    let settings = |run_base: &Path, keep_keys_in_memory| Settings {
        installation: root.installation().clone(),
        layout: Layout::new(config.data_root.clone(), run_base, root.installation()),
        range: config.network_range,
        public_network: addresses.public_network_name(),
        keep_keys_in_memory,
        fresh_id: Box::new(|| InstanceId::from_entropy(random())),
    };
    Ok(Arc::new(match config.runtime {
        Runtime::Docker => {
            let docker = connect(config)?;
            let recipes = config
                .recipes
                .as_ref()
                .map(|directory| Recipes::new(directory, &config.docker_socket));
            let source = Obtainer::new(docker.clone(), config.image_registry.clone(), recipes);
            let settings = settings(Path::new(RUN_BASE), true);
            ContainerPlatform::new(Arc::new(docker), Arc::new(SocketDialer), registry, settings)
                .with_images(Arc::new(source))
        }
        Runtime::Fake => {
            let fake = FakeRuntime::new(Arc::clone(&registry));
            let settings = settings(&root.join("run"), false);
            ContainerPlatform::new(Arc::new(fake.clone()), Arc::new(fake), registry, settings)
        }
    }))
}

fn connect(config: &Config) -> Result<Docker, BadAddress> {
    Docker::at(&config.docker_socket.to_string_lossy())
}

/// The authority, as the control loop asks for it.
struct Signer(Arc<Authority>);

impl Certificates for Signer {
    fn authority(&self) -> String {
        self.0.certificate().to_owned()
    }

    fn issue(
        &self,
        names: &[String],
        serial: [u8; 16],
        now: Timestamp,
    ) -> Result<ServerCertificate, Cause> {
        let (pair, valid_until) = self.0.issue(names, serial, now)?;
        Ok(ServerCertificate {
            chain: pair.certificate,
            key: pair.key,
            valid_until,
        })
    }
}

/// An image of the catalogue.
pub struct CatalogueImage {
    /// The reference that containers are made from.
    pub name: &'static str,
    /// The recipe that builds it.
    pub recipe: &'static str,
    /// Whether an order that names no version needs it.
    pub default: bool,
}

/// Every image that some order needs.
pub fn images() -> Vec<CatalogueImage> {
    let registry = Registry::all();
    let mut images = Vec::new();
    for engine in registry.iter() {
        for version in engine.versions() {
            let default = version.name == engine.default_version();
            images.push(CatalogueImage {
                name: version.image,
                recipe: version.recipe,
                default,
            });
        }
        if let (Some(name), Some(recipe)) = (engine.pooler_image(), engine.pooler_recipe()) {
            images.push(CatalogueImage {
                name,
                recipe,
                default: true,
            });
        }
    }
    images
}

/// Why the engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoEngine {
    /// Its address is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// It does not answer.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A Docker engine that answers.
pub async fn docker(config: &Config) -> Result<impl ContainerRuntime + use<>, NoEngine> {
    let runtime = connect(config)?;
    berth_containers::Events::facts(&runtime).await?;
    Ok(runtime)
}

/// A line about the engine.
pub async fn describe_engine(runtime: &impl ContainerRuntime) -> String {
    match runtime.facts().await {
        Ok(facts) => format!(
            "{} {}, {} cores, {} MB",
            facts.name, facts.version, facts.cores, facts.memory_mb
        ),
        Err(e) => crate::chain(&e),
    }
}

/// Whether containers can be made from an image at once.
pub async fn image_is_here(
    runtime: &impl ContainerRuntime,
    name: &str,
) -> Result<bool, RuntimeError> {
    Ok(runtime.image(name).await?.is_some())
}

//! Everything configurable, read once, checked once.
//!
//! A flag wins over its environment variable, that over the configuration file, that over the
//! default. `docs/operating/configuration.md` says each option again for people; a test holds
//! the two together.

mod options;

use berth_domain::{Addresses, Catalogue, InstallationId};
use ipnet::Ipv4Net;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::catalogue;
use crate::edge::Edge;
use crate::registry::ImageRegistry;

pub use options::{Options, variables};

/// Where a configuration file is looked for when none is named.
const DEFAULT_FILE: &str = "/etc/berth/berthd.toml";

/// What runs the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// A Docker engine on this host.
    Docker,
    /// Memory: everything answers and nothing runs.
    Fake,
}

impl Runtime {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Fake => "fake",
        }
    }
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of everything this installation keeps; absolute.
    pub data_root: PathBuf,
    /// How the API is reached.
    pub edge: Edge,
    /// What runs the databases.
    pub runtime: Runtime,
    /// Socket of the Docker engine.
    pub docker_socket: PathBuf,
    /// URL of the metadata store. It may hold a password: never printed.
    pub store: String,
    /// File with the root key.
    pub root_key_file: PathBuf,
    /// What hosts and networks begin with.
    pub prefix: String,
    /// Address that exposed databases are published on.
    pub publish_address: IpAddr,
    /// Ports of exposed databases.
    pub publish_ports: RangeInclusive<u16>,
    /// Range from which project networks take their slices.
    pub network_range: Ipv4Net,
    /// Plans and regions.
    pub catalogue: Catalogue,
    /// Times the host's memory that may be promised.
    pub overcommit: f64,
    /// Days for which what a pipeline destroys stays recoverable.
    pub recovery_floor_days: u32,
    /// Initialised directories kept ready for each version in use.
    pub spares: u32,
    /// Requests a second that a token may make.
    pub requests_per_second: u32,
    /// Requests that a token may make at once.
    pub requests_burst: u32,
    /// Directory of the image recipes, when one was found.
    pub recipes: Option<PathBuf>,
    /// The registry that images are pulled from; where there is none, nothing is pulled.
    pub image_registry: Option<ImageRegistry>,
    /// What is logged.
    pub log: String,
}

/// Why a configuration cannot be used. Each text names the option and what to write.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration file {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("{} is not a valid configuration file", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// An option's value is of no use.
    #[error("{option}: \"{found}\" is not {expected}")]
    Value {
        /// Which option.
        option: &'static str,
        /// What was given.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The catalogue cannot be used.
    #[error("catalogue")]
    Catalogue(#[from] catalogue::CatalogueError),
}

impl ConfigError {
    pub(crate) fn value(
        option: &'static str,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Value {
            option,
            found: found.to_string(),
            expected: expected.into(),
        }
    }
}

impl Config {
    /// Reads the file that the options name (or the default one, when it is there), fills in
    /// the defaults and checks each value.
    pub fn load(options: Options) -> Result<Self, ConfigError> {
        let named = options.config.clone();
        let file = match &named {
            Some(path) => options::read(path)?,
            None if Path::new(DEFAULT_FILE).exists() => options::read(Path::new(DEFAULT_FILE))?,
            None => Options::default(),
        };
        Self::check(options.or(file))
    }

    fn check(options: Options) -> Result<Self, ConfigError> {
        let edge = Edge::check(&options)?;
        let data_root = absolute(options.data_root.unwrap_or_else(|| "/var/lib/berth".into()))?;
        let publish_address = options
            .publish_address
            .unwrap_or_else(|| "127.0.0.1".to_owned());
        let network_range = options
            .network_range
            .unwrap_or_else(|| "10.213.0.0/16".to_owned());
        let overcommit = options.overcommit.unwrap_or(2.0);
        if !(0.1..=100.0).contains(&overcommit) {
            return Err(ConfigError::value(
                "overcommit",
                overcommit,
                "a factor from 0.1 to 100",
            ));
        }
        let regions = options.regions.unwrap_or_else(|| vec!["local".to_owned()]);
        Ok(Self {
            edge,
            runtime: runtime(options.runtime.as_deref().unwrap_or("docker"))?,
            docker_socket: options
                .docker_socket
                .unwrap_or_else(|| "/var/run/docker.sock".into()),
            store: options.store.unwrap_or_else(|| {
                format!("sqlite://{}", data_root.join("berth.sqlite").display())
            }),
            root_key_file: options
                .root_key_file
                .unwrap_or_else(|| data_root.join("root.key")),
            prefix: prefix(options.prefix.unwrap_or_else(|| "berth".to_owned()))?,
            publish_address: publish_address.parse().map_err(|_| {
                ConfigError::value("publish_address", &publish_address, "an IP address")
            })?,
            publish_ports: ports(options.publish_ports.as_deref().unwrap_or("15000-15999"))?,
            network_range: network(&network_range)?,
            catalogue: catalogue::load(options.catalogue.as_deref(), regions)?,
            overcommit,
            recovery_floor_days: options.recovery_floor_days.unwrap_or(1),
            spares: options.spares.unwrap_or(2),
            requests_per_second: requests(
                "requests_per_second",
                options.requests_per_second.unwrap_or(500),
            )?,
            requests_burst: requests("requests_burst", options.requests_burst.unwrap_or(5000))?,
            recipes: options.recipes.or_else(find_recipes),
            image_registry: options.image_registry.map(image_registry).transpose()?,
            log: options.log.unwrap_or_else(|| "info".to_owned()),
            data_root,
        })
    }

    /// The socket of the command line.
    pub fn local_socket(&self) -> PathBuf {
        local_socket(&self.data_root)
    }

    /// How this installation names what others reach.
    pub fn addresses(&self, installation: InstallationId) -> Result<Addresses, ConfigError> {
        Addresses::new(
            &self.prefix,
            installation,
            &self.publish_address.to_string(),
        )
        .map_err(|e| ConfigError::value("prefix", e.found, "1 to 8 lower-case letters and digits"))
    }
}

/// The socket by which the command line reaches the berthd of a data root.
pub fn local_socket(data_root: &Path) -> PathBuf {
    data_root.join("berthd.sock")
}

fn absolute(path: PathBuf) -> Result<PathBuf, ConfigError> {
    std::path::absolute(&path)
        .map_err(|_| ConfigError::value("data_root", path.display(), "a directory"))
}

fn runtime(word: &str) -> Result<Runtime, ConfigError> {
    [Runtime::Docker, Runtime::Fake]
        .into_iter()
        .find(|r| r.as_str() == word)
        .ok_or_else(|| ConfigError::value("runtime", word, "docker or fake"))
}

fn prefix(text: String) -> Result<String, ConfigError> {
    let probe = InstallationId::from_entropy([0; 4]);
    match Addresses::new(&text, probe, "") {
        Ok(_) => Ok(text),
        Err(e) => Err(ConfigError::value(
            "prefix",
            e.found,
            "1 to 8 lower-case letters and digits, starting with a letter",
        )),
    }
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, ConfigError> {
    let parsed = text.split_once('-').and_then(|(first, last)| {
        Some((
            first.trim().parse::<u16>().ok()?,
            last.trim().parse::<u16>().ok()?,
        ))
    });
    match parsed {
        Some((first, last)) if first >= 1024 && first <= last => Ok(first..=last),
        _ => Err(ConfigError::value(
            "publish_ports",
            text,
            "two ports from 1024 on, such as 15000-15999",
        )),
    }
}

fn network(text: &str) -> Result<Ipv4Net, ConfigError> {
    match text.parse::<Ipv4Net>() {
        Ok(net) if net.trunc() == net && (8..=24).contains(&net.prefix_len()) => Ok(net),
        _ => Err(ConfigError::value(
            "network_range",
            text,
            "an IPv4 network of 8 to 24 bits, such as 10.213.0.0/16",
        )),
    }
}

/// With none at all, nobody could ask for anything, not even who is well.
fn requests(option: &'static str, count: u32) -> Result<u32, ConfigError> {
    match count {
        0 => Err(ConfigError::value(option, count, "a number from 1 on")),
        _ => Ok(count),
    }
}

fn image_registry(text: String) -> Result<ImageRegistry, ConfigError> {
    ImageRegistry::parse(&text)
        .ok_or_else(|| ConfigError::value("image_registry", text, ImageRegistry::EXPECTED))
}

/// The recipes beside an installed program, or those of the source tree it was built from.
fn find_recipes() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let beside = program.parent()?;
    [
        beside.join("../share/berth/images"),
        beside.join("../../backend/images"),
    ]
    .into_iter()
    .find(|dir| dir.join("build").is_file())
    .and_then(|dir| dir.canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file: Options =
            toml::from_str("listen = \"127.0.0.1:9000\"\nprefix = \"sota\"").unwrap();
        let flags = Options {
            listen: Some("127.0.0.1:9001".to_owned()),
            ..Options::default()
        };
        let config = Config::check(flags.or(file)).unwrap();
        assert_eq!(config.edge.listen.port(), 9001);
        assert_eq!(config.prefix, "sota");
        assert_eq!(config.publish_ports, 15000..=15999);
    }

    #[test]
    fn each_bad_value_names_its_option() {
        for (options, option) in [
            (
                Options {
                    listen: Some("8420".into()),
                    ..Options::default()
                },
                "listen",
            ),
            (
                Options {
                    listen: Some("0.0.0.0:8420".into()),
                    ..Options::default()
                },
                "listen",
            ),
            (
                Options {
                    runtime: Some("podman".into()),
                    ..Options::default()
                },
                "runtime",
            ),
            (
                Options {
                    prefix: Some("Far-too-long".into()),
                    ..Options::default()
                },
                "prefix",
            ),
            (
                Options {
                    publish_address: Some("host".into()),
                    ..Options::default()
                },
                "publish_address",
            ),
            (
                Options {
                    publish_ports: Some("16000-15000".into()),
                    ..Options::default()
                },
                "publish_ports",
            ),
            (
                Options {
                    network_range: Some("10.213.0.1/16".into()),
                    ..Options::default()
                },
                "network_range",
            ),
            (
                Options {
                    overcommit: Some(f64::NAN),
                    ..Options::default()
                },
                "overcommit",
            ),
            (
                Options {
                    image_registry: Some("berth".into()),
                    ..Options::default()
                },
                "image_registry",
            ),
            (
                Options {
                    requests_per_second: Some(0),
                    ..Options::default()
                },
                "requests_per_second",
            ),
            (
                Options {
                    requests_burst: Some(0),
                    ..Options::default()
                },
                "requests_burst",
            ),
        ] {
            let error = Config::check(options).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{option}: ")), "{error}");
        }
    }
}

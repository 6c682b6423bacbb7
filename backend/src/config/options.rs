//! What may be configured: flags, their variables, and the keys of the file.

use clap::{Arg, Args, Command};
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::ConfigError;

/// What a flag, a variable or the file may say. Nothing is required.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Configuration file (TOML; the keys are the flags' names with underscores).
    #[arg(long, global = true, env = "BERTH_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Directory of everything this installation keeps [default: /var/lib/berth].
    #[arg(long, global = true, env = "BERTH_DATA_ROOT", value_name = "DIR")]
    pub data_root: Option<PathBuf>,
    /// Address of the HTTP API [default: 127.0.0.1:8420].
    #[arg(long, global = true, env = "BERTH_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// TLS of the API by a certificate of berthd's own authority: self [default: none].
    #[arg(long, global = true, env = "BERTH_TLS", value_name = "WORD")]
    pub tls: Option<String>,
    /// Certificate of the API with its chain (PEM); read again when it changes.
    #[arg(long, global = true, env = "BERTH_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate (PEM).
    #[arg(long, global = true, env = "BERTH_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Further names and addresses in the certificate of `--tls self`.
    #[arg(
        long,
        global = true,
        env = "BERTH_TLS_NAMES",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub tls_names: Option<Vec<String>>,
    /// Serves plain HTTP beyond loopback too; tokens can be overheard [default: false].
    #[arg(
        long,
        global = true,
        env = "BERTH_ALLOW_PLAIN_HTTP",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub allow_plain_http: Option<bool>,
    /// Proxies whose X-Forwarded-For or Forwarded is believed [default: none].
    #[arg(
        long,
        global = true,
        env = "BERTH_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "CIDRS"
    )]
    pub trusted_proxies: Option<Vec<String>>,
    /// Origins whose pages may ask the API from a browser [default: none].
    #[arg(
        long,
        global = true,
        env = "BERTH_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGINS"
    )]
    pub cors_origins: Option<Vec<String>>,
    /// What stands before the paths of requests that a proxy passes on [default: nothing].
    #[arg(long, global = true, env = "BERTH_BASE_PATH", value_name = "PATH")]
    pub base_path: Option<String>,
    /// What runs the databases: docker or fake [default: docker].
    #[arg(long, global = true, env = "BERTH_RUNTIME", value_name = "NAME")]
    pub runtime: Option<String>,
    /// Socket of the Docker engine [default: /var/run/docker.sock].
    #[arg(long, global = true, env = "BERTH_DOCKER_SOCKET", value_name = "PATH")]
    pub docker_socket: Option<PathBuf>,
    /// Metadata store: a PostgreSQL URL, or a SQLite file [default: berth.sqlite in the data root].
    #[arg(
        long,
        global = true,
        env = "BERTH_STORE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub store: Option<String>,
    /// File with the root key, 64 hexadecimal digits [default: root.key in the data root].
    #[arg(long, global = true, env = "BERTH_ROOT_KEY_FILE", value_name = "FILE")]
    pub root_key_file: Option<PathBuf>,
    /// What hosts and networks begin with, at most 8 characters [default: berth].
    #[arg(long, global = true, env = "BERTH_PREFIX", value_name = "TEXT")]
    pub prefix: Option<String>,
    /// Address that exposed databases are published on [default: 127.0.0.1].
    #[arg(long, global = true, env = "BERTH_PUBLISH_ADDRESS", value_name = "IP")]
    pub publish_address: Option<String>,
    /// Ports of exposed databases [default: 15000-15999].
    #[arg(
        long,
        global = true,
        env = "BERTH_PUBLISH_PORTS",
        value_name = "FIRST-LAST"
    )]
    pub publish_ports: Option<String>,
    /// Range from which project networks take their slices [default: 10.213.0.0/16].
    #[arg(long, global = true, env = "BERTH_NETWORK_RANGE", value_name = "CIDR")]
    pub network_range: Option<String>,
    /// Regions that can be ordered, the first being the default [default: local].
    #[arg(
        long,
        global = true,
        env = "BERTH_REGIONS",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub regions: Option<Vec<String>>,
    /// Plans that can be ordered (TOML) [default: the built-in catalogue].
    #[arg(long, global = true, env = "BERTH_CATALOGUE", value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// Times the host's memory that may be promised to databases [default: 2.0].
    #[arg(long, global = true, env = "BERTH_OVERCOMMIT", value_name = "FACTOR")]
    pub overcommit: Option<f64>,
    /// Days for which whatever a token without `unprotect` destroys stays recoverable [default: 1].
    #[arg(
        long,
        global = true,
        env = "BERTH_RECOVERY_FLOOR_DAYS",
        value_name = "DAYS"
    )]
    pub recovery_floor_days: Option<u32>,
    /// Initialised directories kept ready for each version in use and the default one [default: 2].
    #[arg(long, global = true, env = "BERTH_SPARES", value_name = "COUNT")]
    pub spares: Option<u32>,
    /// Requests a second that a token may make [default: 500].
    #[arg(
        long,
        global = true,
        env = "BERTH_REQUESTS_PER_SECOND",
        value_name = "COUNT"
    )]
    pub requests_per_second: Option<u32>,
    /// Requests that a token may make at once [default: 5000].
    #[arg(
        long,
        global = true,
        env = "BERTH_REQUESTS_BURST",
        value_name = "COUNT"
    )]
    pub requests_burst: Option<u32>,
    /// Directory of the image recipes [default: beside the program, or the source's own].
    #[arg(long, global = true, env = "BERTH_RECIPES", value_name = "DIR")]
    pub recipes: Option<PathBuf>,
    /// Registry that images are pulled from; without one they are built [default: none].
    #[arg(
        long,
        global = true,
        env = "BERTH_IMAGE_REGISTRY",
        value_name = "HOST/NAMESPACE"
    )]
    pub image_registry: Option<String>,
    /// What is logged: error, warn, info, debug or trace, or a filter [default: info].
    #[arg(long, global = true, env = "BERTH_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

impl Options {
    /// These options where they are given, else those of `file`.
    pub(super) fn or(self, file: Self) -> Self {
        Self {
            config: self.config,
            data_root: self.data_root.or(file.data_root),
            listen: self.listen.or(file.listen),
            tls: self.tls.or(file.tls),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            tls_names: self.tls_names.or(file.tls_names),
            allow_plain_http: self.allow_plain_http.or(file.allow_plain_http),
            trusted_proxies: self.trusted_proxies.or(file.trusted_proxies),
            cors_origins: self.cors_origins.or(file.cors_origins),
            base_path: self.base_path.or(file.base_path),
            runtime: self.runtime.or(file.runtime),
            docker_socket: self.docker_socket.or(file.docker_socket),
            store: self.store.or(file.store),
            root_key_file: self.root_key_file.or(file.root_key_file),
            prefix: self.prefix.or(file.prefix),
            publish_address: self.publish_address.or(file.publish_address),
            publish_ports: self.publish_ports.or(file.publish_ports),
            network_range: self.network_range.or(file.network_range),
            regions: self.regions.or(file.regions),
            catalogue: self.catalogue.or(file.catalogue),
            overcommit: self.overcommit.or(file.overcommit),
            recovery_floor_days: self.recovery_floor_days.or(file.recovery_floor_days),
            spares: self.spares.or(file.spares),
            requests_per_second: self.requests_per_second.or(file.requests_per_second),
            requests_burst: self.requests_burst.or(file.requests_burst),
            recipes: self.recipes.or(file.recipes),
            image_registry: self.image_registry.or(file.image_registry),
            log: self.log.or(file.log),
        }
    }
}

/// The variables that `berthd serve` reads its options from.
pub fn variables() -> Vec<OsString> {
    let options = Options::augment_args(Command::new("serve"));
    let variables = options.get_arguments().filter_map(Arg::get_env);
    variables.map(OsStr::to_owned).collect()
}

/// What a configuration file says.
pub(super) fn read(path: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_of_the_file_is_named() {
        let error = toml::from_str::<Options>("listn = \"x\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("listn"), "{error}");
    }

    #[test]
    fn the_page_on_configuration_names_each_option() {
        let page = include_str!("../../../docs/operating/configuration.md");
        for arg in Options::augment_args(Command::new("serve")).get_arguments() {
            let flag = format!("`--{}`", arg.get_long().unwrap());
            let variable = format!("`{}`", arg.get_env().unwrap().to_string_lossy());
            assert!(page.contains(&flag), "{flag} is missing");
            assert!(page.contains(&variable), "{variable} is missing");
        }
    }
}

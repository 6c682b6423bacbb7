//! The command line: what can be said, not what it does.

#[cfg(test)]
mod page;

use crate::config::{Config, ConfigError, Options};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Managed databases on your own machines.
#[derive(Debug, Parser)]
#[command(name = "berthd", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What berthd can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves the API and keeps databases as they are wanted.
    Serve(Box<Options>),
    /// Makes, lists and revokes API tokens, through the running berthd.
    Token {
        /// Where berthd is.
        #[command(flatten)]
        at: DataRootArg,
        /// What to do with tokens.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Makes, lists and deletes people, to whom tokens belong, through the running berthd.
    User {
        /// Where berthd is.
        #[command(flatten)]
        at: DataRootArg,
        /// What to do with people.
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Lists, restores and purges what was destroyed, through the running berthd.
    Trash {
        /// Where berthd is.
        #[command(flatten)]
        at: DataRootArg,
        /// What to do with the trash.
        #[command(subcommand)]
        command: TrashCommand,
    },
    /// Lists, pulls, builds and proves the images that databases run from.
    Images {
        /// Where the engine and the recipes are.
        #[command(flatten)]
        at: EngineArgs,
        /// What to do with images.
        #[command(subcommand)]
        command: ImagesCommand,
    },
    /// Prints the certificate of berthd's own authority, for clients that check it.
    Ca {
        /// Where berthd is.
        #[command(flatten)]
        at: DataRootArg,
    },
    /// Logs in to a database, writes and reads a row, and says so.
    ///
    /// The connection URI is read from the environment, so that it stands in no process list.
    CheckLogin(CheckLogin),
    /// Runs a command with the environment of a project, through the running berthd.
    ///
    /// On the host it reaches the project's databases through ports of the loopback interface,
    /// which are there as long as it runs. With --image it runs in a container in the project's
    /// network.
    Run(Box<RunArgs>),
    /// Looks at everything berthd depends on and says what to do.
    Doctor(Box<Options>),
}

/// Where the running berthd keeps its socket.
#[derive(Debug, Clone, Args)]
pub struct DataRootArg {
    /// Configuration file that may name the data root [default: /etc/berth/berthd.toml].
    #[arg(long, env = "BERTH_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The data root of the running berthd [default: /var/lib/berth].
    #[arg(long, env = "BERTH_DATA_ROOT", value_name = "DIR", global = true)]
    pub data_root: Option<PathBuf>,
}

impl DataRootArg {
    /// The data root, as `serve` would find it by the same words.
    pub fn find(self) -> Result<PathBuf, ConfigError> {
        let options = Options {
            config: self.config,
            data_root: self.data_root,
            ..Options::default()
        };
        Config::load(options).map(|config| config.data_root)
    }
}

/// Where the engine is that berthd asks, and what belongs to it.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// Configuration file that may say the rest [default: /etc/berth/berthd.toml].
    #[arg(long, env = "BERTH_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Directory of everything this installation keeps [default: /var/lib/berth].
    #[arg(long, env = "BERTH_DATA_ROOT", value_name = "DIR", global = true)]
    pub data_root: Option<PathBuf>,
    /// What runs the databases: docker or fake [default: docker].
    #[arg(long, env = "BERTH_RUNTIME", value_name = "NAME", global = true)]
    pub runtime: Option<String>,
    /// Socket of the Docker engine [default: /var/run/docker.sock].
    #[arg(long, env = "BERTH_DOCKER_SOCKET", value_name = "PATH", global = true)]
    pub docker_socket: Option<PathBuf>,
    /// Directory of the image recipes [default: beside the program, or the source's own].
    #[arg(long, env = "BERTH_RECIPES", value_name = "DIR", global = true)]
    pub recipes: Option<PathBuf>,
}

impl From<EngineArgs> for Options {
    fn from(given: EngineArgs) -> Self {
        Self {
            config: given.config,
            data_root: given.data_root,
            runtime: given.runtime,
            docker_socket: given.docker_socket,
            recipes: given.recipes,
            ..Self::default()
        }
    }
}

/// Tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Makes a token and prints its secret, this once.
    Create {
        /// A name for people.
        #[arg(long)]
        name: String,
        /// A usual set of rights: plan, apply, application or admin.
        #[arg(
            long = "for",
            value_name = "PRESET",
            required_unless_present = "scopes"
        )]
        preset: Option<String>,
        /// Single rights: read, plan, write, credentials, unprotect, admin (fork is reserved).
        #[arg(long, value_delimiter = ',', conflicts_with = "preset")]
        scopes: Option<Vec<String>>,
        /// Whose token it is, by id or name; the administrator's when left out.
        #[arg(long)]
        user: Option<String>,
        /// Binds the token to one project, by id or name.
        #[arg(long)]
        project: Option<String>,
        /// When the token ends, in RFC 3339.
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Lists tokens without their secrets.
    List,
    /// Revokes a token at once.
    Revoke {
        /// The token's id (tok_…).
        id: String,
    },
}

/// People.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Makes a person known and prints its id. It sees nothing until it is a member of a project.
    Create {
        /// A name, unique in the installation.
        #[arg(long)]
        name: String,
        /// Where mail reaches it.
        #[arg(long)]
        email: Option<String>,
    },
    /// Lists people.
    List,
    /// Deletes a person: its tokens are revoked at once, its memberships end.
    Delete {
        /// The user's id (usr_…).
        id: String,
    },
}

/// The trash.
#[derive(Debug, Subcommand)]
pub enum TrashCommand {
    /// Lists destroyed databases and projects that can still come back.
    List,
    /// Brings a destroyed database back (rows, id, login and password), or a destroyed project
    /// with its variables and members.
    Restore {
        /// The id of the database (db_…) or the project (proj_…).
        id: String,
    },
    /// Lists what a project's variables were before they were replaced or removed, without the
    /// values.
    Variables {
        /// The project's id or name.
        project: String,
    },
    /// Gives a variable the value again that it had before it was replaced or removed.
    RestoreVariable {
        /// The project's id or name.
        project: String,
        /// The variable's name.
        name: String,
        /// Which value, as `trash variables` numbers them [default: the last one that ended].
        #[arg(long, value_name = "NUMBER")]
        number: Option<i64>,
    },
    /// Removes the data of a destroyed database for good.
    Purge {
        /// The database's id (db_…).
        id: String,
        /// Says that the data will be gone.
        #[arg(long)]
        yes: bool,
    },
}

/// Images.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Lists the images of the catalogue and whether they are here.
    List,
    /// Pulls images from the registry that is named.
    Pull {
        /// Registry that images are pulled from [default: none].
        #[arg(long, env = "BERTH_IMAGE_REGISTRY", value_name = "HOST/NAMESPACE")]
        image_registry: Option<String>,
        /// Images, such as `postgresql:17`; all of the catalogue when none is named.
        images: Vec<String>,
    },
    /// Builds images from packages by their recipes.
    Build {
        /// Recipes, such as `postgresql-17`; those of the default engine when none is named.
        // Under the id of `--recipes`, which every command here takes, clap would know one of both.
        #[arg(id = "names", value_name = "RECIPES")]
        recipes: Vec<String>,
    },
    /// Starts a scratch database from an image and proves that it works.
    Verify {
        /// An engine's version, such as `postgresql:17`; all that are here when none is named.
        versions: Vec<String>,
    },
}

impl ImagesCommand {
    /// The registry that the command names.
    pub fn registry(&self) -> Option<String> {
        match self {
            Self::Pull { image_registry, .. } => image_registry.clone(),
            _ => None,
        }
    }
}

/// A command and the project whose environment it gets.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where berthd and the engine are.
    #[command(flatten)]
    pub options: EngineArgs,
    /// The project, by id or name.
    #[arg(long, value_name = "PROJECT")]
    pub project: String,
    /// Runs the command in a container of this image, in the project's network.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Runs the command on the host as this user; who called sudo when left out.
    #[arg(long, value_name = "USER", conflicts_with = "image")]
    pub user: Option<String>,
    /// The command and its arguments; with --image, the image's own when there is none.
    #[arg(last = true, required_unless_present = "image", value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// A login to prove.
#[derive(Debug, Args)]
pub struct CheckLogin {
    /// The environment variable that holds the connection URI.
    #[arg(long, default_value = "BERTH_URI", value_name = "NAME")]
    pub uri_env: String,
    /// Proves the server's certificate and name against this authority (PEM).
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Seconds for which a login is tried again while the server does not answer.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub wait_seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_command_shows_its_own_options_and_no_others() {
        let mut command = Cli::command();
        command.build();
        for (name, most) in [("images", 6), ("run", 9), ("token", 3)] {
            let of_serve = command.find_subcommand(name).unwrap();
            let options = of_serve.get_arguments().filter(|a| !a.is_positional());
            assert!(options.count() <= most, "{name}");
        }
        let listed = Cli::try_parse_from(["berthd", "images", "list", "--docker-socket", "/x"]);
        let Command::Images { at, .. } = listed.unwrap().command else {
            panic!("images");
        };
        assert_eq!(at.docker_socket.unwrap(), PathBuf::from("/x"));
        let both = [
            "berthd",
            "run",
            "--project",
            "p",
            "--image",
            "i",
            "--user",
            "u",
        ];
        assert!(Cli::try_parse_from(both).is_err());
    }

    #[test]
    fn recipes_to_build_are_told_from_where_they_lie() {
        for line in [
            "berthd images build pgbouncer --recipes /x",
            "berthd images --recipes /x build pgbouncer",
        ] {
            let said = Cli::try_parse_from(line.split(' ')).unwrap();
            let Command::Images { at, command } = said.command else {
                panic!("images");
            };
            assert_eq!(at.recipes.unwrap(), PathBuf::from("/x"), "{line}");
            let ImagesCommand::Build { recipes } = command else {
                panic!("build");
            };
            assert_eq!(recipes, ["pgbouncer"], "{line}");
        }
    }

    #[test]
    fn the_file_names_the_data_root_for_every_command() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "data_root = \"/srv/berth\"").unwrap();
        let at = DataRootArg {
            config: Some(file.path().to_owned()),
            data_root: None,
        };
        assert_eq!(at.clone().find().unwrap(), PathBuf::from("/srv/berth"));
        let named = DataRootArg {
            data_root: Some("/srv/other".into()),
            ..at
        };
        assert_eq!(named.find().unwrap(), PathBuf::from("/srv/other"));
    }
}

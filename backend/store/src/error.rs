//! What can go wrong with the store.

use berth_domain::DatabaseId;
use std::io::ErrorKind;
use std::path::PathBuf;

/// What SQLite says when another program held its file for too long: in general, after a crash,
/// when another one wrote since this one read, and when the wait for it ended.
const SQLITE_BUSY: [&str; 4] = ["5", "261", "517", "773"];
/// What SQLite says when a write found no room.
const SQLITE_FULL: &str = "13";
/// What PostgreSQL says while it starts.
const POSTGRESQL_STARTING: &str = "57P03";
/// How the standard library begins what it says of a name that it could not resolve; the kind of
/// that error has no name.
const UNRESOLVED: &str = "failed to lookup address information";
/// What PostgreSQL says when a write found no room.
const POSTGRESQL_DISK_FULL: &str = "53100";

/// A failure of the store. No variant carries a secret, nor the URL with its password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is neither a file's nor a server's.
    #[error("the store's URL must begin with \"sqlite:\" or \"postgres:\"")]
    UnknownUrl,
    /// The server would be reached in a way that keeps nobody from listening in.
    #[error(
        "the store's server may not be reached with sslmode={mode}: {reason} (leave it out and the server is verified, or write require or disable)"
    )]
    SslMode {
        /// The mode that was asked for.
        mode: &'static str,
        /// What it would allow.
        reason: &'static str,
    },
    /// The database file could not be made.
    #[error("could not create the store's file {}", path.display())]
    CreateFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database file could not be kept from other processes.
    #[error("could not lock the store's file {}", path.display())]
    LockFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody answers where the store's server should be, or it says that it is starting.
    #[error("the store's server is not there ({place})")]
    Away {
        /// `postgresql`.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The database did not let us in.
    #[error("could not open the store ({place})")]
    Open {
        /// `sqlite` and the file, or `postgresql`.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A server whose certificate has to be verified, since its URL says nothing else.
    #[error(
        "could not open the store ({place}); its URL says no sslmode, so the server's certificate is verified: name its authority with sslrootcert, or say sslmode=require or, in plain text, sslmode=disable"
    )]
    OpenVerified {
        /// `postgresql`.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A newer program has already changed the tables.
    #[error(
        "the store was written by a newer berthd (its schema is {found}, this one knows up to {known}): start that version or a later one"
    )]
    Newer {
        /// The schema of the store.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The tables are not as this program once made them.
    #[error("the store's schema {version} differs from the one this berthd knows by that number")]
    Altered {
        /// The migration that differs.
        version: i64,
    },
    /// A migration failed; nothing of it was kept.
    #[error("could not bring the store's tables to schema {version}")]
    Migrate {
        /// The schema that was to be reached.
        version: i64,
        /// Why.
        source: sqlx::Error,
    },
    /// The store was sealed with another root key.
    #[error(
        "the root key does not open this store: give the key that it was created with (nothing was changed)"
    )]
    WrongRootKey,
    /// The store was made for another installation.
    #[error(
        "the store belongs to installation {owner}, and this data root is installation {own}: give this data root a store of its own, or, if the store was made from here, restore the data root's file `installation` from your copy"
    )]
    OtherInstallation {
        /// Whose store it is.
        owner: String,
        /// Who asks for it.
        own: String,
    },
    /// Another process holds the store's writer lock.
    #[error("another berthd writes to this store: stop it first, or give this one its own store")]
    AnotherWriter,
    /// No connection became free in time: another transaction lasts, or the server is away.
    #[error("the store did not answer within {seconds} seconds")]
    Busy {
        /// How long was waited.
        seconds: u64,
    },
    /// Another program, which is no berthd, holds the store's file.
    #[error("another program holds the store's file: end it, or let it finish")]
    Held {
        /// The function whose statement it was.
        act: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The disk under the store is full, and nothing was written.
    #[error("the disk under the store has no room left")]
    Full {
        /// The function whose statement it was.
        act: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("the store failed in {act}")]
    Query {
        /// The function whose statement it was.
        act: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// A row with that id, name, slug, port or hash is already there.
    #[error("{act}: there is such a row already")]
    Duplicate {
        /// The function whose statement it was.
        act: &'static str,
        /// Which uniqueness was violated.
        source: sqlx::Error,
    },
    /// The row was changed by somebody else since it was read, or is not there.
    #[error("{id} has been changed meanwhile")]
    Conflict {
        /// The row.
        id: String,
    },
    /// A stored value is none that this program could have written.
    #[error("the store holds a value in {table}.{column} that cannot be read")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record could not be written for its readers.
    #[error("what is told of {id} could not be written")]
    Untold {
        /// The database.
        id: DatabaseId,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A sealed value does not open: it was damaged, or belongs to another row.
    #[error("the sealed value {table}.{column} of {row} does not open")]
    Unseal {
        /// The table.
        table: &'static str,
        /// The row.
        row: String,
        /// The column.
        column: &'static str,
    },
    /// A value could not be sealed.
    #[error("could not seal {table}.{column}")]
    Seal {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The kernel gave no random numbers.
    #[error("the system gave no random numbers")]
    Entropy {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The page token names nothing that is still there: begin with the first page again.
    #[error("the page token has expired: start again with the first page")]
    PageGone,
}

impl Error {
    /// Whether the store's server may yet come up, as after a reboot of its host or of ours.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Busy { .. })
    }

    /// Tells a taken key, a held file and a full disk from any other failure of a statement.
    pub(crate) fn of_statement(act: &'static str, source: sqlx::Error) -> Self {
        let unique = source
            .as_database_error()
            .is_some_and(|e| e.is_unique_violation());
        let full = has_code(&source, &[SQLITE_FULL, POSTGRESQL_DISK_FULL]);
        match source {
            source if unique => Self::Duplicate { act, source },
            source if is_held(&source) => Self::Held { act, source },
            source if full => Self::Full { act, source },
            sqlx::Error::PoolTimedOut => Self::Busy {
                seconds: crate::connect::ACQUIRE_SECONDS_MAX,
            },
            source => Self::Query { act, source },
        }
    }
}

/// Whether another program held a file for too long.
pub(crate) fn is_held(error: &sqlx::Error) -> bool {
    has_code(error, &SQLITE_BUSY)
}

/// Whether nobody answers at a server's place, or nobody knows the place yet, or the server says
/// that it is starting.
pub(crate) fn is_absence(error: &sqlx::Error) -> bool {
    let sqlx::Error::Io(error) = error else {
        return has_code(error, &[POSTGRESQL_STARTING]);
    };
    let is_silence = matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::UnexpectedEof
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::TimedOut
    );
    is_silence || error.to_string().starts_with(UNRESOLVED)
}

/// Whether the database said one of these.
pub(crate) fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error
        .as_database_error()
        .and_then(|e| e.code())
        .is_some_and(|code| codes.contains(&code.as_ref()))
}

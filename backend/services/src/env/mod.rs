//! What applications of a project find in their environment: variables that berth manages, and
//! those that users gave.

mod files;
mod format;
mod managed;
mod own;
mod read;
mod vantage;
mod versions;

pub use files::{EnvFile, EnvFiles};
pub use format::{Format, Unwritable};
pub use own::{Put, VARIABLES_BYTES_MAX, VARIABLES_MAX};
pub use read::{Environment, FirstUse, Source, Variable};
pub use vantage::Vantage;
pub use versions::{VERSIONS_BYTES_MAX, VERSIONS_MAX};

pub(crate) use managed::{DATABASE_URL, DIRECT_URL, own_variable};
pub(crate) use own::STEERS;

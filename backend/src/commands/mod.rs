//! What the subcommands do, one file each.

pub mod ca;
pub mod check_login;
pub mod doctor;
pub mod images;
pub mod run;
pub mod token;
pub mod trash;
pub mod user;

//! What a request means.
//!
//! Owns: the rules by which a request becomes intent, operation and event in one transaction;
//! the same rules as a dry run; who may see and do what.
//! Refuses: HTTP, JSON, containers. What a request needs of the world comes through [`Outside`].

mod caller;
pub mod databases;
mod error;
mod given;
mod note;
mod outside;
mod tags;
mod told;

pub use caller::Caller;
pub use error::{Class, Code, Error, FieldError};
pub use given::{Given, Maybe};
pub use note::{Note, Severity, size_text};
pub use outside::{
    Entropy, HostCapacity, ImageState, Outside, SystemEntropy, random, random_password,
};
pub use told::{Listener, Told};

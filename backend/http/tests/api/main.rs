//! The routes, one rule a test: status and body over a real store.

mod access;
mod claims;
mod databases;
mod life;
mod manners;
mod openapi;
mod plans;
mod projects;
mod support;

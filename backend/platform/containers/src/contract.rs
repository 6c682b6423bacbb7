//! What every container runtime and every platform over one must do, as suites that a
//! driver's own tests call. They panic where a test would.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "these are the bodies of tests; they live here so that each driver can run them"
)]

mod platform;
mod runtime;

pub use platform::{PlatformGround, platform, spec};
pub use runtime::{RuntimeGround, runtime};

//! What spans the programs: whole stories with the real client, and measurements.
//!
//! Owns: the test binary `suite`, the programs named `bench_…`, and what both are told with.
//! Refuses: the backend's own crates, since stories see berthd only as its users do. The library
//! is empty.

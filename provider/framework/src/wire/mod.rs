//! Values as bytes, in the two encodings the protocol has, and messages as typed requests.

pub(crate) mod from_wire;
pub mod json;
pub mod msgpack;
pub(crate) mod sensitive;
pub(crate) mod to_wire;

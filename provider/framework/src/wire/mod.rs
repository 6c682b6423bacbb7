//! Between the framework's types and the bytes of the protocol.

pub(crate) mod to_wire;

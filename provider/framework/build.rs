//! Compiles the protocol definitions without `protoc`.

use std::error::Error;

const PROTOCOLS: [&str; 3] = [
    "proto/tfplugin6.proto",
    "proto/plugin.proto",
    "proto/health.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for protocol in PROTOCOLS {
        println!("cargo::rerun-if-changed={protocol}");
    }
    let descriptors = protox::compile(PROTOCOLS, ["proto"])?;
    tonic_prost_build::configure()
        // The host's side is generated too: tests and benches talk as the host does.
        .build_client(true)
        .build_transport(false)
        // A method nobody wrote answers UNIMPLEMENTED, which is what the host expects.
        .generate_default_stubs(true)
        // States of many megabytes are shared with the receive buffer instead of copied.
        .bytes(".")
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}

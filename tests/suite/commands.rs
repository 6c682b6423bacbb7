//! berthd's command line, where it asks neither a berthd that serves nor an engine.

use std::process::{Command, Output};

use crate::harness::program;

/// berthd with these arguments, and none of this machine's configuration.
fn berthd(arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(program("berthd")?);
    command
        .args(arguments)
        .args(["--config", "/dev/null"])
        .env_remove("BERTH_IMAGE_REGISTRY");
    Some(command)
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn images_are_pulled_only_from_a_registry_that_is_named_with_its_host() {
    let Some(mut nowhere) = berthd(&["images", "pull"]) else {
        return;
    };
    let output = nowhere.output().unwrap();
    assert!(!output.status.success());
    assert!(told(&output).contains("--image-registry HOST/NAMESPACE"));

    let mut pull = berthd(&["images", "pull", "--image-registry", "berth/images"]).unwrap();
    let output = pull.output().unwrap();
    assert!(!output.status.success());
    let said = told(&output);
    assert!(
        said.contains("image_registry: \"berth/images\" is not a registry's host"),
        "{said}"
    );

    let named = [
        "images",
        "pull",
        "alpine:3",
        "--image-registry",
        "localhost:5000/berth",
    ];
    let output = berthd(&named).unwrap().output().unwrap();
    assert!(!output.status.success());
    assert!(told(&output).contains("alpine:3 is no image of the catalogue"));
}

//! berthd's command line, where it asks neither a berthd that serves nor an engine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
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

/// A folder of recipes whose tool prints the variables of berth that it finds.
fn recipes_that_tell(folder: &Path) {
    let tool = folder.join("build");
    fs::write(&tool, "#!/bin/sh\nenv | grep ^BERTH_ | sort\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_recipes_tool_gets_nothing_of_berthds_own() {
    let folder = tempfile::tempdir().unwrap();
    recipes_that_tell(folder.path());
    let recipes = folder.path().to_str().unwrap();
    let Some(mut build) = berthd(&["images", "build", "x", "--recipes", recipes]) else {
        return;
    };
    let (secret, mirror) = ("never passed on", "http://mirror.example.com/debian");
    for name in [
        "BERTH_ROOT_KEY",
        "BERTH_STORE",
        "BERTH_TOKEN",
        "BERTH_LATER",
    ] {
        build.env(name, secret);
    }
    for name in ["BERTH_IMAGE_CACHE", "BERTH_DEBIAN_MIRROR"] {
        build.env(name, mirror);
    }
    build.env_remove("BERTH_DEBIAN_SECURITY_MIRROR");
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("BERTH_DEBIAN_MIRROR={mirror}\nBERTH_IMAGE_CACHE={mirror}\n")
    );
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

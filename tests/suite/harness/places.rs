//! Where a secret is searched for: files, and archives in them.

use std::path::Path;
use std::process::Command;

/// Prints every entry of a zip archive, after a line with its name.
const UNPACK: &str = "import sys, zipfile\n\
archive = zipfile.ZipFile(sys.argv[1])\n\
print('\\n'.join(archive.namelist())) if len(sys.argv) < 3 else \
sys.stdout.buffer.write(archive.read(sys.argv[2]))";

/// Something that may hold a secret.
pub struct Place {
    /// What it is: a path, or a description.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Place {
    /// A place of that name.
    pub fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: content.into(),
        }
    }
}

/// All files below a folder. One that vanishes on the way is none.
pub fn files(folder: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => places.extend(files(&path)),
            Ok(kind) if kind.is_file() => {
                if let Ok(bytes) = std::fs::read(&path) {
                    places.push(Place::new(path.to_string_lossy(), bytes));
                }
            }
            _ => {}
        }
    }
    places
}

/// The entries of the plan files below a folder: they are zip archives.
pub fn archives(folder: &Path) -> Vec<Place> {
    let plans = files(folder).into_iter().map(|file| file.name);
    let mut places = Vec::new();
    for plan in plans.filter(|name| name.ends_with(".plan")) {
        for entry in String::from_utf8(unpacked(&[&plan])).unwrap().lines() {
            places.push(Place::new(
                format!("{plan}!{entry}"),
                unpacked(&[&plan, entry]),
            ));
        }
    }
    places
}

fn unpacked(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("python3")
        .args(["-c", UNPACK])
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    output.stdout
}

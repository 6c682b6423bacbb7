//! What an operator is told of a berthd that serves and of the engine under it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::harness::{Docker, Runtime, TestBerth};

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The images of the catalogue by the name that `images list` prints, and whether it says that
/// they are here.
fn listed(berth: &TestBerth) -> Vec<(String, bool)> {
    let output = berth.cli(&["images", "list"]);
    assert!(output.status.success(), "{output:?}");
    let lines = printed(&output);
    let read = |line: &str| {
        let (name, rest) = line.split_once(' ').unwrap();
        let (state, recipe) = rest.split_once("recipe ").unwrap();
        assert!(!recipe.trim().is_empty(), "{line}");
        let here = match state.trim() {
            "here" => true,
            "not here" => false,
            _ => panic!("it is neither here nor not: {line}"),
        };
        (name.to_owned(), here)
    };
    lines.lines().map(read).collect()
}

/// What the doctor says, whose lines begin with a grade and a subject.
struct Report(String);

impl Report {
    fn of(berth: &TestBerth, arguments: &[&str], succeeds: bool) -> Self {
        let output = berth.cli(&[&["doctor"], arguments].concat());
        assert_eq!(output.status.success(), succeeds, "{output:?}");
        Self(printed(&output))
    }

    /// That there is a line of this grade on this subject which says this.
    #[track_caller]
    fn says(&self, grade: &str, subject: &str, found: &str) {
        self.says_of(&[grade], subject, found);
    }

    /// The same, with one of those grades.
    #[track_caller]
    fn says_of(&self, grades: &[&str], subject: &str, found: &str) {
        let said = grades.iter().any(|grade| {
            let start = format!("{grade:<4}  {subject:<10} ");
            let mut lines = self.0.lines().filter_map(|line| line.strip_prefix(&start));
            lines.any(|line| line.contains(found))
        });
        assert!(said, "no {grades:?} {subject} {found} in\n{}", self.0);
    }
}

#[test]
fn the_doctor_and_the_list_of_images_say_what_there_is() {
    let Some(berth) = TestBerth::start(Runtime::Docker) else {
        return;
    };
    let images = listed(&berth);
    let here = |name: &str| {
        let looked = Docker::default().try_run(&["image", "inspect", name]);
        looked.unwrap().status.success()
    };
    for (name, is_here) in &images {
        assert_eq!(*is_here, here(name), "{name}");
    }
    assert!(images.contains(&("berth/postgresql:17".to_owned(), true)));

    let report = Report::of(&berth, &[], true);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let engine = Docker::default().run(&["version", "--format", "{{.Server.Version}}"]);
    let key = berth.data_root().join("root.key").display().to_string();
    report.says("ok", "user", "root");
    report.says("ok", "kernel", kernel.trim());
    report.says("ok", "clock", "T");
    report.says("ok", "root key", &key);
    // How much room the machine has is not this test's to say.
    report.says_of(&["ok", "warn"], "disk", berth.data_root().to_str().unwrap());
    report.says("ok", "engine", &engine);
    for (name, is_here) in &images {
        let grade = if *is_here { "ok" } else { "warn" };
        report.says(grade, "image", name);
    }

    let nowhere = berth.data_root().join("nowhere.sock");
    let nowhere = nowhere.to_str().unwrap();
    let report = Report::of(&berth, &["--docker-socket", nowhere], false);
    report.says("FAIL", "engine", "");
    assert!(
        report.0.contains(&format!("(now {nowhere})")),
        "{}",
        report.0
    );

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    Report::of(&berth, &[], false).says("FAIL", "root key", "has mode 0644");
}

//! Env files that cannot be written, read or known for certain.

use super::*;
use crate::must_run::not_run;
use berth_domain::{Name, Secret, Slug};
use berth_services::env::{Format, Unwritable};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Mutex;

fn files(slug: &str, docker: Result<&str, &'static str>) -> EnvFiles {
    let name = berth_domain::EnvName::parse("HARD").unwrap();
    EnvFiles {
        slug: Slug::of(&Name::parse(slug).unwrap()),
        files: vec![
            EnvFile {
                format: Format::Dotenv,
                content: Ok(Secret::new("A='b c'\n")),
            },
            EnvFile {
                format: Format::Docker,
                content: docker
                    .map(Secret::new)
                    .map_err(|reason| Unwritable { name, reason }),
            },
        ],
    }
}

#[test]
fn files_are_for_their_owner_alone_and_go_when_they_would_be_wrong() {
    let scratch = std::env::temp_dir().join(format!("berth-env-{}", std::process::id()));
    let _absent = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).unwrap();
    let directory = Directory {
        run_root: scratch.join("0123abcd"),
    };
    // Whoever may not mount has no directory in memory, and this test no other way.
    if let Err(error) = in_memory(&directory.run_root) {
        return not_run(&format!("nothing can be mounted: {error}"));
    }
    let own = directory.all().join("shop");
    // What an earlier version wrote beside the keys stays until it is written anew.
    let old = directory.all().join("old");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("dotenv"), "C=d").unwrap();
    directory.write(&files("shop", Ok("A=b c\n"))).unwrap();
    assert_eq!(fs::read_to_string(old.join("dotenv")).unwrap(), "C=d");
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(&directory.all()), device(&directory.run_root));
    assert_eq!(fs::read_to_string(own.join("dotenv")).unwrap(), "A='b c'\n");
    assert_eq!(fs::read_to_string(own.join("docker")).unwrap(), "A=b c\n");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&own.join("dotenv")), 0o600);
    assert_eq!(mode(&own), 0o700);

    directory.write(&files("shop", Err("no"))).unwrap();
    assert!(own.join("dotenv").exists() && !own.join("docker").exists());
    directory.write(&files("other", Ok(""))).unwrap();
    directory
        .sweep(&BTreeSet::from(["shop".to_owned()]))
        .unwrap();
    assert!(own.exists() && !directory.all().join("other").exists());
    let none = EnvFiles {
        files: Vec::new(),
        ..files("shop", Ok(""))
    };
    directory.write(&none).unwrap();
    // With the last project the directories and their file systems go.
    assert!(!directory.run_root.exists());
    fs::remove_dir_all(&scratch).unwrap();
}

/// Projects of which some cannot be read.
#[derive(Default)]
struct Unreadable {
    projects: BTreeMap<ProjectId, Slug>,
    asked: Mutex<Vec<ProjectId>>,
    /// The events after which projects were looked for; the first look fails.
    looks: Mutex<Vec<i64>>,
}

fn away() -> berth_services::Error {
    berth_services::Error::Inconsistent {
        act: "open what is sealed",
        reason: "the store is away".to_owned(),
    }
}

/// The journal of a store.
fn journal() -> (watch::Sender<Journal>, watch::Receiver<Journal>) {
    watch::channel(Journal {
        last: 1,
        doubted: 0,
    })
}

#[async_trait]
impl Rows for Unreadable {
    async fn projects(&self) -> Result<(BTreeMap<ProjectId, Slug>, i64), berth_services::Error> {
        Ok((self.projects.clone(), 1))
    }

    async fn projects_after(
        &self,
        event: i64,
    ) -> Result<(BTreeSet<ProjectId>, i64), berth_services::Error> {
        let mut looks = self.looks.lock().unwrap();
        looks.push(event);
        if looks.len() == 1 {
            return Err(away());
        }
        Ok((BTreeSet::new(), event))
    }

    async fn files(&self, project: &ProjectId) -> Result<Option<EnvFiles>, berth_services::Error> {
        self.asked.lock().unwrap().push(project.clone());
        Err(away())
    }
}

#[tokio::test]
async fn files_that_cannot_be_looked_at_stay_and_are_tried_again() {
    let scratch = tempfile::tempdir().unwrap();
    let run_root = scratch.path().join("0123abcd");
    let (living, gone) = (run_root.join("env/shop"), run_root.join("env/gone"));
    for directory in [&living, &gone] {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("dotenv"), "A=b").unwrap();
    }
    let project = ProjectId::from_entropy([1; 8]);
    let slug = Slug::of(&Name::parse("shop").unwrap());
    let rows = Arc::new(Unreadable {
        projects: BTreeMap::from([(project.clone(), slug)]),
        ..Unreadable::default()
    });
    let (_store, watched) = journal();
    let mut keeper = Keeper::new(Arc::clone(&rows), watched, run_root);
    assert!(keeper.begin().await);
    assert!(living.join("dotenv").exists(), "a living project's files");
    assert!(!gone.exists(), "those of a project that is gone");
    keeper.follow().await;
    assert_eq!(*rows.asked.lock().unwrap(), [project.clone(), project]);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_or_is_in_doubt_is_read_again() {
    let scratch = tempfile::tempdir().unwrap();
    let rows = Arc::new(Unreadable::default());
    let (store, watched) = journal();
    let run_root = scratch.path().join("0123abcd");
    let mut keeper = Keeper::new(Arc::clone(&rows), watched, run_root);
    assert!(keeper.begin().await);
    assert_eq!(keeper.patience(), None);
    keeper.follow().await;
    assert!(keeper.patience().is_some(), "the first look failed");
    keeper.follow().await;
    assert_eq!(keeper.patience(), None);
    store.send_modify(|journal| journal.doubted = 2);
    assert!(
        keeper.patience().is_some(),
        "nobody knows whether it is there"
    );
    keeper.last_event = 2;
    assert_eq!(keeper.patience(), None, "it was found");
}

#[tokio::test]
async fn a_commit_in_doubt_makes_it_look() {
    let scratch = tempfile::tempdir().unwrap();
    let rows = Arc::new(Unreadable::default());
    let (store, watched) = journal();
    let run_root = scratch.path().join("0123abcd");
    let keeper = Keeper::new(Arc::clone(&rows), watched, run_root);
    let (_stop, stopping) = watch::channel(false);
    let kept = tokio::spawn(keeper.keep(stopping));
    store.send_modify(|journal| journal.doubted = 2);
    while rows.looks.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    kept.abort();
}

#[test]
fn what_an_interrupted_removal_left_goes_with_the_next_start() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = Directory {
        run_root: scratch.path().join("0123abcd"),
    };
    for left in [directory.all(), directory.run_root.clone()] {
        fs::create_dir_all(left).unwrap();
        directory.sweep(&BTreeSet::new()).unwrap();
        assert!(!directory.run_root.exists());
    }
}

//! What the tests of the loop stand on.

use crate::failpoint::Trap;
use crate::samples::{DAWN, PaperAuthority, Somewhere, addresses, database, plan, project};
use crate::step::BEGIN;
use crate::{Control, Error, Limits, Parts};
use berth_containers::{ContainerPlatform, FakeRuntime, ImageSource, Layout, Settings};
use berth_domain::{
    Catalogue, Clock, Condition, Database, DatabaseId, InstanceId, Intent, Observation, Operation,
    OperationId, OperationKind, OperationState, Status, Timestamp,
};
use berth_engines::Registry;
use berth_platform::{Endpoint, Login};
use berth_services::{Entropy, Outside, SystemEntropy, random};
use berth_store::{CredentialState, CredentialVersion, Keys, Store};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Rounds after which work that does not end is a failed test.
const ROUNDS_MAX: u32 = 200;

/// A clock that a test moves.
pub(crate) struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl Hands {
    pub(crate) fn forward_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

/// An installation in a directory of its own.
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) runtime: FakeRuntime,
    pub(crate) clock: Arc<Hands>,
    /// Where images come from that the fake does not have.
    pub(crate) images: Option<Arc<dyn ImageSource>>,
    registry: Arc<Registry>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        // In memory where that is to be had: durability is the store's and the renderer's test.
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let directory = directory.unwrap();
        let url = format!("sqlite:{}", directory.path().join("berth.db").display());
        let addresses = addresses();
        let store = Store::open(&url, addresses.installation(), Keys::from_root([7; 32]))
            .await
            .unwrap();
        let mut tx = store.begin().await.unwrap();
        if tx.project_by_id(&project().id).await.unwrap().is_none() {
            tx.insert_project(&project()).await.unwrap();
        }
        tx.commit().await.unwrap();
        let registry = Arc::new(Registry::all());
        Self {
            runtime: FakeRuntime::new(Arc::clone(&registry)),
            clock: Arc::new(Hands(AtomicI64::new(DAWN.as_millis()))),
            directory,
            store,
            images: None,
            registry,
        }
    }

    /// A berthd that has just started: nothing is remembered but rows and what the fake holds.
    pub(crate) fn control(&self) -> Control {
        let installation = addresses().installation().clone();
        let platform = ContainerPlatform::new(
            Arc::new(self.runtime.clone()),
            Arc::new(self.runtime.clone()),
            Arc::clone(&self.registry),
            Settings {
                layout: Layout::new(
                    self.data_root(),
                    self.directory.path().join("run"),
                    &installation,
                ),
                installation,
                range: "10.211.0.0/16".parse().unwrap(),
                public_network: addresses().public_network_name(),
                keep_keys_in_memory: false,
                fresh_id: Box::new(|| InstanceId::from_entropy(random(&SystemEntropy))),
            },
        );
        let platform = match &self.images {
            Some(source) => platform.with_images(Arc::clone(source)),
            None => platform,
        };
        Control::new(Parts {
            store: self.store.clone(),
            platform: Arc::new(platform),
            engines: Arc::clone(&self.registry),
            catalogue: Arc::new(Catalogue {
                plans: vec![plan()],
                regions: vec!["local".to_owned()],
            }),
            addresses: addresses(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            outside: Arc::new(Somewhere) as Arc<dyn Outside>,
            entropy: Arc::new(SystemEntropy) as Arc<dyn Entropy>,
            certificates: Arc::new(PaperAuthority),
            wake: Arc::new(Notify::new()),
            limits: Limits::default(),
        })
    }

    pub(crate) fn data_root(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Orders a database as the services do: row, password and operation in one transaction.
    pub(crate) async fn order(&self, name: &str) -> DatabaseId {
        self.order_row(database(name), Vec::new()).await
    }

    /// The same for that row, with what is told of it from the beginning.
    pub(crate) async fn order_row(&self, row: Database, told: Vec<Condition>) -> DatabaseId {
        let mut tx = self.store.begin().await.unwrap();
        tx.insert_database(&row).await.unwrap();
        let password = berth_services::random_password(&SystemEntropy);
        let engine = self.registry.get(&row.engine).unwrap();
        let verifier = engine.verifier(&password, random(&SystemEntropy));
        let credentials = CredentialVersion {
            version: row.credential_version,
            password,
            verifier,
            state: CredentialState::Current,
        };
        tx.put_credentials(&row.id, &credentials).await.unwrap();
        let mut observation = Observation::none_yet(self.now());
        observation.conditions = told;
        tx.put_observation(&row.id, &observation).await.unwrap();
        tx.insert_operation(&self.operation(&row, OperationKind::Provision))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        row.id
    }

    /// Changes what is wanted, and orders the operation that goes with it.
    pub(crate) async fn change(
        &self,
        id: &DatabaseId,
        kind: OperationKind,
        change: impl FnOnce(&mut Database),
    ) -> OperationId {
        let mut tx = self.store.begin().await.unwrap();
        let mut row = tx.database_by_id(id).await.unwrap().unwrap();
        change(&mut row);
        row.generation += 1;
        row.updated_at = self.now();
        tx.update_database(&row).await.unwrap();
        tx.supersede_operations(id, self.now()).await.unwrap();
        let operation = self.operation(&row, kind);
        tx.insert_operation(&operation).await.unwrap();
        tx.commit().await.unwrap();
        operation.id
    }

    pub(crate) async fn destroy(&self, id: &DatabaseId, window_days: i64) -> OperationId {
        let now = self.now();
        self.change(id, OperationKind::Destroy, |row| {
            row.intent = Intent::Destroy;
            row.destroyed_at = Some(now);
            row.recoverable_until = Some(now.plus_days(window_days));
        })
        .await
    }

    pub(crate) async fn undelete(&self, id: &DatabaseId) -> OperationId {
        let mut tx = self.store.begin().await.unwrap();
        let known = tx.observation(id).await.unwrap();
        let observation = Observation::of_restored(known.as_ref(), self.now());
        tx.put_observation(id, &observation).await.unwrap();
        tx.commit().await.unwrap();
        self.change(id, OperationKind::Restore, |row| {
            row.intent = Intent::Run;
            row.destroyed_at = None;
            row.recoverable_until = None;
        })
        .await
    }

    fn operation(&self, row: &Database, kind: OperationKind) -> Operation {
        let now = self.now();
        Operation {
            id: OperationId::from_entropy(random(&SystemEntropy)),
            kind,
            database_id: row.id.clone(),
            project_id: row.project_id.clone(),
            instance: row.instance.clone(),
            generation: row.generation,
            state: OperationState::Pending,
            step: BEGIN.to_owned(),
            attempt: 0,
            due_at: now,
            deadline_at: now.plus_seconds(600),
            lease: None,
            failure: None,
            created_at: now,
            finished_at: None,
        }
    }

    /// Works until no operation is pending, moving the clock where everything waits.
    pub(crate) async fn run_until_idle(&self, control: &Control) {
        for _ in 0..ROUNDS_MAX {
            let leased = control.lease(10).await.unwrap();
            if leased.is_empty() {
                if self.store.pending_operations().await.unwrap() == 0 {
                    return;
                }
                self.clock.forward_seconds(16);
            }
            for operation in leased {
                control.work(operation).await;
            }
        }
        panic!("operations are still pending after {ROUNDS_MAX} rounds");
    }

    /// Works on what is due now, once.
    pub(crate) async fn work_once(&self, control: &Control) {
        for operation in control.lease(10).await.unwrap() {
            control.work(operation).await;
        }
    }

    /// One round of looking after everything.
    pub(crate) async fn look_after(&self, control: &Control) {
        control.refresh().await.unwrap();
        let patients = control.roster().after(None, usize::MAX);
        for (id, patient) in patients {
            control.visit(&id, &patient).await;
        }
        control.tell_of_looks().await.unwrap();
    }

    pub(crate) async fn row(&self, id: &DatabaseId) -> Database {
        self.store.database_by_id(id).await.unwrap().unwrap()
    }

    pub(crate) async fn seen(&self, id: &DatabaseId) -> Observation {
        let seen = self.store.observation(id).await.unwrap();
        seen.unwrap_or_else(|| Observation::none_yet(DAWN))
    }

    pub(crate) async fn status(&self, id: &DatabaseId) -> Status {
        self.seen(id).await.status(self.row(id).await.intent)
    }

    pub(crate) async fn latest(&self, id: &DatabaseId) -> Operation {
        self.store.latest_operation(id).await.unwrap().unwrap()
    }

    pub(crate) async fn credentials(&self, id: &DatabaseId) -> Vec<CredentialVersion> {
        self.store.credentials(id).await.unwrap()
    }

    /// Whether an application gets in with these credentials.
    pub(crate) async fn gets_in(
        &self,
        control: &Control,
        id: &DatabaseId,
        with: &CredentialVersion,
    ) -> bool {
        let row = self.row(id).await;
        let login = Login {
            database_name: row.database_name,
            username: row.username,
            password: with.password.clone(),
        };
        let platform = &control.parts.platform;
        match platform
            .login(&row.instance, Endpoint::Pooler, &login)
            .await
        {
            Ok(_) => true,
            Err(berth_platform::Error::LoginRefused { .. }) => false,
            Err(error) => panic!("the pooler does not answer: {error}"),
        }
    }

    /// How many containers, networks, data directories and directories in the trash there are.
    pub(crate) fn count(&self) -> Count {
        let directories = |name: &str| entries(&self.data_root().join(name));
        Count {
            containers: self.runtime.container_names().len(),
            networks: self.runtime.network_names().len(),
            instances: directories("instances"),
            trash: directories("trash"),
        }
    }
}

/// What exists outside the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) containers: usize,
    pub(crate) networks: usize,
    pub(crate) instances: usize,
    pub(crate) trash: usize,
}

impl Count {
    /// One database with a pooler.
    pub(crate) const ONE: Self = Self {
        containers: 2,
        networks: 1,
        instances: 1,
        trash: 0,
    };
    /// One database in the trash.
    pub(crate) const ONE_IN_TRASH: Self = Self {
        containers: 0,
        networks: 0,
        instances: 0,
        trash: 1,
    };
    /// Nothing.
    pub(crate) const NONE: Self = Self {
        trash: 0,
        ..Self::ONE_IN_TRASH
    };
}

fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

/// A trap that ends the loop at the first passing of `point`, and tells whether it did.
pub(crate) fn crash_once(control: &mut Control, point: &'static str) -> Arc<Mutex<bool>> {
    spring(control, point, |point| Error::Crashed {
        point: point.to_owned(),
    })
}

/// A trap that makes a step fail at the first passing of `point`, and tells whether it did.
pub(crate) fn fail_once(control: &mut Control, point: &'static str) -> Arc<Mutex<bool>> {
    spring(control, point, |_| Error::Vanished)
}

/// A trap that makes a step fail at each passing of `point`.
pub(crate) fn fail_always(control: &mut Control, point: &'static str) {
    let trap: Trap = Arc::new(move |at| {
        if at == point {
            return Err(Error::Vanished);
        }
        Ok(())
    });
    control.failpoints.trap = Some(trap);
}

fn spring(
    control: &mut Control,
    wanted: &'static str,
    error: impl Fn(&'static str) -> Error + Send + Sync + 'static,
) -> Arc<Mutex<bool>> {
    let sprung = Arc::new(Mutex::new(false));
    let told = Arc::clone(&sprung);
    let trap: Trap = Arc::new(move |point| {
        let mut sprung = told.lock().unwrap();
        if point == wanted && !*sprung {
            *sprung = true;
            return Err(error(point));
        }
        Ok(())
    });
    control.failpoints.trap = Some(trap);
    sprung
}

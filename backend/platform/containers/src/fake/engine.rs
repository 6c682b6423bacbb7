//! Engines and poolers that are nothing but a file in a data directory.

use super::FakeRuntime;
use super::state::{Container, State};
use super::verbs::serves;
use crate::runtime::{Cause, Exec, ExecOutcome, HostMount, Role, RuntimeError, Workload};
use crate::sessions::{Dialer, Target};
use async_trait::async_trait;
use berth_domain::{Effect, Secret, Statement};
use berth_engines::{Access, DATA, Occasion, Registry};
use berth_platform::{Dialled, Endpoint, Error, Login, Row, Session};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What an image's id begins with here.
const IMAGE_ID: &str = "fake:";
/// What separates it from how often it was built anew.
const BUILD: char = '@';
/// The file in a data directory that stands for all that an engine keeps.
const FILE: &str = "fake.json";

/// The id of the image that bears that name.
pub(super) fn image_id(name: &str, rebuilt: u32) -> String {
    match rebuilt {
        0 => format!("{IMAGE_ID}{name}"),
        times => format!("{IMAGE_ID}{name}{BUILD}{times}"),
    }
}

/// The name of an image that is given by its id or its name.
pub(super) fn image_name(image: &str) -> &str {
    let name = image.trim_start_matches(IMAGE_ID);
    name.split_once(BUILD).map_or(name, |(name, _)| name)
}

/// What a fake engine keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    verifiers: BTreeMap<String, Option<String>>,
    databases: BTreeSet<String>,
}

impl Kept {
    fn read(data: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(data.join(FILE))?)?)
    }

    fn write(&self, data: &Path) -> std::io::Result<()> {
        std::fs::write(data.join(FILE), serde_json::to_vec(self)?)
    }

    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::None => {}
            Effect::Login { username, database } => {
                self.verifiers.entry(username.clone()).or_default();
                self.databases.insert(database.clone());
            }
            Effect::Verifier { username, verifier } => {
                let verifier = Some(verifier.reveal().to_owned());
                self.verifiers.insert(username.clone(), verifier);
            }
        }
    }
}

/// What happens when a container starts: a job does its work and ends with a code.
pub(super) fn start(registry: &Registry, workload: &Workload) -> Result<Option<i64>, RuntimeError> {
    if workload.labels.role != Role::Initialise {
        return Ok(None);
    }
    // What the contract's suite asks a job for.
    if workload.command.iter().any(|word| word == "exit 3") {
        return Ok(Some(3));
    }
    let made = (|| {
        let image = image_name(&workload.image);
        let marker = registry
            .iter()
            .flat_map(|engine| engine.versions().iter().map(move |v| (engine, v)))
            .find(|(_, version)| version.image == image)
            .map(|(engine, version)| engine.initialisation(version, Occasion::Order).marker);
        for mount in workload.mounts.iter().filter(|m| m.access == Access::Write) {
            if let Some(marker) = marker.map(|m| mount.source.join(m)) {
                if let Some(parent) = marker.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(marker, b"fake")?;
            }
            Kept::default().write(&mount.source)?;
        }
        Ok::<_, std::io::Error>(Some(0))
    })();
    made.map_err(|source| RuntimeError::Failed {
        act: "initialise a data directory",
        source: source.into(),
    })
}

/// Only `cat` exists here.
pub(super) fn exec(exec: &Exec) -> ExecOutcome {
    if exec.command == ["cat"] {
        ExecOutcome {
            exit_code: 0,
            output: String::from_utf8_lossy(&exec.stdin).into_owned(),
        }
    } else {
        ExecOutcome {
            exit_code: 127,
            output: String::new(),
        }
    }
}

fn source_of<'a>(mounts: &'a [HostMount], wanted: &Path) -> Option<&'a HostMount> {
    mounts.iter().find(|mount| mount.source == wanted)
}

/// Whether an engine has to run to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It does.
    Awake,
    /// A pooler's administration answers without one.
    Asleep,
}

impl Reach {
    fn of(endpoint: Endpoint, is_administrator: bool) -> Self {
        match endpoint {
            Endpoint::Pooler if is_administrator => Self::Asleep,
            Endpoint::Pooler | Endpoint::Engine => Self::Awake,
        }
    }
}

/// The pooler at those sockets, while it runs.
fn pooler_at<'a>(state: &'a mut State, sockets: &Path) -> Option<&'a mut Container> {
    state
        .containers
        .values_mut()
        .find(|c| serves(c, Role::Pooler) && source_of(&c.workload.mounts, sockets).is_some())
}

/// The data directory behind a socket, where the process at it runs.
fn behind(state: &State, endpoint: Endpoint, sockets: &Path, reach: Reach) -> Option<PathBuf> {
    let engine_sockets = match endpoint {
        Endpoint::Engine => sockets.to_owned(),
        Endpoint::Pooler => {
            let pooler = state.containers.values().find(|c| {
                serves(c, Role::Pooler) && source_of(&c.workload.mounts, sockets).is_some()
            })?;
            // It reads its configuration and reaches its engine; the latter is a mount that
            // an engine has too.
            let engines = state
                .containers
                .values()
                .filter(|c| c.labels().role == Role::Engine);
            engines
                .flat_map(|c| &c.workload.mounts)
                .map(|m| m.source.clone())
                .find(|source| source_of(&pooler.workload.mounts, source).is_some())?
        }
    };
    let engine = state.containers.values().find(|c| {
        c.labels().role == Role::Engine
            && (c.runs() || reach == Reach::Asleep)
            && source_of(&c.workload.mounts, &engine_sockets).is_some()
    })?;
    let mut written = engine
        .workload
        .mounts
        .iter()
        .filter(|m| m.access == Access::Write && m.source != engine_sockets);
    written.next().map(|mount| mount.source.join(DATA))
}

/// Whether the pooler's configuration lets this verifier through.
fn is_listed(state: &State, sockets: &Path, verifier: &str) -> bool {
    let pooler = state
        .containers
        .values()
        .find(|c| serves(c, Role::Pooler) && source_of(&c.workload.mounts, sockets).is_some());
    let read = pooler
        .iter()
        .flat_map(|c| &c.workload.mounts)
        .filter(|m| m.access == Access::Read);
    read.filter_map(|mount| std::fs::read_dir(&mount.source).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .any(|text| text.contains(verifier))
}

fn silent(why: &str) -> Dialled {
    Dialled::Silent(Cause::from(why.to_owned()))
}

#[async_trait]
impl Dialer for FakeRuntime {
    async fn dial(&self, target: &Target<'_>, login: &Login) -> Result<Box<dyn Session>, Dialled> {
        let sockets = target.socket.parent().unwrap_or(&target.socket).to_owned();
        let mut state = self.state();
        let socket = match target.endpoint {
            Endpoint::Engine => Some(target.engine.engine_socket()),
            Endpoint::Pooler => target.engine.pooler_socket(),
        };
        let is_administrator = login.password.reveal().is_empty()
            && socket.is_some_and(|socket| socket.administrator == login.username);
        let reach = Reach::of(target.endpoint, is_administrator);
        let data = behind(&state, target.endpoint, &sockets, reach)
            .ok_or_else(|| silent("nothing runs there"))?;
        let holds = target.endpoint == Endpoint::Pooler
            && pooler_at(&mut state, &sockets).is_some_and(|pooler| pooler.paused);
        if holds && !is_administrator {
            return Err(silent("the pooler holds its clients"));
        }
        let version = version_at(&state, target, &data);
        let kept = Kept::read(&data).map_err(|e| Dialled::Silent(e.into()))?;
        if !is_administrator {
            let verifier = kept.verifiers.get(&login.username).cloned().flatten();
            let fits = verifier.is_some_and(|verifier| {
                let listed =
                    target.endpoint == Endpoint::Engine || is_listed(&state, &sockets, &verifier);
                listed
                    && target
                        .engine
                        .verifies(&login.password, &Secret::new(verifier))
            });
            if !fits || !kept.databases.contains(&login.database_name) {
                return Err(Dialled::Refused(Cause::from(
                    "password authentication failed",
                )));
            }
        }
        Ok(Box::new(FakeSession {
            runtime: self.clone(),
            endpoint: target.endpoint,
            sockets,
            data,
            reach,
            words: Words::of(target),
            may_change: is_administrator && target.endpoint == Endpoint::Engine,
            answers: answers(target, version.as_deref()),
        }))
    }
}

/// The version of the engine on that data.
fn version_at(state: &State, target: &Target<'_>, data: &Path) -> Option<String> {
    let home = data.parent()?;
    let on_data = |c: &&Container| source_of(&c.workload.mounts, home).is_some();
    let engine = state.containers.values().find(on_data)?;
    let image = image_name(&engine.workload.image);
    let versions = target.engine.versions();
    let version = versions.iter().find(|version| version.image == image)?;
    Some(format!("{}.0", version.name))
}

/// The questions that a description asks, and what a fake says to them.
fn answers(target: &Target<'_>, version: Option<&str>) -> Vec<(Statement, String)> {
    let engine = target.engine;
    let version = version.unwrap_or_default().to_owned();
    vec![
        (engine.ask_version(), version),
        (engine.ask_size(), (8 * 1024 * 1024).to_string()),
        (engine.ask_connections(), "0".to_owned()),
        (engine.ask_sleep_blockers(), "0".to_owned()),
    ]
}

struct FakeSession {
    runtime: FakeRuntime,
    endpoint: Endpoint,
    sockets: PathBuf,
    data: PathBuf,
    reach: Reach,
    words: Words,
    may_change: bool,
    answers: Vec<(Statement, String)>,
}

/// What is said to a pooler and changes or tells what its clients do.
struct Words {
    pause: Statement,
    resume: Statement,
    ask_paused: Statement,
    ask_activity: Vec<Statement>,
}

impl Words {
    fn of(target: &Target<'_>) -> Self {
        Self {
            pause: target.engine.pause_pooler(),
            resume: target.engine.resume_pooler(),
            ask_paused: target.engine.ask_paused(),
            ask_activity: target.engine.ask_pooler_activity(),
        }
    }
}

impl FakeSession {
    fn hold_or_let_go(&self, statement: &Statement) {
        let mut state = self.runtime.state();
        let Some(pooler) = pooler_at(&mut state, &self.sockets) else {
            return;
        };
        if *statement == self.words.pause {
            pooler.paused = true;
        } else if *statement == self.words.resume {
            pooler.paused = false;
            pooler.waiting = 0;
        }
    }

    /// PgBouncer's answers, as far as they are asked for.
    fn pooler_says(&self, question: &Statement) -> Option<Vec<Row>> {
        let mut state = self.runtime.state();
        let pooler = pooler_at(&mut state, &self.sockets)?;
        let cells = |words: &[&str]| words.iter().map(|w| Some((*w).to_owned())).collect();
        if *question == self.words.ask_paused {
            let word = if pooler.paused { "yes" } else { "no" };
            return Some(vec![cells(&["paused", word])]);
        }
        let at = self.words.ask_activity.iter().position(|s| s == question)?;
        Some(vec![match at {
            0 => cells(&[
                "app",
                "app",
                "0",
                &pooler.waiting.to_string(),
                "0",
                "0",
                "0",
            ]),
            _ => cells(&["app", &pooler.transactions.to_string()]),
        }])
    }

    fn alive(&self, act: &str) -> Result<(), Error> {
        let found = behind(
            &self.runtime.state(),
            self.endpoint,
            &self.sockets,
            self.reach,
        );
        if found.as_ref() == Some(&self.data) {
            Ok(())
        } else {
            Err(Error::Statement {
                act: act.to_owned(),
                source: "the connection is closed".into(),
            })
        }
    }
}

#[async_trait]
impl Session for FakeSession {
    async fn run(&self, statements: &[Statement]) -> Result<(), Error> {
        for statement in statements {
            let act = statement.act();
            self.alive(act)?;
            self.hold_or_let_go(statement);
            if !self.may_change || *statement.effect() == Effect::None {
                continue;
            }
            let changed = Kept::read(&self.data).and_then(|mut kept| {
                kept.apply(statement.effect());
                kept.write(&self.data)
            });
            changed.map_err(|source| Error::Statement {
                act: act.to_owned(),
                source: source.into(),
            })?;
        }
        Ok(())
    }

    async fn ask(&self, question: &Statement) -> Result<Vec<Row>, Error> {
        self.alive(question.act())?;
        if let Some(rows) = self.pooler_says(question) {
            return Ok(rows);
        }
        let known = self.answers.iter().find(|(asked, _)| asked == question);
        let answer = known.map_or_else(|| "1".to_owned(), |(_, answer)| answer.clone());
        Ok(vec![vec![Some(answer)]])
    }
}

//! Engines and poolers that are nothing but a file in a data directory.

use super::FakeRuntime;
use super::container::Container;
use super::state::State;
use crate::power_cut::{Act, note};
use crate::runtime::{Cause, Exec, ExecOutcome, Role, RuntimeError};
use crate::sessions::{Dialer, Target};
use async_trait::async_trait;
use berth_domain::{Effect, Secret, Statement};
use berth_engines::{Access, DATA, Description, Occasion, Registry};
use berth_platform::{Dialled, Endpoint, Error, Login, Row, Session};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What an image's id begins with here.
const IMAGE_ID: &str = "fake:";
/// What separates it from how often it was built anew.
const BUILD: char = '@';
/// How large every database is.
const SIZE_BYTES: u64 = 8 * 1024 * 1024;
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

    /// Whether whoever comes with that login gets in, through that pooler if there is one.
    fn lets_in(&self, target: &Target<'_>, login: &Login, pooler: Option<&Container>) -> bool {
        let verifier = self.verifiers.get(&login.username).cloned().flatten();
        let fits = verifier.is_some_and(|verifier| {
            pooler.is_none_or(|pooler| is_listed(pooler, &verifier))
                && target
                    .engine
                    .verifies(&login.password, &Secret::new(verifier))
        });
        fits && self.databases.contains(&login.database_name)
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
pub(super) fn start(
    registry: &Registry,
    container: &Container,
) -> Result<Option<i32>, RuntimeError> {
    if container.role() != Role::Initialise {
        return Ok(None);
    }
    // What the contract's suite asks a job for.
    if container.command().iter().any(|word| word == "exit 3") {
        return Ok(Some(3));
    }
    let made = (|| {
        let image = image_name(container.image());
        let marker = registry
            .iter()
            .flat_map(|engine| engine.versions().iter().map(move |v| (engine, v)))
            .find(|(_, version)| version.image == image)
            .map(|(engine, version)| engine.initialisation(version, Occasion::Order).marker);
        let written = container.sources().filter(|(_, how)| *how == Access::Write);
        for (source, _) in written {
            if let Some(marker) = marker.map(|m| source.join(m)) {
                if let Some(parent) = marker.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(marker, b"fake")?;
            }
            Kept::default().write(&source)?;
            // As of a real one, nothing of it is on disk before it is synced.
            note(Act::Written(&source.join(FILE)));
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

/// The engine that a process leads to: itself, or the one behind a pooler.
///
/// A pooler reads its configuration and reaches its engine; the latter is a mount that an
/// engine has too.
fn engine_of(state: &State, process: u32, endpoint: Endpoint, reach: Reach) -> Option<u32> {
    let container = state.get(process)?;
    let there = |(_, engine): &(u32, &Container)| engine.runs() || reach == Reach::Asleep;
    match endpoint {
        Endpoint::Engine => Some((process, container)).filter(there),
        Endpoint::Pooler if !container.serves(Role::Pooler) => None,
        Endpoint::Pooler => container
            .sources()
            .find_map(|(source, _)| state.writing(&source, Role::Engine).find(there)),
    }
    .map(|(number, _)| number)
}

/// The process at those sockets.
fn process_at(state: &State, endpoint: Endpoint, sockets: &Path) -> Option<u32> {
    let found = match endpoint {
        Endpoint::Engine => state.writing(sockets, Role::Engine).next(),
        Endpoint::Pooler => state
            .writing(sockets, Role::Pooler)
            .find(|(_, pooler)| pooler.runs()),
    };
    found.map(|(number, _)| number)
}

/// The data directory of an engine: its sockets lie in another directory that it writes.
fn data_of(engine: &Container) -> Option<PathBuf> {
    let written = engine.sources().filter(|(_, how)| *how == Access::Write);
    let mut found = written.map(|(source, _)| source.join(DATA));
    found.find(|data| data.join(FILE).exists())
}

/// Whether the pooler's configuration lets this verifier through.
fn is_listed(pooler: &Container, verifier: &str) -> bool {
    let read = pooler.sources().filter(|(_, how)| *how == Access::Read);
    read.filter_map(|(source, _)| std::fs::read_dir(source).ok())
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
        let sockets = target.socket.parent().unwrap_or(&target.socket);
        let state = self.state();
        let socket = match target.endpoint {
            Endpoint::Engine => Some(target.engine.engine_socket()),
            Endpoint::Pooler => target.engine.pooler_socket(),
        };
        let is_administrator = login.password.reveal().is_empty()
            && socket.is_some_and(|socket| socket.administrator == login.username);
        let reach = Reach::of(target.endpoint, is_administrator);
        let nothing = || silent("nothing runs there");
        let process = process_at(&state, target.endpoint, sockets).ok_or_else(nothing)?;
        let kept = engine_of(&state, process, target.endpoint, reach)
            .and_then(|engine| data_of(state.get(engine)?))
            .ok_or_else(nothing)?;
        let pooler = state
            .get(process)
            .filter(|_| target.endpoint == Endpoint::Pooler);
        if !is_administrator && pooler.is_some_and(|pooler| pooler.paused) {
            return Err(silent("the pooler holds its clients"));
        }
        let kept = Kept::read(&kept).map_err(|e| Dialled::Silent(e.into()))?;
        if !is_administrator && !kept.lets_in(target, login, pooler) {
            return Err(Dialled::Refused(Cause::from(
                "password authentication failed",
            )));
        }
        let mut engines = self.inner.registry.iter();
        let engine = engines.position(|engine| engine.name() == target.engine.name());
        let engine = engine.and_then(|at| u32::try_from(at).ok());
        Ok(Box::new(FakeSession {
            runtime: self.clone(),
            endpoint: target.endpoint,
            engine: engine.ok_or_else(nothing)?,
            process,
            reach,
            may_change: is_administrator && target.endpoint == Endpoint::Engine,
        }))
    }
}

/// A conversation with a process; it knows little, since a bench keeps many.
struct FakeSession {
    runtime: FakeRuntime,
    endpoint: Endpoint,
    /// Which engine of the registry it is.
    engine: u32,
    /// The number of the container at the other end.
    process: u32,
    reach: Reach,
    may_change: bool,
}

impl FakeSession {
    fn description(&self) -> Result<&dyn Description, Error> {
        let mut engines = self.runtime.inner.registry.iter();
        let at = usize::try_from(self.engine).unwrap_or(usize::MAX);
        engines.nth(at).ok_or_else(|| Error::Refused {
            code: "engine_unknown",
            reason: "there is no such engine".to_owned(),
        })
    }

    fn hangs(&self) -> bool {
        let state = self.runtime.state();
        let process = state.get(self.process);
        process.is_some_and(|process| state.hanging.contains(process.name()))
    }

    fn hold_or_let_go(&self, statement: &Statement) -> Result<(), Error> {
        if self.endpoint != Endpoint::Pooler {
            return Ok(());
        }
        let engine = self.description()?;
        let mut state = self.runtime.state();
        let Some(pooler) = state.get_mut(self.process) else {
            return Ok(());
        };
        if *statement == engine.pause_pooler() {
            pooler.paused = true;
        } else if *statement == engine.resume_pooler() {
            pooler.paused = false;
            pooler.waiting = 0;
        }
        Ok(())
    }

    /// PgBouncer's answers, as far as they are asked for.
    fn pooler_says(&self, question: &Statement) -> Result<Option<Vec<Row>>, Error> {
        if self.endpoint != Endpoint::Pooler {
            return Ok(None);
        }
        let engine = self.description()?;
        let state = self.runtime.state();
        let Some(pooler) = state.get(self.process) else {
            return Ok(None);
        };
        let cells = |words: &[&str]| words.iter().map(|w| Some((*w).to_owned())).collect();
        if *question == engine.ask_paused() {
            let word = if pooler.paused { "yes" } else { "no" };
            return Ok(Some(vec![cells(&["paused", word])]));
        }
        let questions = engine.ask_pooler_activity();
        let at = questions.iter().position(|known| known == question);
        Ok(at.map(|at| {
            vec![match at {
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
            }]
        }))
    }

    /// What an engine says to the questions that its description asks.
    fn engine_says(&self, question: &Statement) -> Result<String, Error> {
        let engine = self.description()?;
        let answer = if *question == engine.ask_version() {
            self.version(engine).unwrap_or_default()
        } else if *question == engine.ask_size() {
            SIZE_BYTES.to_string()
        } else if *question == engine.ask_connections() || *question == engine.ask_sleep_blockers()
        {
            "0".to_owned()
        } else {
            "1".to_owned()
        };
        Ok(answer)
    }

    fn version(&self, engine: &dyn Description) -> Option<String> {
        let state = self.runtime.state();
        let process = engine_of(&state, self.process, self.endpoint, self.reach)?;
        let image = image_name(state.get(process)?.image());
        let versions = engine.versions();
        let version = versions.iter().find(|version| version.image == image)?;
        Some(format!("{}.0", version.name))
    }

    /// The number of the engine at the other end.
    fn alive(&self, act: &str) -> Result<u32, Error> {
        engine_of(
            &self.runtime.state(),
            self.process,
            self.endpoint,
            self.reach,
        )
        .ok_or_else(|| Error::Statement {
            act: act.to_owned(),
            source: "the connection is closed".into(),
        })
    }

    fn change(&self, engine: u32, effect: &Effect) -> std::io::Result<()> {
        let data = self.runtime.state().get(engine).and_then(data_of);
        let data = data.ok_or(std::io::ErrorKind::NotFound)?;
        let mut kept = Kept::read(&data)?;
        kept.apply(effect);
        kept.write(&data)
    }
}

#[async_trait]
impl Session for FakeSession {
    async fn run(&self, statements: &[Statement]) -> Result<(), Error> {
        for statement in statements {
            let act = statement.act();
            let engine = self.alive(act)?;
            self.hold_or_let_go(statement)?;
            if !self.may_change || *statement.effect() == Effect::None {
                continue;
            }
            self.change(engine, statement.effect())
                .map_err(|source| Error::Statement {
                    act: act.to_owned(),
                    source: source.into(),
                })?;
        }
        Ok(())
    }

    async fn ask(&self, question: &Statement) -> Result<Vec<Row>, Error> {
        self.alive(question.act())?;
        if self.hangs() {
            std::future::pending::<()>().await;
        }
        if let Some(rows) = self.pooler_says(question)? {
            return Ok(rows);
        }
        Ok(vec![vec![Some(self.engine_says(question)?)]])
    }
}

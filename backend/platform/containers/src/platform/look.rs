//! How an instance is, and whom to ask.

use super::ContainerPlatform;
use crate::record::Record;
use crate::runtime::{ContainerState, Found, Role};
use crate::sessions::{self, Target};
use berth_domain::{EngineName, InstanceId, Observed};
use berth_engines::{Description, Socket};
use berth_platform::{Endpoint, Error};

/// From this many restarts on, a container that waits for the next one has failed.
const CRASH_LOOP_RESTARTS: u32 = 5;
/// How many of its last lines are searched for why.
const LOG_LINES_MAX: usize = 50;
/// How many of them are told.
const LAST_WORDS_MAX: usize = 3;
/// And how much of each.
const LAST_WORD_CHARACTERS_MAX: usize = 200;

impl ContainerPlatform {
    /// What a session needs to know, from the instance's own record.
    pub(super) fn described(&self, record: &Record) -> Result<&dyn Description, Error> {
        self.registry
            .get(&EngineName::new(record.engine.clone()))
            .map_err(|unknown| Error::Refused {
                code: "engine_unknown",
                reason: unknown.to_string(),
            })
    }

    pub(super) fn target<'a>(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        engine: &'a dyn Description,
    ) -> Result<(Target<'a>, Socket), Error> {
        let socket = match endpoint {
            Endpoint::Engine => Some(engine.engine_socket()),
            Endpoint::Pooler => engine.pooler_socket(),
        };
        let socket = socket.ok_or_else(|| Error::Refused {
            code: "no_pooler",
            reason: format!("{} has no pooler", engine.title()),
        })?;
        let path = self
            .layout()
            .place(instance, socket.place)
            .join(socket.name);
        let target = Target {
            engine,
            endpoint,
            socket: path,
        };
        Ok((target, socket))
    }

    pub(super) async fn recorded(&self, instance: &InstanceId) -> Result<Record, Error> {
        self.record(instance)
            .await?
            .ok_or_else(|| Error::NoSuchInstance {
                instance: instance.clone(),
            })
    }

    /// Whether engine and pooler answer in their own protocols. They are asked beside each other:
    /// one that is slow leaves the other its time.
    pub(super) async fn answers(
        &self,
        instance: &InstanceId,
        record: &Record,
    ) -> Result<bool, Error> {
        let engine = self.described(record)?;
        let ask = async |endpoint, probe| -> Result<bool, Error> {
            let (target, socket) = self.target(instance, endpoint, engine)?;
            let login = sessions::administrator(&socket);
            Ok(self
                .sessions
                .answers(instance, &target, &login, &probe)
                .await)
        };
        let of_engine = ask(Endpoint::Engine, engine.probe());
        if !record.has_pooler {
            return of_engine.await;
        }
        let of_pooler = ask(Endpoint::Pooler, engine.probe_pooler());
        let (engine_answers, pooler_answers) = tokio::try_join!(of_engine, of_pooler)?;
        Ok(engine_answers && pooler_answers)
    }

    /// What the containers tell of an instance that does not answer.
    pub(super) async fn diagnose(&self, record: &Record, found: &[Found]) -> Observed {
        let wanted = if record.has_pooler {
            &[Role::Engine, Role::Pooler][..]
        } else {
            &[Role::Engine][..]
        };
        let mut observed = Observed::Starting;
        for role in wanted {
            let Some(container) = found.iter().find(|f| f.labels.role == *role) else {
                return Observed::Absent;
            };
            match container.state {
                ContainerState::Created | ContainerState::Exited => observed = Observed::Stopped,
                ContainerState::Restarting => {
                    if let Some(reason) = self.crash_loop(container).await {
                        return Observed::Failed { reason };
                    }
                }
                ContainerState::Running | ContainerState::Other => {}
            }
        }
        observed
    }

    pub(super) async fn crash_loop(&self, container: &Found) -> Option<String> {
        let details = self.runtime.inspect(&container.id.0).await.ok()??;
        if details.restarts < CRASH_LOOP_RESTARTS {
            return None;
        }
        let role = container.labels.role;
        let why = if details.out_of_memory {
            "it needed more memory than its plan has".to_owned()
        } else {
            let lines = self.runtime.logs(&container.id, LOG_LINES_MAX).await;
            last_words(&lines.unwrap_or_default())
        };
        Some(format!(
            "the {role} has ended {} times; {why}",
            details.restarts
        ))
    }
}

/// Why a process ended, by its own words. Whoever may read a status may read them, so only the
/// lines that tell of an end are shown: others may hold statements and what stands in rows.
fn last_words(lines: &[String]) -> String {
    let mut told: Vec<String> = lines
        .iter()
        .rev()
        .filter(|line| line.contains("FATAL") || line.contains("PANIC"))
        .take(LAST_WORDS_MAX)
        .map(|line| line.chars().take(LAST_WORD_CHARACTERS_MAX).collect())
        .collect();
    told.reverse();
    if told.is_empty() {
        "its log may say why".to_owned()
    } else {
        format!("its last words: {}", told.join(" / "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_few_short_and_of_the_end() {
        let lines: Vec<String> = [
            "FATAL:  first",
            "ERROR:  duplicate key (card)=(4111)",
            "FATAL:  second",
            "STATEMENT:  INSERT INTO cards VALUES ('4111')",
            "PANIC:  third",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("FATAL:  {}", "ä".repeat(1000))])
        .collect();
        let told = last_words(&lines);
        assert!(
            told.starts_with("its last words: FATAL:  second / PANIC:  third / FATAL:  ä"),
            "{told}"
        );
        assert!(!told.contains("4111"), "{told}");
        assert!(
            told.chars().count() < LAST_WORDS_MAX * (LAST_WORD_CHARACTERS_MAX + 10),
            "{told}"
        );
        assert_eq!(last_words(&lines[1..2]), "its log may say why");
    }
}

//! Images that are not on this host yet, and how they come here.

use super::ContainerPlatform;
use super::bindings::Bindings;
use crate::instance::failed;
use crate::runtime::{Cause, ContainerRuntime, RuntimeError};
use async_trait::async_trait;
use berth_domain::{EngineName, InstanceId};
use berth_engines::{Description, Version};
use berth_platform::{Endpoint, Error, ErrorKind, Offer, Supply};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// The longest that getting one image may take, by whatever way.
const OBTAIN_SECONDS_MAX: u64 = 3000;
/// Seconds for which a failed attempt is told instead of begun again, so that everybody who
/// waited for it hears of it.
const FAILURE_SECONDS: u64 = 60;

/// Where images come from that are not on this host; `berthd` wires it.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// Why the image of that recipe cannot be got here; none when it is worth a try.
    fn objection(&self, recipe: &str) -> Option<String>;

    /// Gets the image `reference`, from a registry that was named or by building `recipe`. It may
    /// take minutes; one that is given up leaves nothing that goes on. The error is for people.
    async fn obtain(&self, reference: &str, recipe: &str) -> Result<(), Cause>;
}

/// A host on which every image is, or is got by hand.
pub(crate) struct NoSource;

#[async_trait]
impl ImageSource for NoSource {
    fn objection(&self, _recipe: &str) -> Option<String> {
        Some("berthd gets no images by itself here".to_owned())
    }

    async fn obtain(&self, _reference: &str, _recipe: &str) -> Result<(), Cause> {
        Err("berthd gets no images by itself here".into())
    }
}

/// The longest that the engine is asked whether an image is there now; one that takes longer is
/// silent.
const ASK_SECONDS_MAX: u64 = 10;

/// What became of the last attempt to get an image.
enum Attempt {
    UnderWay {
        task: AbortHandle,
        /// Whether nobody answered at some time since it began: if it fails, that is why.
        is_doubtful: bool,
    },
    Failed {
        at: Instant,
        why: String,
    },
}

/// The attempts, by the image's reference: one at a time for each.
#[derive(Clone, Default)]
pub(super) struct Attempts(Arc<Mutex<HashMap<String, Attempt>>>);

impl Attempts {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last attempt failed, while that is worth telling.
    fn failure(&self, reference: &str) -> Option<String> {
        match self.all().get(reference) {
            Some(Attempt::Failed { at, why })
                if at.elapsed() < Duration::from_secs(FAILURE_SECONDS) =>
            {
                Some(why.clone())
            }
            _ => None,
        }
    }

    /// Somebody did not answer, or may not have: whatever fails or has just failed did so for
    /// that, and whoever needs the image asks for it again.
    pub(super) fn doubt(&self) {
        self.all().retain(|_, attempt| match attempt {
            Attempt::UnderWay { is_doubtful, .. } => {
                *is_doubtful = true;
                true
            }
            Attempt::Failed { .. } => false,
        });
    }

    /// Writes that an attempt has failed, unless silence is to blame; whether it is.
    fn fail(&self, reference: &str, why: String, is_silent: bool) -> bool {
        let mut all = self.all();
        let doubtful = matches!(
            all.get(reference),
            Some(Attempt::UnderWay {
                is_doubtful: true,
                ..
            })
        );
        if is_silent || doubtful {
            all.remove(reference);
            return true;
        }
        let at = Instant::now();
        all.insert(reference.to_owned(), Attempt::Failed { at, why });
        false
    }

    fn end_all(&self) {
        for (_, attempt) in self.all().drain() {
            if let Attempt::UnderWay { task, .. } = attempt {
                task.abort();
            }
        }
    }
}

/// An image that an instance needs.
struct Wanted<'a> {
    reference: &'static str,
    recipe: Option<&'static str>,
    /// The id that the instance is bound to.
    bound: Option<&'a str>,
}

fn wanted<'a>(
    engine: &dyn Description,
    version: &Version,
    endpoints: &[Endpoint],
    bound: Option<&'a Bindings>,
) -> Vec<Wanted<'a>> {
    let mut wanted = Vec::new();
    if endpoints.contains(&Endpoint::Engine) {
        wanted.push(Wanted {
            reference: version.image,
            recipe: Some(version.recipe),
            bound: bound.and_then(|b| b.engine.as_deref()),
        });
    }
    if let Some(reference) = engine.pooler_image()
        && endpoints.contains(&Endpoint::Pooler)
    {
        wanted.push(Wanted {
            reference,
            recipe: engine.pooler_recipe(),
            bound: bound.and_then(|b| b.pooler.as_deref()),
        });
    }
    wanted
}

impl ContainerPlatform {
    pub(super) async fn supply(
        &self,
        instance: &InstanceId,
        engine: &EngineName,
        version: &str,
        endpoints: &[Endpoint],
    ) -> Result<Supply, Error> {
        let (engine, version) =
            self.registry
                .version(engine, version)
                .map_err(|unknown| Error::Refused {
                    code: "engine_unknown",
                    reason: unknown.to_string(),
                })?;
        let bindings = self.bindings(instance).await?;
        let mut supply = match bindings.is_lost {
            true => Supply::Replaced,
            false => Supply::Here,
        };
        for wanted in wanted(engine, version, endpoints, Some(&bindings)) {
            match self.here(&wanted).await? {
                None => {
                    self.begin(&wanted)?;
                    supply = Supply::OnTheWay;
                }
                Some(id) if wanted.bound.is_some_and(|bound| bound != id) => {
                    if supply == Supply::Here {
                        supply = Supply::Replaced;
                    }
                }
                Some(_) => {}
            }
        }
        Ok(supply)
    }

    /// The id of an image that is here.
    async fn here(&self, wanted: &Wanted<'_>) -> Result<Option<String>, Error> {
        let found = self.image(wanted.bound, wanted.reference, wanted.recipe);
        match found.await {
            Ok(id) => Ok(Some(id)),
            Err(Error::Refused { .. }) => Ok(None),
            Err(error) => {
                if error.kind() == ErrorKind::Unreachable {
                    self.attempts.doubt();
                }
                Err(error)
            }
        }
    }

    /// Begins to get an image, when nobody does already.
    fn begin(&self, wanted: &Wanted<'_>) -> Result<(), Error> {
        let reference = wanted.reference;
        if let Some(why) = self.attempts.failure(reference) {
            return Err(not_had(wanted, &why));
        }
        let recipe = wanted.recipe.unwrap_or_default();
        if let Some(why) = self.source.objection(recipe) {
            return Err(not_had(wanted, &why));
        }
        let mut attempts = self.attempts.all();
        if let Some(Attempt::UnderWay { task, .. }) = attempts.get(reference)
            && !task.is_finished()
        {
            return Ok(());
        }
        let task = tokio::spawn(obtain(
            Arc::clone(&self.source),
            Arc::clone(&self.runtime),
            self.attempts.clone(),
            reference,
            recipe.to_owned(),
        ));
        let begun = Attempt::UnderWay {
            task: task.abort_handle(),
            is_doubtful: false,
        };
        attempts.insert(reference.to_owned(), begun);
        Ok(())
    }

    /// What the catalogue offers, as far as the images tell.
    pub(super) async fn offers(&self) -> Result<Vec<Offer>, Error> {
        let mut offers = Vec::new();
        for engine in self.registry.iter() {
            for version in engine.versions() {
                offers.push(self.offer(engine, version).await?);
            }
        }
        Ok(offers)
    }

    async fn offer(&self, engine: &dyn Description, version: &Version) -> Result<Offer, Error> {
        let mut offer = Offer {
            engine: EngineName::new(engine.name()),
            version: version.name.to_owned(),
            unavailable: None,
            delay: None,
        };
        let both = [Endpoint::Engine, Endpoint::Pooler];
        let mut absent = Vec::new();
        for wanted in wanted(engine, version, &both, None) {
            if self.here(&wanted).await?.is_some() {
                continue;
            }
            let recipe = wanted.recipe.unwrap_or_default();
            let failure = self.attempts.failure(wanted.reference);
            match failure.or_else(|| self.source.objection(recipe)) {
                Some(why) => offer.unavailable = Some(not_had(&wanted, &why).to_string()),
                None => absent.push(wanted.reference),
            }
        }
        if !absent.is_empty() && offer.unavailable.is_none() {
            offer.delay = Some(format!(
                "{} is not on this host yet: the first create waits until it is, which takes minutes.",
                absent.join(" and ")
            ));
        }
        Ok(offer)
    }

    /// Whether a name points to another image than the one that the instance is bound to.
    pub(super) async fn is_outdated(&self, instance: &InstanceId) -> Result<bool, Error> {
        let Some(record) = self.record(instance).await? else {
            return Ok(false);
        };
        let engine = EngineName::new(record.engine.clone());
        let Ok((engine, version)) = self.registry.version(&engine, &record.version) else {
            return Ok(false);
        };
        let endpoints: &[Endpoint] = match record.has_pooler {
            true => &[Endpoint::Engine, Endpoint::Pooler],
            false => &[Endpoint::Engine],
        };
        let bindings = Bindings::from(record);
        for wanted in wanted(engine, version, endpoints, Some(&bindings)) {
            let current = self.runtime.image(wanted.reference).await;
            let current =
                current.map_err(|e| failed(format!("look for image {}", wanted.reference), e))?;
            if current.is_some_and(|id| Some(id.as_str()) != wanted.bound) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn stop_obtaining(&self) {
        self.attempts.end_all();
    }
}

/// Gets one image and writes what came of it.
async fn obtain(
    source: Arc<dyn ImageSource>,
    runtime: Arc<dyn ContainerRuntime>,
    attempts: Attempts,
    reference: &'static str,
    recipe: String,
) {
    let limit = Duration::from_secs(OBTAIN_SECONDS_MAX);
    let got = tokio::time::timeout(limit, async {
        source.obtain(reference, &recipe).await?;
        match runtime.image(reference).await? {
            Some(_) => Ok(()),
            None => Err(Cause::from("it was got and is not there")),
        }
    });
    let why = match got.await {
        Ok(Ok(())) => {
            tracing::info!(image = reference, "an image was got");
            attempts.all().remove(reference);
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took more than {OBTAIN_SECONDS_MAX} seconds"),
    };
    tracing::warn!(image = reference, why, "an image could not be got");
    let is_silent = is_silent(runtime.as_ref(), reference).await;
    if attempts.fail(reference, why, is_silent) {
        tracing::warn!(image = reference, "nobody answered who would get an image");
    }
}

/// Whether nobody answers now.
async fn is_silent(runtime: &dyn ContainerRuntime, reference: &str) -> bool {
    let limit = Duration::from_secs(ASK_SECONDS_MAX);
    let asked = tokio::time::timeout(limit, runtime.image(reference)).await;
    matches!(asked, Err(_) | Ok(Err(RuntimeError::Unreachable { .. })))
}

fn not_had(wanted: &Wanted<'_>, why: &str) -> Error {
    let by_hand = match wanted.recipe {
        Some(recipe) => format!(". Run `berthd images build {recipe}`"),
        None => String::new(),
    };
    Error::Refused {
        code: "image_missing",
        reason: format!(
            "the image {} is not on this host and could not be had: {why}{by_hand}",
            wanted.reference
        ),
    }
}

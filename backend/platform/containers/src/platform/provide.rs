//! How an instance comes about.

use super::ContainerPlatform;
use super::bindings::Bindings;
use crate::crash::crash_point;
use crate::host::{self, Owner};
use crate::instance::{self, failed, on_host};
use crate::network::{self, Joined, NoNetwork, Wish};
use crate::record::Record;
use crate::runtime::{Found, Role};
use crate::spares::{Job, Spares};
use crate::volatile;
use crate::workload::{self, Context, Wanted};
use berth_domain::InstanceId;
use berth_engines::{Description, Occasion, Version};
use berth_platform::{Error, InstanceSpec, Origin};
use std::path::Path;
use tokio::sync::watch;

/// The engine of a spec, and the images it is bound to.
pub(super) struct Bound<'a> {
    pub(super) engine: &'a dyn Description,
    pub(super) version: &'static Version,
    pub(super) record: Record,
}

/// Tells that the data is in its place, or on its way there: from then on the engine may start.
type Coming = watch::Sender<bool>;

impl ContainerPlatform {
    /// The id of the image that `bound` names when it is still here, else of `reference`.
    pub(super) async fn image(
        &self,
        bound: Option<&str>,
        reference: &str,
        recipe: Option<&str>,
    ) -> Result<String, Error> {
        for candidate in bound.into_iter().chain([reference]) {
            let found = self
                .runtime
                .image(candidate)
                .await
                .map_err(|e| failed(format!("look for image {candidate}"), e))?;
            if let Some(id) = found {
                return Ok(id);
            }
        }
        Err(Error::Refused {
            code: "image_missing",
            reason: missing_image(reference, recipe),
        })
    }

    /// Chooses the images: those that the instance is bound to while they exist, else the current
    /// ones.
    pub(super) async fn bind(&self, spec: &InstanceSpec) -> Result<Bound<'_>, Error> {
        let (engine, version) =
            self.registry
                .version(&spec.engine, &spec.version)
                .map_err(|unknown| Error::Refused {
                    code: "engine_unknown",
                    reason: unknown.to_string(),
                })?;
        let before = self.bindings(&spec.instance).await?;
        let engine_image = self.image(
            before.engine.as_deref(),
            version.image,
            Some(version.recipe),
        );
        let pooler_image = async {
            let kept = before.pooler.as_deref();
            match (spec.pooler.is_some(), engine.pooler_image()) {
                (true, Some(reference)) => self
                    .image(kept, reference, engine.pooler_recipe())
                    .await
                    .map(Some),
                _ => Ok(kept.map(str::to_owned)),
            }
        };
        let (engine_image, pooler_image) = tokio::try_join!(engine_image, pooler_image)?;
        tell_replaced(
            &spec.instance,
            &before,
            &engine_image,
            pooler_image.as_deref(),
        );
        let record = Record {
            engine: spec.engine.to_string(),
            version: spec.version.clone(),
            engine_image,
            has_pooler: spec.pooler.is_some() && pooler_image.is_some(),
            pooler_image,
            network: spec.network.name.clone(),
        };
        Ok(Bound {
            engine,
            version,
            record,
        })
    }

    /// Refuses a spec whose data must be there and is not, before anything is made for it.
    pub(super) fn expect_data(&self, spec: &InstanceSpec) -> Result<(), Error> {
        let data = self.layout().data(&spec.instance);
        if spec.origin == Origin::MustExist && !data.exists() {
            return Err(missing_data(&spec.instance, &data));
        }
        Ok(())
    }

    /// Makes the instance's directory what it must be around its data: its owner, its record.
    async fn write_record(&self, spec: &InstanceSpec, bound: &Bound<'_>) -> Result<(), Error> {
        let directory = self.layout().instance(&spec.instance);
        let bytes = bound
            .record
            .bytes()
            .map_err(|e| Error::failed("write an instance's record", e))?;
        on_host("write an instance's record", move || {
            crash_point("record.write.before");
            host::directory(&directory, Owner::HOME)?;
            let file = directory.join(Record::FILE);
            host::lasting_file(&file, &bytes, Owner::PRIVATE)?;
            crash_point("record.write.after");
            Ok(())
        })
        .await
    }

    /// Puts the instance's data where it belongs, and tells when the engine may start.
    async fn place_data(
        &self,
        spec: &InstanceSpec,
        bound: &Bound<'_>,
        found: &[Found],
        coming: &Coming,
    ) -> Result<Option<Job>, Error> {
        let instance = &spec.instance;
        let (data, awaited) = (
            self.layout().data(instance),
            self.layout().awaited(instance),
        );
        let exists = data.exists();
        // An engine's container comes after the data or after the note that it is awaited, and
        // goes before both: where there is a container and neither of them, there was data.
        if !exists && !awaited.exists() && found.iter().any(|f| f.labels.role == Role::Engine) {
            return Err(missing_data(instance, &data));
        }
        self.write_record(spec, bound).await?;
        let job = if exists {
            None
        } else {
            self.make_data(instance, bound, coming).await?
        };
        on_host("note that the data is there", move || {
            crash_point("data.confirm.before");
            host::absent(&awaited)?;
            crash_point("data.confirm.after");
            Ok(())
        })
        .await?;
        coming.send_replace(true);
        Ok(job)
    }

    /// Claims a data directory that waits, or makes one.
    async fn make_data(
        &self,
        instance: &InstanceId,
        bound: &Bound<'_>,
        coming: &Coming,
    ) -> Result<Option<Job>, Error> {
        let data = self.layout().data(instance);
        let note = self.layout().awaited(instance);
        let spares = self.spares(bound.engine, bound.version, &bound.record.engine_image);
        if spares.claim(&data).await? {
            return Ok(None);
        }
        // One initialisation at a time: they are bound by the host's cores, and whoever had
        // to wait may find a spare.
        let _turn = self.initialising.lock().await;
        if spares.claim(&data).await? {
            return Ok(None);
        }
        on_host("note that data is awaited", move || {
            crash_point("data.await.before");
            host::lasting_file(&note, b"", Owner::PRIVATE)?;
            crash_point("data.await.after");
            Ok(())
        })
        .await?;
        let id = (self.settings.fresh_id)();
        // The note survives whatever a container survives that waits by it.
        let begun = spares.begin(&id, Occasion::Order);
        let (making, ()) = tokio::try_join!(begun, self.sync(instance))?;
        coming.send_replace(true);
        spares.finish_at(making, &data).await.map(Some)
    }

    pub(super) fn spares<'a>(
        &'a self,
        engine: &'a dyn Description,
        version: &'a Version,
        image: &'a str,
    ) -> Spares<'a> {
        Spares {
            runtime: &self.runtime,
            asking: &self.asking,
            layout: self.layout(),
            installation: &self.settings.installation,
            engine,
            version,
            image,
        }
    }

    /// Takes the data back from the trash when it lies there.
    pub(super) async fn restore(&self, instance: &InstanceId) -> Result<(), Error> {
        let (from, to) = (
            self.layout().trashed(instance),
            self.layout().instance(instance),
        );
        if !from.exists() {
            return Ok(());
        }
        on_host(
            format!("restore the data of instance {instance}"),
            move || {
                crash_point("data.restore.before");
                // A record without data, from an interrupted attempt, must not be in the way.
                if !to.join("data").exists() {
                    host::no_tree(&to)?;
                }
                host::relocate(&from, &to)?;
                crash_point("data.restore.after");
                Ok(())
            },
        )
        .await
    }

    async fn network(&self, wish: Wish) -> Result<Joined, Error> {
        let act = format!("make the network {}", wish.name);
        network::ensure(
            self.runtime.as_ref(),
            &self.choosing_addresses,
            self.settings.range,
            &wish,
        )
        .await
        .map_err(|error| match error {
            NoNetwork::Runtime(error) => failed(act, error),
            NoNetwork::Full { .. } => Error::Refused {
                code: "network_range_full",
                reason: error.to_string(),
            },
        })
    }

    async fn networks(&self, spec: &InstanceSpec) -> Result<(Joined, Option<Joined>), Error> {
        let installation = self.settings.installation.to_string();
        let project = self.network(Wish {
            name: spec.network.name.clone(),
            installation: installation.clone(),
            internal: true,
            members_meet: true,
        });
        let public = async {
            match &spec.exposure {
                None => Ok(None),
                // Poolers of different projects share this one: they must not meet in it.
                Some(_) => self
                    .network(Wish {
                        name: self.settings.public_network.clone(),
                        installation,
                        internal: false,
                        members_meet: false,
                    })
                    .await
                    .map(Some),
            }
        };
        tokio::try_join!(project, public)
    }

    /// Brings the parts of an instance about, each as soon as it can be: the data beside the
    /// networks, the containers beside an initialisation that has started. What is under way
    /// comes to its end also where something else fails, so that a repetition finds it done.
    pub(super) async fn provide(
        &self,
        spec: &InstanceSpec,
        bound: &Bound<'_>,
        found: &[Found],
    ) -> Result<(), Error> {
        let (tell, mut told) = watch::channel(false);
        let data = async move {
            let job = self.place_data(spec, bound, found, &tell).await?;
            tokio::try_join!(self.sync(&spec.instance), self.clear(bound, job))?;
            Ok(())
        };
        let containers = async {
            let networks = self.networks(spec).await?;
            if told.wait_for(|coming| *coming).await.is_err() {
                // Why there is no data is told by the other side.
                return Ok(());
            }
            self.containers(spec, bound, found, networks).await
        };
        let (data, containers) = tokio::join!(data, containers);
        data.and(containers)
    }

    async fn clear(&self, bound: &Bound<'_>, job: Option<Job>) -> Result<(), Error> {
        let image = &bound.record.engine_image;
        match job {
            Some(job) => {
                let spares = self.spares(bound.engine, bound.version, image);
                spares.clear(job).await
            }
            None => Ok(()),
        }
    }

    /// Brings the containers of a spec about, both at once where neither is there yet.
    async fn containers(
        &self,
        spec: &InstanceSpec,
        bound: &Bound<'_>,
        found: &[Found],
        (project, public): (Joined, Option<Joined>),
    ) -> Result<(), Error> {
        let context = Context {
            layout: self.layout(),
            installation: &self.settings.installation,
            engine: bound.engine,
            version: bound.version,
            engine_image: &bound.record.engine_image,
            pooler_image: bound.record.pooler_image.as_deref(),
            project: &project,
            public: public.as_ref(),
        };
        let (engine, pooler) = workload::render(spec, &context);
        self.run_directory().await?;
        let files = (engine.clone(), pooler.clone());
        let stands = !found.is_empty();
        on_host("write an instance's configuration", move || {
            crash_point("files.write.before");
            let both = || std::iter::once(&files.0).chain(&files.1);
            if stands {
                // Of both before either: they share directories.
                both().try_for_each(volatile::note_lost)?;
            }
            both().try_for_each(volatile::write)?;
            crash_point("files.write.after");
            Ok(())
        })
        .await?;
        let of = |role| -> Vec<_> { found.iter().filter(|f| f.labels.role == role).collect() };
        let (engines, poolers) = (of(Role::Engine), of(Role::Pooler));
        let has_pooler = pooler.is_some();
        let engine = instance::ensure(self.runtime.as_ref(), &engine, &engines);
        let pooler = self.pooler(pooler.as_ref(), &poolers);
        if !has_pooler {
            // One that is not wanted any more holds the port that the engine is published on.
            pooler.await?;
            engine.await?;
        } else if engines.is_empty() {
            tokio::try_join!(engine, pooler)?;
        } else {
            // A pooler remembers what its first server told it: the engine is told first.
            engine.await?;
            pooler.await?;
        }
        Ok(())
    }

    async fn pooler(&self, wanted: Option<&Wanted>, found: &[&Found]) -> Result<(), Error> {
        let runtime = self.runtime.as_ref();
        if let Some(wanted) = wanted {
            return instance::ensure(runtime, wanted, found).await;
        }
        for unwanted in found {
            instance::remove(runtime, unwanted).await?;
        }
        Ok(())
    }

    /// Waits until the instance's directory and its names survive a power cut.
    async fn sync(&self, instance: &InstanceId) -> Result<(), Error> {
        let (directory, parent) = (self.layout().instance(instance), self.layout().instances());
        on_host(format!("sync the data of instance {instance}"), move || {
            host::sync(&directory.join(Record::FILE))?;
            host::sync(&directory)?;
            host::sync(&parent)
        })
        .await
    }
}

/// Says that an instance goes on under another image than the one it is bound to, which is no
/// more here or no more known.
fn tell_replaced(instance: &InstanceId, before: &Bindings, engine: &str, pooler: Option<&str>) {
    if before.is_lost {
        tracing::warn!(
            instance.id = %instance, now = engine,
            "nothing tells any more which image the data of an instance ran on; it goes on under the one that has the name now",
        );
    }
    let engines = (before.engine.as_deref(), Some(engine));
    for (before, now) in [engines, (before.pooler.as_deref(), pooler)] {
        if let (Some(before), Some(now)) = (before, now)
            && before != now
        {
            tracing::warn!(
                instance.id = %instance, before, now,
                "the image of an instance is gone from this host; it goes on under another",
            );
        }
    }
}

fn missing_data(instance: &InstanceId, data: &Path) -> Error {
    Error::Refused {
        code: "data_missing",
        reason: format!(
            "the data of instance {instance} is not at {}: restore it from a backup",
            data.display()
        ),
    }
}

fn missing_image(reference: &str, recipe: Option<&str>) -> String {
    match recipe {
        Some(recipe) => {
            format!("the image {reference} is not on this host: run `berthd images build {recipe}`")
        }
        None => format!("the image {reference} is not on this host, and no recipe builds it"),
    }
}

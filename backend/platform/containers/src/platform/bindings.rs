//! Which images an instance is bound to.

use super::ContainerPlatform;
use crate::instance::on_host;
use crate::record::Record;
use crate::runtime::Role;
use berth_domain::InstanceId;
use berth_platform::Error;

/// The ids of the images that an instance goes on under.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    /// The engine's.
    pub(super) engine: Option<String>,
    /// The pooler's.
    pub(super) pooler: Option<String>,
    /// Whether there is data and nothing tells any more which image it ran on.
    pub(super) is_lost: bool,
}

impl From<Record> for Bindings {
    fn from(record: Record) -> Self {
        Self {
            engine: Some(record.engine_image),
            pooler: record.pooler_image,
            is_lost: false,
        }
    }
}

impl ContainerPlatform {
    /// What an instance is bound to, also one whose data still lies in the trash. Data whose
    /// record is lost is bound to what its containers were made from.
    pub(super) async fn bindings(&self, instance: &InstanceId) -> Result<Bindings, Error> {
        let (record, has_data) = self.left_behind(instance).await?;
        if let Some(record) = record {
            return Ok(record.into());
        }
        if !has_data {
            return Ok(Bindings::default());
        }
        let found = self.find(instance).await?;
        let of = |role| {
            let own = found.iter().filter(|f| f.labels.role == role);
            own.filter_map(|f| f.image.clone()).next()
        };
        let engine = of(Role::Engine);
        Ok(Bindings {
            is_lost: engine.is_none(),
            engine,
            pooler: of(Role::Pooler),
        })
    }

    /// The record of an instance, wherever it lies, and whether there is data.
    async fn left_behind(&self, instance: &InstanceId) -> Result<(Option<Record>, bool), Error> {
        let places = [
            self.layout().instance(instance),
            self.layout().trashed(instance),
        ];
        on_host(
            format!("read the record of instance {instance}"),
            move || {
                for place in &places {
                    if let Some(record) = Record::read(place)? {
                        return Ok((Some(record), true));
                    }
                }
                Ok((None, places.iter().any(|place| place.join("data").exists())))
            },
        )
        .await
    }
}

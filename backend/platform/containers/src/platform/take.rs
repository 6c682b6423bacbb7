//! How an instance is taken away.

use super::ContainerPlatform;
use crate::crash::crash_point;
use crate::host::{self, Owner};
use crate::instance::{failed, on_host};
use crate::record::Record;
use crate::{network, volatile};
use berth_domain::InstanceId;
use berth_platform::{DataFate, Error};
use std::collections::HashSet;
use std::time::Duration;

/// How long a removal waits politely for its moment: ten seconds in all.
const ALONE_TRIES_MAX: u32 = 1000;
const ALONE_POLL_MILLIS: u64 = 10;

impl ContainerPlatform {
    /// Waits for a moment in which nothing is being put into networks. Asking for it openly
    /// would make every new instance wait behind the slowest one under way, so it is only
    /// asked for when no such moment came by itself.
    pub(super) async fn alone(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        for _ in 0..ALONE_TRIES_MAX {
            if let Ok(alone) = self.using.try_write() {
                return alone;
            }
            tokio::time::sleep(Duration::from_millis(ALONE_POLL_MILLIS)).await;
        }
        self.using.write().await
    }

    /// Networks and the run directory go with the last that used them. Of an instance that
    /// never got as far as a record nobody knows the network, so all are looked at.
    pub(super) async fn withdraw(&self, record: Option<&Record>) -> Result<(), Error> {
        let _alone = self.alone().await;
        let public = &self.settings.public_network;
        let may_go = |name: &str| record.is_none_or(|r| r.network == name || public == name);
        let installation = self.settings.installation.as_str();
        network::remove_unused(self.runtime.as_ref(), installation, may_go)
            .await
            .map_err(|e| failed("remove unused networks", e))?;
        let root = self.layout().run_root();
        on_host("remove the directory for sockets and keys", move || {
            volatile::withdraw(&root)
        })
        .await
    }

    /// Takes away the networks that no instance is in and nothing else is in any more.
    pub(super) async fn withdraw_unused(&self) -> Result<(), Error> {
        let act = "remove networks that were left behind";
        let (runtime, installation) = (self.runtime.as_ref(), self.settings.installation.as_str());
        let named = self.named_networks().await?;
        let may_go = |name: &str| !named.contains(name);
        let unused = network::unused(runtime, installation, may_go);
        if unused.await.map_err(|e| failed(act, e))?.is_empty() {
            return Ok(());
        }
        // A network may have been taken for an instance since.
        let _alone = self.alone().await;
        network::remove_unused(runtime, installation, may_go)
            .await
            .map_err(|e| failed(act, e))
    }

    /// The networks that the records of instances name.
    async fn named_networks(&self) -> Result<HashSet<String>, Error> {
        let directory = self.layout().instances();
        on_host("read the records of all instances", move || {
            let mut named = HashSet::new();
            for name in host::names(&directory)? {
                match Record::read(&directory.join(&name)) {
                    Ok(record) => named.extend(record.map(|record| record.network)),
                    // One disk block must not keep what all others left behind. What is in use
                    // stays, and what is wanted again is made again.
                    Err(error) => {
                        tracing::warn!(instance.id = name, %error, "could not read a record");
                    }
                }
            }
            Ok(named)
        })
        .await
    }

    /// The record of an instance that goes, wherever its data lies. One that cannot be read
    /// does not keep it: then nobody knows its network, and all are looked at.
    pub(super) async fn last_record(&self, instance: &InstanceId) -> Result<Option<Record>, Error> {
        let places = [
            self.layout().instance(instance),
            self.layout().trashed(instance),
        ];
        let name = instance.to_string();
        on_host(
            format!("read the record of instance {instance}"),
            move || {
                for place in places {
                    match Record::read(&place) {
                        Ok(Some(record)) => return Ok(Some(record)),
                        Ok(None) => {}
                        Err(error) => {
                            tracing::warn!(instance.id = name, %error, "could not read a record");
                        }
                    }
                }
                Ok(None)
            },
        )
        .await
    }

    pub(super) async fn dispose(&self, instance: &InstanceId, fate: DataFate) -> Result<(), Error> {
        let (here, trashed, rubbish) = (
            self.layout().instance(instance),
            self.layout().trashed(instance),
            self.layout().rubbish(),
        );
        let name = instance.to_string();
        on_host(
            format!("put away the data of instance {instance}"),
            move || {
                match fate {
                    DataFate::Trash => {
                        crash_point("data.trash.before");
                        if here.exists() {
                            host::relocate(&here, &trashed)?;
                        }
                        crash_point("data.trash.after");
                    }
                    DataFate::Purge => {
                        crash_point("data.purge.before");
                        // Out of the way first: a half-removed directory must never be mistaken
                        // for data that can be restored.
                        host::directory(&rubbish, Owner::PRIVATE)?;
                        for (n, path) in [here, trashed].iter().enumerate() {
                            let aside = rubbish.join(format!("{name}-{n}"));
                            host::no_tree(&aside)?;
                            host::relocate(path, &aside)?;
                            // Only its own: other purges may be under way beside it.
                            host::no_tree(&aside)?;
                        }
                        crash_point("data.purge.after");
                    }
                }
                Ok(())
            },
        )
        .await?;
        tracing::info!(instance.id = %instance, ?fate, "put away the data of an instance");
        Ok(())
    }
}

//! One container of an instance: made to match, or taken away.

use crate::crash::crash_point;
use crate::runtime::{
    Attachment, ContainerId, ContainerRuntime, ContainerState, Found, Labels, RuntimeError,
};
use crate::volatile;
use crate::workload::Wanted;
use berth_platform::Error;
use std::io;

/// Translates a runtime's error into one of the platform's.
pub(crate) fn failed(act: impl Into<String>, error: RuntimeError) -> Error {
    let act = act.into();
    match error {
        RuntimeError::Unreachable { source } => Error::Unreachable { act, source },
        // It may be there and cannot be understood: as with silence, nothing is concluded.
        foreign @ RuntimeError::NoCommonApi { .. } => Error::Unreachable {
            act,
            source: foreign.into(),
        },
        RuntimeError::PortTaken { port } => Error::Refused {
            code: "port_taken",
            reason: format!(
                "port {port} is in use on this host by something else: free it, or give the database another public_port"
            ),
        },
        full @ RuntimeError::NetworkFull { .. } => Error::Refused {
            code: "network_full",
            reason: format!(
                "{full}: take other containers out of it or spread its databases over more projects"
            ),
        },
        other => Error::failed(act, other),
    }
}

/// A blocking act on the host's file system, off the threads that serve others.
pub(crate) async fn on_host<T: Send + 'static>(
    act: impl Into<String>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(died) => Err(io::Error::other(died)),
    };
    done.map_err(|source| Error::failed(act.into(), source))
}

/// Makes the container of `wanted` match: adopted when it is ours and the same, replaced
/// when it is ours and another, created when it is not there. `found` are the containers
/// of this instance and role.
pub(crate) async fn ensure(
    runtime: &dyn ContainerRuntime,
    wanted: &Wanted,
    found: &[&Found],
) -> Result<(), Error> {
    let name = &wanted.workload.name;
    let mut kept = None;
    for candidate in found {
        if kept.is_none() && matches(wanted, candidate) {
            kept = Some(*candidate);
        } else {
            remove(runtime, candidate).await?;
        }
    }
    let (id, state, is_public) = match kept {
        Some(found) => (found.id.clone(), found.state, in_public(wanted, found)),
        None => (
            create(runtime, wanted).await?,
            ContainerState::Created,
            false,
        ),
    };
    if let Some(network) = wanted.public.as_ref().filter(|_| !is_public) {
        let attachment = Attachment {
            network: network.clone(),
            aliases: Vec::new(),
        };
        crash_point("container.attach.before");
        runtime
            .attach(&id, &attachment)
            .await
            .map_err(|e| failed(format!("publish {name}"), e))?;
        crash_point("container.attach.after");
    }
    match (wanted.running, state) {
        (true, ContainerState::Running) if volatile::is_unseen(wanted) => {
            tracing::warn!(
                instance.id = %wanted.workload.labels.instance, container.name = %name,
                "the directories of a container were gone; it starts anew",
            );
            stop(runtime, name, &id).await?;
            start(runtime, wanted, &id, false).await
        }
        (true, ContainerState::Running) => tell(runtime, wanted, &id).await,
        (true, _) => start(runtime, wanted, &id, kept.is_none()).await,
        (false, ContainerState::Running | ContainerState::Restarting) => {
            stop(runtime, name, &id).await
        }
        (false, _) => Ok(()),
    }
}

/// Whether a container is what is wanted, but for what can be changed in place.
fn matches(wanted: &Wanted, found: &Found) -> bool {
    let network = wanted.workload.network.as_ref();
    found.labels.spec == wanted.workload.labels.spec
        && network.is_none_or(|wanted| found.networks.contains(&wanted.network))
        // A published container that lost its network, or kept one it should not have.
        && found.networks.len() <= usize::from(network.is_some()) + usize::from(wanted.public.is_some())
}

fn in_public(wanted: &Wanted, found: &Found) -> bool {
    wanted
        .public
        .as_ref()
        .is_none_or(|network| found.networks.contains(network))
}

/// Creates the container under its own name, or under another when a stranger has that.
async fn create(runtime: &dyn ContainerRuntime, wanted: &Wanted) -> Result<ContainerId, Error> {
    let mut workload = wanted.workload.clone();
    for name in [&wanted.workload.name, &wanted.other_name] {
        workload.name.clone_from(name);
        crash_point("container.create.before");
        let created = runtime.create(&workload).await;
        crash_point("container.create.after");
        match created {
            Ok(id) => {
                let instance = &workload.labels.instance;
                tracing::info!(instance.id = %instance, container.name = %name, "created a container");
                return Ok(id);
            }
            Err(RuntimeError::NameTaken { .. }) => {}
            Err(error) => return Err(failed(format!("create container {name}"), error)),
        }
        let holder = runtime
            .inspect(name)
            .await
            .map_err(|e| failed(format!("look at container {name}"), e))?;
        // An earlier create whose answer was lost may only now have come to its end.
        let is_ours = holder
            .and_then(|details| details.labels)
            .is_some_and(|labels| is_same(&labels, &workload.labels));
        if is_ours {
            return Ok(ContainerId(name.clone()));
        }
    }
    Err(Error::Refused {
        code: "container_name_taken",
        reason: format!(
            "containers named {} and {} exist and are not berth's: rename or remove one of them",
            wanted.workload.name, wanted.other_name
        ),
    })
}

fn is_same(found: &Labels, wanted: &Labels) -> bool {
    found == wanted
}

async fn start(
    runtime: &dyn ContainerRuntime,
    wanted: &Wanted,
    id: &ContainerId,
    is_new: bool,
) -> Result<(), Error> {
    let name = &wanted.workload.name;
    // A new container has its limits; one that waited may have been given others since.
    if !is_new && !volatile::is_told(wanted) {
        runtime
            .limit(id, &wanted.workload.limits)
            .await
            .map_err(|e| failed(format!("limit container {name}"), e))?;
    }
    if volatile::is_unseen(wanted) {
        let mounting = wanted.clone();
        on_host("forget that directories were lost", move || {
            volatile::will_be_seen(&mounting)
        })
        .await?;
    }
    crash_point("container.start.before");
    runtime
        .start(id)
        .await
        .map_err(|e| failed(format!("start container {name}"), e))?;
    crash_point("container.start.after");
    let instance = &wanted.workload.labels.instance;
    tracing::info!(instance.id = %instance, container.name = %name, "started a container");
    remember(wanted).await
}

/// Tells a running process what has changed since it was told last.
async fn tell(
    runtime: &dyn ContainerRuntime,
    wanted: &Wanted,
    id: &ContainerId,
) -> Result<(), Error> {
    if volatile::is_told(wanted) {
        return Ok(());
    }
    let name = &wanted.workload.name;
    crash_point("container.signal.before");
    runtime
        .limit(id, &wanted.workload.limits)
        .await
        .map_err(|e| failed(format!("limit container {name}"), e))?;
    runtime
        .signal(id, wanted.reload_signal)
        .await
        .map_err(|e| failed(format!("reload container {name}"), e))?;
    crash_point("container.signal.after");
    let instance = &wanted.workload.labels.instance;
    tracing::info!(instance.id = %instance, container.name = %name, "told a container of changes");
    remember(wanted).await
}

async fn remember(wanted: &Wanted) -> Result<(), Error> {
    let wanted = wanted.clone();
    on_host("note a told configuration", move || volatile::told(&wanted)).await
}

async fn stop(runtime: &dyn ContainerRuntime, name: &str, id: &ContainerId) -> Result<(), Error> {
    crash_point("container.stop.before");
    match runtime.stop(id).await {
        Ok(()) | Err(RuntimeError::NotFound { .. }) => {}
        Err(error) => return Err(failed(format!("stop container {name}"), error)),
    }
    crash_point("container.stop.after");
    Ok(())
}

/// Stops the container as it wants to be stopped and removes it. Absence is success.
pub(crate) async fn remove(runtime: &dyn ContainerRuntime, found: &Found) -> Result<(), Error> {
    stop(runtime, &found.name, &found.id).await?;
    crash_point("container.remove.before");
    match runtime.remove(&found.id).await {
        Ok(()) | Err(RuntimeError::NotFound { .. }) => {}
        Err(error) => return Err(failed(format!("remove container {}", found.name), error)),
    }
    crash_point("container.remove.after");
    let instance = &found.labels.instance;
    tracing::info!(instance.id = %instance, container.name = %found.name, "removed a container");
    Ok(())
}

//! What Docker's errors mean.

use berth_containers::RuntimeError;
use bollard::errors::Error;
use ipnet::Ipv4Net;

/// What a call was about: the same status means different things.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Engine,
    Container(&'a str),
    Name(&'a str),
    Port(Option<u16>),
    Network(&'a str),
    Subnet(Ipv4Net),
    Image(&'a str),
}

impl Subject<'_> {
    fn name(&self) -> String {
        match self {
            Self::Container(name) | Self::Name(name) => format!("container {name}"),
            Self::Network(name) => format!("network {name}"),
            Self::Image(name) => format!("image {name}"),
            Self::Engine | Self::Port(_) | Self::Subnet(_) => "what was asked for".to_owned(),
        }
    }
}

/// Sorts an error. An answer is a failure; no answer is silence, and then nobody knows
/// whether the call took effect.
pub(crate) fn meaning(act: &'static str, subject: Subject<'_>, error: Error) -> RuntimeError {
    let Error::DockerResponseServerError {
        status_code,
        message,
    } = &error
    else {
        return match error {
            Error::JsonDataError { .. }
            | Error::JsonSerdeError { .. }
            | Error::DockerStreamError { .. } => RuntimeError::Failed {
                act,
                source: error.into(),
            },
            silence => RuntimeError::Unreachable {
                source: silence.into(),
            },
        };
    };
    let says = |words: &str| message.contains(words);
    if let Some(network) = full_network(message) {
        return RuntimeError::NetworkFull {
            network: network.to_owned(),
        };
    }
    match (status_code, subject) {
        (409, Subject::Name(name)) if says("is already in use by container") => {
            RuntimeError::NameTaken {
                name: name.to_owned(),
            }
        }
        (_, Subject::Port(Some(port)))
            if says("port is already allocated") || says("address already in use") =>
        {
            RuntimeError::PortTaken { port }
        }
        (_, Subject::Subnet(subnet)) if says("overlaps with") || says("conflicts with network") => {
            RuntimeError::SubnetTaken { subnet }
        }
        (_, Subject::Network(_)) if says("has active endpoints") => RuntimeError::NetworkInUse,
        (404, subject) => RuntimeError::NotFound {
            subject: subject.name(),
        },
        _ => RuntimeError::Failed {
            act,
            source: error.into(),
        },
    }
}

/// The name of the network that has no address left, when a message is about one.
fn full_network(message: &str) -> Option<&str> {
    let (_, rest) =
        message.split_once("no available IPv4 addresses on this network's address pools: ")?;
    rest.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_network_is_named() {
        let error = Error::DockerResponseServerError {
            status_code: 500,
            message: "failed to set up container networking: no available IPv4 addresses on this network's address pools: berth-0123abcd-p (9f86d081884c)".to_owned(),
        };
        let found = meaning("start a container", Subject::Container("x"), error);
        assert_eq!(
            found.to_string(),
            "every address of the network berth-0123abcd-p is taken"
        );
    }
}

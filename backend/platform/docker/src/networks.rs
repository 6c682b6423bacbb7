//! Networks.

use crate::errors::{Subject, meaning};
use crate::{Docker, LABEL_INSTALLATION};
use async_trait::async_trait;
use berth_containers::{
    Attachment, ContainerId, FoundNetwork, NetworkId, NetworkPlan, Networks, RuntimeError,
};
use bollard::models::{
    EndpointSettings, Ipam, IpamConfig, Network, NetworkConnectRequest, NetworkCreateRequest,
};
use bollard::query_parameters::ListContainersOptionsBuilder;
use std::collections::HashMap;

fn found(network: Network) -> Option<FoundNetwork> {
    let subnets = network
        .ipam
        .and_then(|ipam| ipam.config)
        .unwrap_or_default();
    Some(FoundNetwork {
        id: NetworkId(network.id?),
        name: network.name.unwrap_or_default(),
        installation: network
            .labels
            .and_then(|labels| labels.get(LABEL_INSTALLATION).cloned()),
        // IPv6 addresses are not chosen here and overlap with nothing that is.
        subnets: subnets
            .into_iter()
            .filter_map(|config| config.subnet?.parse().ok())
            .collect(),
        created: network.created.unwrap_or_default(),
    })
}

#[async_trait]
impl Networks for Docker {
    async fn create_network(&self, plan: &NetworkPlan) -> Result<NetworkId, RuntimeError> {
        let option = "com.docker.network.bridge.enable_icc".to_owned();
        let request = NetworkCreateRequest {
            name: plan.name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(plan.internal),
            options: Some(HashMap::from([(option, plan.members_meet.to_string())])),
            labels: Some(HashMap::from([(
                LABEL_INSTALLATION.to_owned(),
                plan.installation.clone(),
            )])),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(plan.subnet.to_string()),
                    gateway: Some(plan.gateway.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            ..NetworkCreateRequest::default()
        };
        self.client()
            .await?
            .create_network(request)
            .await
            .map(|created| NetworkId(created.id))
            .map_err(|e| meaning("create a network", Subject::Subnet(plan.subnet), e))
    }

    async fn networks(&self) -> Result<Vec<FoundNetwork>, RuntimeError> {
        self.client()
            .await?
            .list_networks(None)
            .await
            .map(|list| list.into_iter().filter_map(found).collect())
            .map_err(|e| meaning("list networks", Subject::Engine, e))
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), RuntimeError> {
        self.client()
            .await?
            .remove_network(&id.0)
            .await
            .map_err(|e| meaning("remove a network", Subject::Network(&id.0), e))
    }

    async fn attach(&self, id: &ContainerId, attachment: &Attachment) -> Result<(), RuntimeError> {
        let request = NetworkConnectRequest {
            container: id.0.clone(),
            endpoint_config: Some(EndpointSettings {
                aliases: Some(attachment.aliases.clone()),
                ..EndpointSettings::default()
            }),
        };
        let network = &attachment.network.0;
        match self.client().await?.connect_network(network, request).await {
            Ok(()) => Ok(()),
            Err(bollard::errors::Error::DockerResponseServerError { message, .. })
                if message.contains("already exists in network") =>
            {
                Ok(())
            }
            Err(error) => Err(meaning(
                "attach a container",
                Subject::Network(network),
                error,
            )),
        }
    }

    async fn is_network_used(&self, id: &NetworkId) -> Result<bool, RuntimeError> {
        let filters = HashMap::from([("network".to_owned(), vec![id.0.clone()])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .limit(1)
            .filters(&filters)
            .build();
        self.client()
            .await?
            .list_containers(Some(options))
            .await
            .map(|list| !list.is_empty())
            .map_err(|e| meaning("list a network's containers", Subject::Engine, e))
    }
}

//! Who is in a network, as the host sees it.

use crate::errors::{Subject, meaning};
use crate::{Docker, LABEL_INSTALLATION};
use berth_containers::RuntimeError;
use bollard::models::EndpointSettings;
use bollard::query_parameters::ListContainersOptionsBuilder;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

impl Docker {
    /// The addresses of an installation's running containers in a network, by the names under
    /// which others reach them there. A name that somebody else's container took is not among
    /// them. The host reaches these addresses also where the network is internal.
    pub async fn members(
        &self,
        network: &str,
        installation: &str,
    ) -> Result<BTreeMap<String, IpAddr>, RuntimeError> {
        let label = format!("{LABEL_INSTALLATION}={installation}");
        let filters = HashMap::from([
            ("network".to_owned(), vec![network.to_owned()]),
            ("label".to_owned(), vec![label]),
        ]);
        let options = ListContainersOptionsBuilder::default()
            .filters(&filters)
            .build();
        let client = self.client().await?;
        let listed = client
            .list_containers(Some(options))
            .await
            .map_err(|e| meaning("list a network's containers", Subject::Network(network), e))?;
        let mut members = BTreeMap::new();
        for id in listed.into_iter().filter_map(|summary| summary.id) {
            let inspected = match client.inspect_container(&id, None).await {
                Ok(inspected) => inspected,
                Err(error) => {
                    match meaning("inspect a container", Subject::Container(&id), error) {
                        // It has gone meanwhile.
                        RuntimeError::NotFound { .. } => continue,
                        other => return Err(other),
                    }
                }
            };
            let joined = inspected
                .network_settings
                .and_then(|settings| settings.networks)
                .and_then(|mut networks| networks.remove(network));
            members.extend(joined.into_iter().flat_map(names));
        }
        Ok(members)
    }
}

/// The names of one container in a network, each with its address there.
fn names(joined: EndpointSettings) -> Vec<(String, IpAddr)> {
    let address = joined.ip_address.and_then(|text| text.parse().ok());
    let Some(address) = address else {
        return Vec::new();
    };
    let names = joined.aliases.unwrap_or_default();
    names.into_iter().map(|name| (name, address)).collect()
}

//! Rows in databases: the data itself, which a login that works says nothing of.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::pipeline::Pipeline;
use crate::harness::{Docker, TestBerth, sql, until};

/// Which databases have a row that says whose they are.
#[derive(Default)]
pub(super) struct Marks {
    /// The id of each, and whether the row was found again after a destroy.
    found: BTreeMap<String, bool>,
}

impl Marks {
    /// How many were left, and how many were found again.
    pub(super) fn counted(&self) -> (usize, usize) {
        let found = self.found.values().filter(|found| **found);
        (self.found.len(), found.count())
    }
}

impl Pipeline<'_> {
    /// Writes a row into each database that runs and has none, once those under way are there.
    pub(super) fn leave_marks(&mut self) {
        let Some(marks) = &self.marks else {
            return;
        };
        let rows = self.berth.databases();
        let unmarked = rows.iter().filter(|row| {
            let id = row["id"].as_str().unwrap();
            row["desired_status"] == "running"
                && row["stop_reason"].is_null()
                && !marks.found.contains_key(id)
        });
        let ids: Vec<_> = unmarked
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect();
        for id in ids {
            let row = self.await_running(&id);
            let statements = format!(
                "CREATE TABLE IF NOT EXISTS mark (id text PRIMARY KEY);
                 INSERT INTO mark VALUES ('{id}') ON CONFLICT DO NOTHING"
            );
            query_patiently(self.berth, &row, &statements);
            if let Some(marks) = &mut self.marks {
                marks.found.insert(id, false);
            }
        }
    }

    /// Looks whether the row is there that was written, in a database that runs again.
    pub(super) fn expect_mark(&mut self, row: &Json) {
        let id = row["id"].as_str().unwrap();
        let Some(found) = self
            .marks
            .as_mut()
            .and_then(|marks| marks.found.get_mut(id))
        else {
            return;
        };
        let rows = query_patiently(self.berth, row, "SELECT id FROM mark");
        assert_eq!(rows, [id], "{id} has other rows");
        *found = true;
    }
}

/// Asks again while nobody answers: a change of its plan or port may start it anew at this moment.
fn query_patiently(berth: &TestBerth, row: &Json, statements: &str) -> Vec<String> {
    until(statements, || query(berth, row, statements))
}

/// Asks the engine itself, at its address in the project's network.
fn query(berth: &TestBerth, row: &Json, statements: &str) -> Result<Vec<String>, String> {
    let id = row["id"].as_str().unwrap();
    let project = row["project_id"].as_str().unwrap();
    let project = berth.get(&format!("/v1/projects/{project}"));
    let network = project["project"]["network_name"].as_str().unwrap();
    let login = berth.get(&format!("/v1/databases/{id}/credentials?network=project"));
    let (uri, host) = (&login["uri"], login["host"].as_str().unwrap());
    let address = address(network, host).ok_or_else(|| format!("{host} is not in {network}"))?;
    // Nobody here knows the name; its certificate is still for that.
    let uri = format!("{}&hostaddr={address}", uri.as_str().unwrap());
    let authority = row["ca_certificate"].as_str().unwrap();
    sql::query(&uri, authority, statements).map_err(|error| format!("{error:?}"))
}

/// The address of what bears that name in a network.
fn address(network: &str, host: &str) -> Option<String> {
    let docker = Docker::default();
    let filter = format!("network={network}");
    let listed = docker.run(&["ps", "--quiet", "--filter", &filter]);
    let told = format!(
        "{{{{with index .NetworkSettings.Networks \"{network}\"}}}}{{{{.IPAddress}}}} {{{{join .Aliases \" \"}}}}{{{{end}}}}"
    );
    listed.lines().find_map(|container| {
        let told = docker.look(container, &told)?;
        let mut words = told.split_whitespace().map(str::to_owned);
        let address = words.next()?;
        words.any(|alias| alias == host).then_some(address)
    })
}

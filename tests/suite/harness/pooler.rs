//! What a pooler says of itself.

use std::collections::BTreeMap;

use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::Docker;

/// The settings that the PgBouncer in a container goes by, as its own administration tells them.
/// That is reached as berthd reaches it, by a socket on the host, which asks for no password.
#[track_caller]
pub fn pooler_settings(container: &str) -> Result<BTreeMap<String, String>, tokio_postgres::Error> {
    let sockets =
        "{{range .Mounts}}{{if eq .Destination \"/run/berth/pooler\"}}{{.Source}}{{end}}{{end}}";
    let directory = Docker::default().inspect(container, sockets);
    let mut config = tokio_postgres::Config::new();
    config
        .host_path(directory)
        .user("berth_admin")
        .dbname("pgbouncer");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        let messages = client.simple_query("SHOW CONFIG").await;
        drop(client);
        driver.abort();
        let settings = messages?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let cell = |column| row.get(column).unwrap_or_default().to_owned();
                Some((cell("key"), cell("value")))
            }
            _ => None,
        });
        Ok(settings.collect())
    })
}

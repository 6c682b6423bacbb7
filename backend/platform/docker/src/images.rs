//! Images.

use crate::Docker;
use crate::errors::{Subject, meaning};
use async_trait::async_trait;
use berth_containers::{Images, RuntimeError};
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::TryStreamExt;

#[async_trait]
impl Images for Docker {
    async fn image(&self, reference: &str) -> Result<Option<String>, RuntimeError> {
        match self.client().await?.inspect_image(reference).await {
            Ok(image) => Ok(image.id),
            Err(error) => match meaning("inspect an image", Subject::Image(reference), error) {
                RuntimeError::NotFound { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    async fn pull(&self, reference: &str) -> Result<(), RuntimeError> {
        let options = CreateImageOptionsBuilder::default()
            .from_image(reference)
            .build();
        self.client()
            .await?
            .create_image(Some(options), None, None)
            .try_for_each(async |_progress| Ok(()))
            .await
            .map_err(|e| meaning("pull an image", Subject::Image(reference), e))
    }

    async fn tag(&self, reference: &str, name: &str) -> Result<(), RuntimeError> {
        // The engine takes a name without a tag for one with `latest`.
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let options = TagImageOptionsBuilder::default()
            .repo(repository)
            .tag(tag)
            .build();
        self.client()
            .await?
            .tag_image(reference, Some(options))
            .await
            .map_err(|e| meaning("name an image", Subject::Image(reference), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// What an engine says that it speaks.
    const VERSION: &str = r#"{"ApiVersion":"1.44","MinAPIVersion":"1.24"}"#;

    /// Answers one request as an engine does that has done what it was asked; its first line.
    /// What an engine is asked about itself before that is answered too.
    async fn asked(engine: &UnixListener, status: &str) -> String {
        loop {
            let (mut stream, _) = engine.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            let first = request.lines().next().unwrap().to_owned();
            let is_version = first.starts_with("GET /version ");
            let (status, body) = match is_version {
                true => ("200 OK", VERSION),
                false => (status, ""),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            if !is_version {
                return first;
            }
        }
    }

    #[tokio::test]
    async fn an_image_is_asked_of_the_registry_in_its_name_and_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let engine = UnixListener::bind(&socket).unwrap();
        let docker = Docker::at(socket.to_str().unwrap()).unwrap();
        let place = "registry.example.com:5000/berth/postgresql:17";

        let (pulled, request) = tokio::join!(docker.pull(place), asked(&engine, "200 OK"));
        pulled.unwrap();
        let from = "fromImage=registry.example.com%3A5000%2Fberth%2Fpostgresql%3A17";
        assert!(request.contains("/images/create?"), "{request}");
        assert!(request.contains(from), "{request}");

        let tagged = docker.tag(place, "berth/postgresql:17");
        let (tagged, request) = tokio::join!(tagged, asked(&engine, "201 Created"));
        tagged.unwrap();
        assert!(
            request.contains(&format!("/images/{place}/tag?")),
            "{request}"
        );
        assert!(request.contains("repo=berth%2Fpostgresql"), "{request}");
        assert!(request.contains("tag=17"), "{request}");

        let absent = docker.tag(place, "berth/postgresql:17");
        let (absent, _) = tokio::join!(absent, asked(&engine, "404 Not Found"));
        let absent = absent.unwrap_err().to_string();
        assert_eq!(absent, format!("image {place} does not exist"));
    }
}

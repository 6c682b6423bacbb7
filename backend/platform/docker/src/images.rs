//! Images.

use crate::Docker;
use crate::errors::{Subject, meaning};
use async_trait::async_trait;
use berth_containers::{Images, RuntimeError};
use bollard::query_parameters::CreateImageOptionsBuilder;
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
}

//! Secrets of tokens that are kept, sealed, for who hands them on.

use crate::kept::Touches;
use crate::{Error, Tx};
use berth_domain::{Secret, TokenId};

/// What the names of such secrets begin with; the token's id follows.
const PREFIX: &str = "token/";

fn name(id: &TokenId) -> String {
    format!("{PREFIX}{id}")
}

impl Tx {
    /// Keeps the secret of a token, sealed.
    pub async fn keep_token_secret(&mut self, id: &TokenId, secret: &Secret) -> Result<(), Error> {
        self.put_secret(&name(id), secret).await
    }

    /// The secret of a token; none when it was not kept.
    pub async fn kept_token_secret(&mut self, id: &TokenId) -> Result<Option<Secret>, Error> {
        self.secret(&name(id)).await
    }

    /// Forgets the secret of a token; none is fine.
    pub async fn forget_token_secret(&mut self, id: &TokenId) -> Result<(), Error> {
        self.remove_secret(&name(id)).await
    }

    /// Forgets the secrets of tokens that are not there any more.
    pub(crate) async fn forget_secrets_without_tokens(&mut self) -> Result<u64, Error> {
        sql!(
            "forget_secrets_without_tokens",
            "DELETE FROM secrets WHERE substr(name, 1, 6) = 'token/' \
             AND substr(name, 7) NOT IN (SELECT id FROM tokens)"
        )
        .execute(&mut self.write(Touches::Nothing))
        .await
    }
}

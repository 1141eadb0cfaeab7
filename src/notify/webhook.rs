//! One webhook: a JSON body sent with POST, signed as Standard Webhooks 1.0 describes.
//!
//! The signature covers `id.timestamp.body`, so that neither a changed nor an old message passes.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use sha2::Sha256;

use crate::base::Bilingual;
use crate::base::Private;
use crate::base::id::MessageId;

/// Where messages go, and the secret that signs them.
#[derive(Clone, Debug)]
pub struct Config {
    /// An `https` address, which may hold a token; `http` is taken for this machine only, where
    /// nobody listens in.
    pub url: Private<String>,
    /// The secret that both sides know; at least 24 bytes.
    pub secret: Private<String>,
    /// How long the receiver may take, connection included.
    pub timeout: Duration,
}

/// Why a message was not delivered. It stays in the outbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The address cannot be used. It is not shown, for it may hold a token.
    #[error("the webhook address must be https (http only for this machine)")]
    Address,
    /// The secret is too short to protect anything.
    #[error("the webhook secret has {length} bytes, but at least {SHORTEST_SECRET} are needed")]
    WeakSecret {
        /// Its length in bytes.
        length: usize,
    },
    /// The receiver could not be reached, or did not answer in time.
    #[error("cannot reach the webhook's receiver")]
    Unreachable(#[source] reqwest::Error),
    /// The receiver answered, but did not take the message.
    #[error("the webhook's receiver answered {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
}

impl NotifyError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Address => {
                "通知先は https:// で始めてください(この機械だけは http:// も可)".to_owned()
            }
            Self::WeakSecret { length } => format!(
                "署名の秘密は {length} バイトしかありません。{SHORTEST_SECRET} バイト以上にしてください"
            ),
            Self::Unreachable(_) => "通知先につながりません".to_owned(),
            Self::Refused { status } => format!("通知先が {status} を返しました"),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// 192 bits, the least that Standard Webhooks allows.
const SHORTEST_SECRET: usize = 24;

/// Sends messages to one receiver.
#[derive(Clone, Debug)]
pub struct Webhook {
    client: reqwest::Client,
    url: Private<Url>,
    secret: Private<String>,
}

impl Webhook {
    /// Checks the configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// If the address or the secret cannot be used.
    pub fn new(config: Config) -> Result<Self, NotifyError> {
        let url = Url::parse(config.url.expose()).map_err(|_| NotifyError::Address)?;
        let is_this_machine = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_this_machine) {
            return Err(NotifyError::Address);
        }
        let length = config.secret.expose().len();
        if length < SHORTEST_SECRET {
            return Err(NotifyError::WeakSecret { length });
        }
        let client = reqwest::Client::builder()
            .timeout(config.timeout)
            // A redirect could lead a message about a patient anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(NotifyError::Unreachable)?;
        Ok(Self { client, url: Private::new(url), secret: config.secret })
    }

    /// Delivers one message. Cancel-safe: a message that was cut off is simply sent again.
    ///
    /// # Errors
    /// If the receiver did not say that it took the message.
    pub async fn deliver(
        &self,
        id: MessageId,
        body: String,
        now: Timestamp,
    ) -> Result<(), NotifyError> {
        let id = id.to_string();
        let timestamp = now.as_second();
        let response = self
            .client
            .post(self.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature(&self.secret, &id, timestamp, &body))
            .body(body)
            .send()
            .await
            // The address may hold a token, and errors are logged.
            .map_err(|error| NotifyError::Unreachable(error.without_url()))?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(NotifyError::Refused { status: response.status().as_u16() })
        }
    }
}

/// The value of the header `webhook-signature`: `v1,` and the HMAC-SHA-256 in base 64.
///
/// `timestamp` is in seconds since 1970. The receiver computes the same and compares.
pub fn signature(secret: &Private<String>, id: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, secret: &str) -> Config {
        Config {
            url: url.to_owned().into(),
            secret: Private::new(secret.to_owned()),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // Computed with `openssl dgst -sha256 -hmac`.
        let secret = Private::new("an example secret of 32 bytes!!!".to_owned());
        insta::assert_snapshot!(signature(&secret, "msg_1", 1_614_265_330, r#"{"test": 2432}"#), @"v1,JOhW3Xa9Lyj43L4MBz2qR5YQk9RmQycoj3spGXqBe08=");
    }

    #[test]
    fn only_safe_addresses_and_secrets_are_taken() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let long = "0123456789abcdef01234567";
        assert!(Webhook::new(config("https://example.org/hook", long)).is_ok());
        assert!(Webhook::new(config("http://127.0.0.1:9/hook", long)).is_ok());
        for url in [
            "http://example.org/hook",
            "ftp://example.org/",
            "hook",
            "http://localhost.example.org/",
        ] {
            let refused = Webhook::new(config(url, long));
            assert!(matches!(refused, Err(NotifyError::Address)), "{url}");
        }
        let refused = Webhook::new(config("https://example.org/hook", "short"));
        assert!(matches!(refused, Err(NotifyError::WeakSecret { length: 5 })));
    }
}

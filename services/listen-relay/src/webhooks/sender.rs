//! One request (contract, realtime §13): headers, signature, and what its failure means.

use std::error::Error;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use ingot_config::Secret;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use sha2::Sha256;
use time::OffsetDateTime;

use super::WebhookSettings;
use super::store::Claimed;
use super::targets::{self, PrivateTarget, PublicAddresses};

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 10;
const EVENT: HeaderName = HeaderName::from_static("x-insforge-event");
const CHANNEL: HeaderName = HeaderName::from_static("x-insforge-channel");
const MESSAGE: HeaderName = HeaderName::from_static("x-insforge-message-id");
const SIGNATURE: HeaderName = HeaderName::from_static("x-ingot-signature");

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver does not want it, or it may not be sent.
    Refused {
        /// What it answered, if it did.
        status: Option<u16>,
        error: String,
    },
    /// The receiver could not be reached, or did not answer in time.
    Unreachable(String),
}

/// Sends webhooks; clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: Client,
    private_targets: bool,
}

impl Sender {
    /// # Errors
    /// The HTTP client cannot be made.
    pub(crate) fn new(settings: &WebhookSettings) -> Result<Self, reqwest::Error> {
        let private_targets = settings.private_targets;
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if !private_targets && targets::check(attempt.url()).is_err() {
                attempt.error(PrivateTarget)
            } else {
                attempt.follow()
            }
        });
        let mut client = Client::builder()
            .timeout(settings.timeout.0)
            .redirect(redirects)
            // A proxy would resolve names itself.
            .no_proxy()
            .user_agent(concat!("Ingot/", env!("CARGO_PKG_VERSION")));
        if !private_targets {
            client = client.dns_resolver(Arc::new(PublicAddresses));
        }
        Ok(Self {
            client: client.build()?,
            private_targets,
        })
    }

    /// Sends one message to one address. `secret` signs it.
    pub(super) async fn attempt(&self, delivery: &Claimed, secret: &Secret) -> Outcome {
        let url = match delivery.url.parse::<Url>() {
            Ok(url) => url,
            Err(error) => return refused(error.to_string()),
        };
        if !self.private_targets && targets::check(&url).is_err() {
            return refused(PrivateTarget.to_string());
        }
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let request = self
            .client
            .post(url)
            .headers(headers(delivery))
            .header(SIGNATURE, signature(secret, now, &delivery.payload))
            .body(delivery.payload.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Outcome::Delivered,
            Ok(answer) => Outcome::Refused {
                status: Some(answer.status().as_u16()),
                error: format!("the receiver answered {}", answer.status()),
            },
            Err(error) => failure(&error.without_url()),
        }
    }
}

fn refused(error: String) -> Outcome {
    Outcome::Refused {
        status: None,
        error,
    }
}

/// Whether another attempt may help.
fn failure(error: &reqwest::Error) -> Outcome {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<PrivateTarget>() {
            return refused(PrivateTarget.to_string());
        }
        causes.push(inner.to_string());
        cause = inner.source();
    }
    if error.is_builder() || error.is_redirect() {
        refused(causes.join(": "))
    } else {
        Outcome::Unreachable(causes.join(": "))
    }
}

fn headers(delivery: &Claimed) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/plain, */*"),
    );
    let id = delivery.message_id.to_string();
    for (name, text) in [
        (EVENT, &delivery.event),
        (CHANNEL, &delivery.channel),
        (MESSAGE, &id),
    ] {
        headers.insert(name, latin_1(text));
    }
    headers
}

/// A text as a header's value, without the characters that it cannot have.
fn latin_1(text: &str) -> HeaderValue {
    let bytes: Vec<u8> = text
        .chars()
        .filter_map(|c| u8::try_from(u32::from(c)).ok())
        .filter(|byte| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..))
        .collect();
    // These are the bytes that a value may have.
    HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// `t=<seconds since 1970>,v1=<HMAC-SHA-256 of "<t>.<body>", in hex>`.
fn signature(secret: &Secret, now: i64, body: &str) -> String {
    // HMAC takes a key of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        unreachable!("HMAC-SHA-256 accepts keys of every length")
    };
    mac.update(format!("{now}.").as_bytes());
    mac.update(body.as_bytes());
    format!("t={now},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_keep_what_they_can() {
        assert_eq!(latin_1("évt☃\n\t").as_bytes(), b"\xe9vt\t");
        assert_eq!(latin_1("a:b").as_bytes(), b"a:b");
        assert_eq!(latin_1("☃").as_bytes(), b"");
    }

    #[test]
    fn signatures_can_be_checked_with_any_library() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let signed = signature(&Secret::new("key".to_owned()), 1_700_000_000, r#"{"a":1}"#);
        assert_eq!(
            signed,
            "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03"
        );
    }
}

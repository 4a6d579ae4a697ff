//! Webhooks of channels (contract, realtime §13): each message goes once to each address of its
//! channel, in order per address.
//!
//! What is to be sent is a row that was written with the message; [`store`] has the SQL, [`service`]
//! decides when and what comes of it, [`sender`] makes the request, [`targets`] says where it may go.

mod sender;
mod service;
mod store;
mod targets;

pub(crate) use sender::Sender;
pub(crate) use service::send;

ingot_config::settings! {
    /// How webhooks are sent.
    pub struct WebhookSettings {
        /// Seconds that the receiver of a webhook may take to answer.
        timeout: ingot_config::Seconds = "INGOT_WEBHOOK_TIMEOUT", default "10";
        /// Whether webhooks may go to this machine and to private networks. Whoever administers a
        /// project chooses their addresses.
        private_targets: bool = "INGOT_WEBHOOK_PRIVATE_TARGETS", default "false";
    }
}

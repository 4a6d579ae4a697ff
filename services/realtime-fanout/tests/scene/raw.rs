//! A client that sends what it likes: WebSocket messages as texts.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::{SinkExt, StreamExt};
use ingot_testkit::TestService;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Scene, USER};

#[allow(dead_code, reason = "each test binary uses its own part")]
pub(crate) struct Raw(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

#[allow(dead_code, reason = "each test binary uses its own part")]
impl Raw {
    pub(crate) async fn open(scene: &Scene, node: &TestService) -> anyhow::Result<Self> {
        let url = format!(
            "ws://{}/socket.io/?EIO=4&transport=websocket",
            node.address()
        );
        let mut request = url.into_client_request()?;
        for (name, value) in scene.headers().as_object().context("headers")? {
            let name: http::HeaderName = name.parse()?;
            let value = value.as_str().unwrap_or_default().parse()?;
            request.headers_mut().insert(name, value);
        }
        Ok(Self(connect_async(request).await?.0))
    }

    /// Opens and joins as a user.
    pub(crate) async fn join(scene: &Scene, node: &TestService) -> anyhow::Result<Self> {
        let mut raw = Self::open(scene, node).await?;
        assert!(raw.text().await?.starts_with("0{"));
        raw.send(&format!("40{}", scene.user_auth(USER)?)).await?;
        assert!(raw.text().await?.starts_with(r#"40{"sid":""#));
        Ok(raw)
    }

    pub(crate) async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(text)).await?)
    }

    /// The next text that is no heartbeat; those are answered.
    pub(crate) async fn text(&mut self) -> anyhow::Result<String> {
        loop {
            match self.next().await? {
                Some(Message::Text(text)) if text.as_str() == "2" => self.send("3").await?,
                Some(Message::Text(text)) => return Ok(text.to_string()),
                other => bail!("no text: {other:?}"),
            }
        }
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        let message = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await?;
        Ok(message.and_then(Result::ok))
    }

    /// Whether the server ends the connection.
    pub(crate) async fn is_closed(&mut self) -> anyhow::Result<bool> {
        while let Some(message) = self.next().await? {
            if message.is_close() {
                return Ok(true);
            }
        }
        Ok(true)
    }
}

//! Health and metrics of the edge, at an address of their own.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::middleware::map_response_with_state;
use axum::response::Response;
use axum::serve::Listener;
use http::{HeaderValue, header};
use ingot_http::Health;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long whoever is connected when another process takes the listener may still ask.
const LAST_QUESTIONS: Duration = Duration::from_secs(1);

/// What answers there.
#[derive(Debug)]
pub(crate) struct Admin {
    serving: JoinHandle<()>,
    leave: CancellationToken,
    stop: CancellationToken,
}

impl Admin {
    /// Answers until it is stopped.
    pub(crate) fn serve(listener: TcpListener, health: &Health) -> Self {
        let (leave, stop) = (CancellationToken::new(), CancellationToken::new());
        let listener = Leaving {
            listener: Some(listener),
            leave: leave.clone(),
        };
        let routes = health
            .router()
            .layer(map_response_with_state(leave.clone(), close));
        let ended = stop.clone().cancelled_owned();
        let server = axum::serve(listener, routes).with_graceful_shutdown(ended);
        let serving = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "health and metrics are no longer served");
            }
        });
        Self {
            serving,
            leave,
            stop,
        }
    }

    /// Leaves new connections to another process that has the listener too. Who is connected
    /// already is answered: a connection that is taken and closed would look like an edge that
    /// is away.
    pub(crate) async fn leave_to_another(&self) {
        self.leave.cancel();
        tokio::time::sleep(LAST_QUESTIONS).await;
    }

    /// Ends with the answers that are under way.
    ///
    /// # Errors
    /// The task that serves has panicked.
    pub(crate) async fn stop(self) -> Result<(), tokio::task::JoinError> {
        self.stop.cancel();
        self.serving.await
    }
}

/// A connection that is kept, and closed a moment later, might be asked once more just then.
async fn close(State(leaving): State<CancellationToken>, mut answer: Response) -> Response {
    if leaving.is_cancelled() {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// A listener that is closed before those whom it has let in are.
struct Leaving {
    listener: Option<TcpListener>,
    leave: CancellationToken,
}

impl Listener for Leaving {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        if let Some(listener) = &mut self.listener {
            let accepting = self.leave.run_until_cancelled(Listener::accept(listener));
            if let Some(accepted) = accepting.await {
                return accepted;
            }
        }
        self.listener = None;
        std::future::pending().await
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        match &self.listener {
            Some(listener) => listener.local_addr(),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }
}

//! HTTP: listening, and what a request becomes.

mod admin;
mod cors;
mod handler;
mod listener;
mod log;
mod patient;

use std::sync::Arc;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

pub(crate) use listener::Listener;

use crate::settings::Listening;
use crate::state::State;

/// What every handler returns.
type Answer = Response<Full<Bytes>>;

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let value = ::http::HeaderValue::from_static(content_type);
    answer
        .headers_mut()
        .insert(::http::header::CONTENT_TYPE, value);
    answer
}

/// Serves the API, and the admin server if there is to be one, until `shutdown`.
pub(crate) async fn serve(
    state: Arc<State>,
    listening: &Listening,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = match &listening.socket {
        Some((path, mode)) => Listener::in_file_system(path, *mode)?,
        None => Listener::on(&listening.host, listening.port).await?,
    };
    crate::say(&format!("API server listening on {listener}"));
    let admin = match &listening.admin {
        Some((host, port)) => Some(Listener::on(host, *port).await?),
        None => None,
    };
    let api = {
        let state = state.clone();
        listener.serve(shutdown.clone(), move |request: Request<Incoming>, peer| {
            let state = state.clone();
            async move { handler::handle(&state, request, &peer).await }
        })
    };
    let Some(admin) = admin else {
        api.await;
        return Ok(());
    };
    crate::say(&format!("Admin server listening on {admin}"));
    let admin = admin.serve(shutdown, move |request: Request<Incoming>, _| {
        let state = state.clone();
        async move { admin::handle(&state, &request).await }
    });
    tokio::join!(api, admin);
    Ok(())
}

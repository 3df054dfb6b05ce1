//! HTTP for operators, the command line and the page: health, metrics, status, keys in bulk, pictures, events.
//!
//! Runs on a thread of its own, with async: nothing here is on the data path. It asks data threads through their
//! mailboxes and never takes a shard's seat.

mod asking;
mod copies;
mod differing;
mod events;
mod guard;
mod kv;
mod metrics;
mod page;
pub mod percent;
mod picture;
mod sampling;
mod status;

pub use events::Hub;
pub use kv::{BulkReply, Entry, read_entries, write_entry};

use crate::reactor::Shared;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::net::TcpListener;
use std::sync::Arc;

/// What handlers share.
#[derive(Clone)]
pub struct Admin {
    shared: Arc<Shared>,
    hub: Hub,
    differing: differing::Differing,
}

/// Starts the admin thread on a bound socket.
pub fn start(shared: Arc<Shared>, hub: Hub, listener: TcpListener) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("admin HTTP cannot be started: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let serve = move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(
                listener,
                router(Admin { shared: shared.clone(), hub, differing: Default::default() }),
            )
            .await
        });
        if let Err(error) = served {
            tracing::error!("admin HTTP has ended: {error}");
        }
    };
    std::thread::Builder::new().name("admin".into()).spawn(serve).map_err(failed)?;
    Ok(())
}

fn router(admin: Admin) -> Router {
    // What the pages of other members read.
    let shared = Router::new()
        .route("/status", get(status::status))
        .route("/picture", get(picture::picture))
        .route("/events", get(events::events))
        .route_layer(axum::middleware::from_fn(guard::share));
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics))
        .route("/kv/{key}", get(kv::get).put(kv::put).delete(kv::delete))
        // The empty key: no segment of a path, and a key like any other.
        .route("/kv/", get(kv::get).put(kv::put).delete(kv::delete))
        .route("/bulk", post(kv::bulk).layer(axum::extract::DefaultBodyLimit::max(kv::BULK_BYTES_MAX)))
        .route("/copies/{key}", get(copies::copies))
        .route("/copies/", get(copies::copies))
        .route("/scan", get(kv::scan))
        .merge(shared)
        .fallback(page::file)
        .layer(axum::extract::DefaultBodyLimit::max(kv::VALUE_BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(admin.clone(), guard::guard))
        .layer(axum::middleware::from_fn(guard::harden))
        .with_state(admin)
}

/// Ready is a node that knows the cluster and can coordinate.
async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    use crate::reactor::Stage;
    match (admin.shared.stage(), admin.shared.view()) {
        (Stage::Running, Some(_)) => (StatusCode::OK, "ready\n"),
        (Stage::Running, None) => (StatusCode::SERVICE_UNAVAILABLE, "no member of a cluster yet\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

//! Gridkeeper's own HTTP server for other handlers, so that these are compared with the same stack around them.

use gridkeeper_http::{
    About, Clock, Health, Options, Standard, application, listen, metrics, serve,
};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

/// Serves routes until the process is ended.
pub(crate) async fn run<S>(address: &str, about: About, routes: OpenApiRouter<S>, state: S)
where
    S: Clone + Send + Sync + 'static,
{
    let options = Options::default();
    let clock = Clock::system();
    let health = Health::new(&options, clock.now());
    health.register("handlers", clock.now()).ready();
    let standard = Standard {
        health,
        clock,
        metrics: metrics::recorder().unwrap(),
        options: options.clone(),
    };
    let (router, _) = application(&about, routes, state, standard);
    let listener = listen(address).await.unwrap();
    serve(listener, router, CancellationToken::new(), options.drain()).await;
}

//! Who hears of changed rows.

use std::time::Duration;

use futures::StreamExt;
use ingot_bus::{Bus, BusSettings, Change, DashboardEvent};
use ingot_config::Settings;
use reqwest::Method;

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dashboards_hear_of_accepted_writes_and_of_nothing_else() {
    let scene = Scene::set().await;
    let settings = BusSettings::load(&scene.project.environment()).unwrap();
    let bus = Bus::connect(&settings, "test").await.unwrap();
    let project = &scene.project.project().id;
    let mut events = bus.dashboard_events(project).await.unwrap();
    bus.client().flush().await.unwrap();

    let ann = scene.user("ann");
    ann.get("records/notes").await;
    ann.post("rpc/add", r#"{"a":1}"#).await;
    ann.post("records/notes", r#"{"id":"x"}"#).await;
    ann.post("records/missing", r#"{"id":1}"#).await;
    ann.post("records/orders?schema=sales", r#"{"id":1}"#).await;
    assert_eq!(
        next(&mut events).await,
        rows_of("sales.orders"),
        "refused writes are silent"
    );
    ann.post("records/notes", r#"{"id":1}"#).await;
    assert_eq!(next(&mut events).await, rows_of("public.notes"));
    ann.send(Method::DELETE, "records/notes?id=eq.99", None, &[])
        .await;
    assert_eq!(
        next(&mut events).await,
        rows_of("public.notes"),
        "also for no rows"
    );
}

async fn next(
    events: &mut (impl futures::Stream<Item = DashboardEvent> + Unpin),
) -> DashboardEvent {
    let event = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    event.expect("an event in time").unwrap()
}

fn rows_of(table: &str) -> DashboardEvent {
    DashboardEvent::database(vec![Change {
        kind: "records".to_owned(),
        name: Some(table.to_owned()),
    }])
}

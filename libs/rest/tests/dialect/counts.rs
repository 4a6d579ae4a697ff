//! Reference, chapter "Pagination and Count": how rows are counted, where the platform may have settings
//! of its own.

use crate::world::World;

#[tokio::test]
async fn an_estimate_without_a_maximum_is_at_least_the_plan() {
    let world = World::new().await;
    world.project.execute("analyze films").await.unwrap();
    let never_true = "/films?title=eq.Ran&language=eq.ja&year=eq.1985&id=lt.0";
    let answer = world
        .send(
            &format!("GET {never_true}"),
            &["Prefer: count=estimated"],
            "",
        )
        .await;
    // The planner never expects less than one row.
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (206, "*/1")
    );
}

#[tokio::test]
async fn only_reads_are_counted_by_plan() {
    let world = World::new().await;
    let body = r#"{"name":"counted"}"#;
    let cases = [
        ("count=planned", "*/*"),
        ("count=exact", "*/1"),
        ("count=estimated", "*/1"),
    ];
    for (count, range) in cases {
        let header = format!("Prefer: {count}");
        let body = body.replace("counted", count);
        let answer = world.send("POST /items", &[&header], &body).await;
        assert_eq!(answer.header("content-range"), range, "{count}");
    }
    let call = world
        .send("GET /rpc/numbers?n=3", &["Prefer: count=planned"], "")
        .await;
    assert_eq!((call.status, call.header("content-range")), (200, "0-2/*"));
}

#[tokio::test]
async fn a_416_is_told_of_like_an_answer() {
    let world = World::new().await;
    let beyond = world
        .send("GET /films?offset=100", &["Prefer: count=exact"], "")
        .await;
    let told = ["content-location", "preference-applied"].map(|name| beyond.header(name));
    assert_eq!(told, ["/films?offset=100", "count=exact"]);
}

#[tokio::test]
async fn nothing_may_be_asked_for_only_from_the_beginning() {
    let world = World::new().await;
    let nothing = world.send("GET /films?limit=0", &["Range: 3-1"], "").await;
    assert_eq!((nothing.status, nothing.text().as_str()), (200, "[]"));
    for line in [
        "GET /films?limit=0&offset=1",
        "PATCH /films?limit=0&offset=1",
    ] {
        let refused = world.send(line, &[], "{}").await;
        assert_eq!(refused.fault(), (416, "PGRST103".to_owned()), "{line}");
        assert_eq!(
            refused.json()["details"],
            "Limit should be greater than or equal to zero."
        );
    }
    let head = world.send("HEAD /films", &["Range: 0-1"], "").await;
    assert_eq!(head.header("content-range"), "0-4/*", "ranges are for GET");
}

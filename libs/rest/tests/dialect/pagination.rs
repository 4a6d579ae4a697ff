//! Reference, chapter "Pagination and Count".

use ingot_rest::EngineSettings;

use crate::world::World;

#[tokio::test]
async fn limit_and_offset_slice() {
    let world = World::new().await;
    let cases = [
        ("/films?limit=2", "0-1/*"),
        ("/films?limit=2&offset=2", "2-3/*"),
        ("/films?offset=3", "3-4/*"),
        ("/films?limit=0", "*/*"),
        ("/films?offset=50", "*/*"),
        ("/films?limit=99", "0-4/*"),
    ];
    for (url, range) in cases {
        let answer = world.get(url).await;
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (200, range),
            "{url}"
        );
    }
}

#[tokio::test]
async fn range_header_slices_a_get() {
    let world = World::new().await;
    let cases = [
        ("0-1", 200, "0-1/*"),
        ("2-", 200, "2-4/*"),
        ("1-1", 200, "1-1/*"),
        ("nonsense", 200, "0-4/*"),
    ];
    for (range, status, expected) in cases {
        let header = format!("Range: {range}");
        let answer = world
            .send("GET /films", &["Range-Unit: items", &header], "")
            .await;
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (status, expected),
            "{range}"
        );
    }
    let backwards = world.send("GET /films", &["Range: 3-1"], "").await;
    assert_eq!(backwards.fault(), (416, "PGRST103".to_owned()));
}

#[tokio::test]
async fn counts_say_how_many_there_are() {
    let world = World::new().await;
    world.project.execute("analyze films").await.unwrap();
    let cases = [
        ("/films?limit=2", "count=exact", 206, "0-1/5"),
        ("/films", "count=exact", 200, "0-4/5"),
        ("/films?id=eq.99", "count=exact", 200, "*/0"),
        ("/films?limit=2", "count=planned", 206, "0-1/5"),
        ("/films?limit=2", "count=estimated", 206, "0-1/5"),
        ("/films?limit=0", "count=exact", 206, "*/5"),
    ];
    for (url, prefer, status, range) in cases {
        let header = format!("Prefer: {prefer}");
        let answer = world.send(&format!("GET {url}"), &[&header], "").await;
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (status, range),
            "{url} {prefer}"
        );
        assert_eq!(answer.header("preference-applied"), prefer);
    }
    let beyond = world
        .send("GET /films?offset=100", &["Prefer: count=exact"], "")
        .await;
    assert_eq!(beyond.fault(), (416, "PGRST103".to_owned()));
    assert_eq!(
        beyond.json()["details"],
        "An offset of 100 was requested, but there are only 5 rows."
    );
    assert_eq!(beyond.header("content-range"), "*/5");
}

#[tokio::test]
async fn a_setting_caps_the_rows() {
    let settings = EngineSettings {
        max_rows: Some(2),
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    world.project.execute("analyze films").await.unwrap();
    let answer = world.get("/films?limit=4").await;
    assert_eq!(answer.header("content-range"), "0-1/*");
    let answer = world
        .send("GET /films", &["Prefer: count=estimated"], "")
        .await;
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (206, "0-1/5")
    );
    let answer = world
        .send("GET /films?id=eq.1", &["Prefer: count=estimated"], "")
        .await;
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (200, "0-0/1")
    );
}

#[tokio::test]
async fn a_negative_limit_is_refused() {
    let world = World::new().await;
    let answer = world.get("/films?limit=-1").await;
    assert_eq!(answer.fault(), (416, "PGRST103".to_owned()));
}

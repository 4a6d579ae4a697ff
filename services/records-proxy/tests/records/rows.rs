//! Rows and functions, as callers of different rank see them.

use reqwest::Method;
use serde_json::json;

use crate::scene::Scene;

const BACK: &[(&str, &str)] = &[("prefer", "return=representation")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_write_and_read_their_own_rows_only() {
    let scene = Scene::set().await;
    let (ann, bob) = (scene.user("ann"), scene.user("auth0|bob"));
    let created = ann
        .post(
            "records/notes",
            r#"[{"id":1,"body":"a"},{"id":2,"body":null}]"#,
        )
        .await;
    assert_eq!(
        (created.status.as_u16(), created.text.as_str()),
        (201, "[]")
    );
    bob.post("records/notes", r#"{"id":3,"body":"b"}"#).await;

    let seen = ann.get("records/notes?select=id,owner&order=id").await;
    assert_eq!(
        seen.json(),
        json!([{"id":1,"owner":"ann"},{"id":2,"owner":"ann"}])
    );
    assert_eq!(
        scene
            .admin()
            .get("records/notes?select=id")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(scene.anonymous().get("records/notes").await.text, "[]");

    let stolen = bob
        .send(
            Method::PATCH,
            "records/notes?id=eq.1",
            Some(r#"{"body":"!"}"#),
            BACK,
        )
        .await;
    assert_eq!(stolen.text, "[]");
    let changed = ann
        .send(
            Method::PATCH,
            "records/notes?id=eq.1",
            Some(r#"{"body":"!"}"#),
            BACK,
        )
        .await;
    assert_eq!(changed.json()[0]["body"], "!");
    let silent = ann
        .send(
            Method::PATCH,
            "records/notes?id=eq.2",
            Some(r#"{"body":"?"}"#),
            &[],
        )
        .await;
    assert_eq!((silent.status.as_u16(), silent.text.as_str()), (204, ""));
    let deleted = ann
        .send(Method::DELETE, "records/notes?id=eq.2", None, &[])
        .await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    assert_eq!(
        ann.get("records/notes?select=id").await.json(),
        json!([{"id":1}])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_pages_and_counts() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    let rows: Vec<_> = (1..=9).map(|n| json!({"id": n, "stars": n})).collect();
    ann.post("records/notes", &json!(rows).to_string()).await;

    let both = ann
        .get("records/notes?select=id&stars=gte.2&stars=lte.4&order=id.desc")
        .await;
    assert_eq!(
        both.json(),
        json!([{"id":4},{"id":3},{"id":2}]),
        "a key may be repeated"
    );
    let exact = [("prefer", "count=exact")];
    let page = ann
        .send(
            Method::GET,
            "records/notes?select=id&order=id&limit=2&offset=1",
            None,
            &exact,
        )
        .await;
    assert_eq!(page.status, 206);
    assert_eq!(page.headers["content-range"], "1-2/9");
    assert_eq!(page.json(), json!([{"id":2},{"id":3}]));
    let head = ann
        .send(Method::HEAD, "records/notes?select=id", None, &exact)
        .await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-range"], "0-8/9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_keep_every_digit() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    let row = r#"{"id":1,"big":9007199254740993,"price":1.10,"ref":""}"#;
    let created = ann
        .send(
            Method::POST,
            "records/notes?select=big,price",
            Some(row),
            BACK,
        )
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    assert!(
        created.text.contains("\"big\":9007199254740993"),
        "{created:?}"
    );
    assert!(created.text.contains("\"price\":1.10"), "{created:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_answer_bare_values() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    assert_eq!(ann.post("rpc/add", r#"{"a":5,"b":3}"#).await.text, "8");
    assert_eq!(ann.get("rpc/add?a=5").await.text, "8");
    let nothing = ann.post("rpc/nothing", "").await;
    assert!(nothing.status.is_success(), "{nothing:?}");
    assert!(["", "null"].contains(&nothing.text.as_str()), "{nothing:?}");
    ann.post("rpc/unknown", "{}").await.refused(404, "PGRST202");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_database_keep_their_code() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    ann.post("records/notes", r#"{"id":1}"#).await;
    let twice = ann.post("records/notes", r#"{"id":1}"#).await;
    twice.refused(409, "23505");
    assert!(twice.json().get("details").is_some(), "{twice:?}");
    let one = [("accept", "application/vnd.pgrst.object+json")];
    let none = ann
        .send(Method::GET, "records/notes?id=eq.9", None, &one)
        .await;
    none.refused(406, "PGRST116");
    assert!(none.text.contains("0 rows"), "{none:?}");
    ann.post("records/notes", r#"{"id":5,"owner":"bob"}"#)
        .await
        .refused(403, "42501");
}

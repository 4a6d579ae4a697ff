//! What the platform adds to the dialect: credentials, names, schemas, bodies, blanks.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::scene::{Client, Scene};

const BACK: &[(&str, &str)] = &[("prefer", "return=representation")];
/// Within this time a schema change has surely reached the service, also on a busy machine.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_needed_and_must_be_good() {
    let scene = Scene::set().await;
    let path = "records/notes";
    scene
        .caller("")
        .get(path)
        .await
        .refused(401, "AUTH_INVALID_CREDENTIALS");
    scene
        .caller("anon_wrong")
        .get(path)
        .await
        .refused(401, "AUTH_INVALID_CREDENTIALS");
    scene
        .caller("ik_wrong")
        .get(path)
        .await
        .refused(401, "AUTH_INVALID_API_KEY");
    scene
        .caller("a.b.c")
        .get(path)
        .await
        .refused(401, "AUTH_UNAUTHORIZED");
    let editor = scene.token("editor", "ann");
    scene
        .caller(editor)
        .get(path)
        .await
        .refused(403, "AUTH_UNAUTHORIZED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_stay_in_their_place() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    for name in ["%20", "a%22b", "a%00", "%FF"] {
        let path = format!("records/{name}");
        ann.get(&path)
            .await
            .refused(400, "DATABASE_VALIDATION_ERROR");
    }
    ann.get("records/a/b").await.refused(404, "NOT_FOUND");
    ann.get("records/").await.refused(404, "NOT_FOUND");
    let called = ann.get("records/rpc%2Fnothing").await;
    assert_eq!(called.status, 404, "{called:?}");
    let odd = Method::from_bytes(b"PROPFIND").unwrap();
    ann.send(odd, "records/notes", None, &[])
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_checked_before_they_are_executed() {
    let scene = Scene::set_with(&[("MAX_JSON_BODY_SIZE", "1kb")]).await;
    let ann = scene.user("ann");
    for body in ["{", "5", "{\"id\":1} {}"] {
        ann.post("records/notes", body)
            .await
            .refused(400, "INVALID_INPUT");
        ann.post("rpc/add", body)
            .await
            .refused(400, "INVALID_INPUT");
        for caller in ["", "a.b.c", "anon_wrong"] {
            scene
                .caller(caller)
                .post("records/notes", body)
                .await
                .refused(400, "INVALID_INPUT");
        }
        ann.send(Method::DELETE, "records/notes", Some(body), &[])
            .await
            .refused(400, "INVALID_INPUT");
    }
    let large = json!({"id": 1, "body": "x".repeat(2000)}).to_string();
    ann.post("records/notes", &large)
        .await
        .refused(413, "INVALID_INPUT");

    let defaults = ann
        .send(Method::POST, "records/defaults?select=word", None, BACK)
        .await;
    assert_eq!(
        defaults.json(),
        json!([{"word":"x"}]),
        "no body is a row of defaults"
    );
    let csv = [
        ("content-type", "text/csv"),
        ("prefer", "return=representation"),
    ];
    let rows = ann
        .send(
            Method::POST,
            "records/notes?select=id,body",
            Some("id,body\n1,a\n2,b\n"),
            &csv,
        )
        .await;
    assert_eq!(
        rows.json(),
        json!([{"id":1,"body":"a"},{"id":2,"body":"b"}])
    );
    let deleted = ann
        .send(
            Method::DELETE,
            "records/notes?id=eq.1",
            Some(r#"{"id":2}"#),
            &[],
        )
        .await;
    assert_eq!(deleted.status, 204, "a body of DELETE means nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blanks_are_left_out_where_the_column_holds_no_text() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    let path = "records/notes?select=body,stars,ref";
    let created = ann
        .send(
            Method::POST,
            path,
            Some(r#"[{"id":1,"body":"","stars":"","ref":""}]"#),
            BACK,
        )
        .await;
    assert_eq!(created.json(), json!([{"body":"","stars":3,"ref":null}]));

    let change = "alter table public.notes alter stars drop default, alter stars type text";
    scene.project.execute(change).await.unwrap();
    let stars = || async {
        ann.send(
            Method::PATCH,
            "records/notes?id=eq.1",
            Some(r#"{"stars":"5"}"#),
            &[],
        )
        .await;
        let path = "records/notes?id=eq.1&select=stars";
        ann.send(Method::PATCH, path, Some(r#"{"stars":""}"#), BACK)
            .await
            .text
    };
    let started = Instant::now();
    while stars().await != r#"[{"stars":""}]"# {
        assert!(
            started.elapsed() < SOON,
            "the old column type is still believed"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_are_chosen_by_parameter_or_header() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    let created = ann
        .post("records/orders?schema=sales", r#"{"id":1,"note":""}"#)
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    let found = ann.get("records/orders?schema=sales&select=note").await;
    assert_eq!(found.json(), json!([{"note":""}]));
    let profile = [("accept-profile", "sales")];
    let found = ann
        .send(Method::GET, "records/orders?select=id", None, &profile)
        .await;
    assert_eq!(found.json(), json!([{"id":1}]));
    ann.get("records/orders").await.refused(404, "42P01");

    ann.get("records/users?schema=auth")
        .await
        .refused(406, "PGRST106");
    ann.get("records/pg_class?schema=pg_catalog")
        .await
        .refused(400, "INVALID_INPUT");
    ann.get("records/orders?schema=sales&schema=sales")
        .await
        .refused(400, "INVALID_INPUT");
    ann.get("records/orders?schema=")
        .await
        .refused(400, "INVALID_INPUT");
    ann.get("records/orders?schema=a%22")
        .await
        .refused(400, "DATABASE_VALIDATION_ERROR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_tables_and_schemas_are_there_within_a_moment() {
    let scene = Scene::set().await;
    let ann = scene.user("ann");
    ann.get("records/notes").await;
    let ddl = "create table public.fresh (id integer); create schema later;
        grant usage on schema later to authenticated;
        create table later.things (id integer); grant select on later.things to authenticated";
    scene.project.execute(ddl).await.unwrap();
    answers_soon(&ann, "records/fresh").await;
    answers_soon(&ann, "records/things?schema=later").await;
    scene
        .project
        .execute("alter table public.fresh add word text default 'w'")
        .await
        .unwrap();
    answers_soon(&ann, "records/fresh?select=word").await;
}

async fn answers_soon(client: &Client<'_>, path: &str) {
    let started = Instant::now();
    loop {
        let answer = client.get(path).await;
        if answer.status == 200 {
            return;
        }
        assert!(started.elapsed() < SOON, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

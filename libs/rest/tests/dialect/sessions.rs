//! Reference, chapters "Authentication" and "Transactions": role, claims, settings, endings.

use ingot_rest::{EngineSettings, TransactionEnding};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn role_and_claims_reach_the_database() {
    let mut world = World::new().await;
    world.session.role = "authenticated".to_owned();
    world.session.claims = r#"{"role":"authenticated","sub":"ann"}"#.to_owned();
    world.session.authenticated = true;
    assert_eq!(world.rows("/rpc/who").await, json!("authenticated"));
    assert_eq!(world.rows("/rpc/claim?key=sub").await, json!("ann"));
    assert_eq!(
        world.rows("/secrets").await,
        json!([{"id":1,"owner":"ann","word":"pear"}])
    );
    let body = r#"{"id":3,"owner":"bob","word":"fig"}"#;
    let foreign = world.send("POST /secrets", &[], body).await;
    assert_eq!(foreign.fault(), (403, "42501".to_owned()));
    // The next request on the same connection is somebody else's.
    world.session.claims = r#"{"sub":"bob"}"#.to_owned();
    assert_eq!(
        world.rows("/secrets?select=owner").await,
        json!([{"owner":"bob"}])
    );
}

#[tokio::test]
async fn missing_privileges_depend_on_who_asks() {
    let mut world = World::new().await;
    let anonymous = world.get("/locked").await;
    assert_eq!(anonymous.fault(), (401, "42501".to_owned()));
    assert_eq!(anonymous.header("www-authenticate"), "Bearer");
    world.session.role = "authenticated".to_owned();
    world.session.authenticated = true;
    assert_eq!(
        world.get("/locked").await.fault(),
        (403, "42501".to_owned())
    );
}

#[tokio::test]
async fn request_settings_describe_the_request() {
    let mut world = World::new().await;
    world.session.settings = vec![("app.settings.flavour".to_owned(), "sour".to_owned())];
    let path = world.rows("/rpc/request_setting?key=path").await;
    assert_eq!(path, json!("/rpc/request_setting"));
    assert_eq!(
        world.rows("/rpc/request_setting?key=method").await,
        json!("GET")
    );
    let headers = ["X-Custom: yes", "Cookie: a=1; b=two"];
    let answer = world
        .send("GET /rpc/request_setting?key=headers", &headers, "")
        .await;
    let seen: serde_json::Value = serde_json::from_str(answer.json().as_str().unwrap()).unwrap();
    assert_eq!(
        (&seen["x-custom"], &seen["cookie"]),
        (&json!("yes"), &json!(null))
    );
    let answer = world
        .send("GET /rpc/request_setting?key=cookies", &headers, "")
        .await;
    assert_eq!(answer.json(), json!(r#"{"a":"1","b":"two"}"#));
    world
        .project
        .execute(
            "create function flavour() returns text language sql stable as \
        $$ select current_setting('app.settings.flavour', true) $$",
        )
        .await
        .unwrap();
    assert_eq!(world.rows("/rpc/flavour").await, json!("sour"));
}

#[tokio::test]
async fn profiles_switch_schemas() {
    let settings = EngineSettings {
        schemas: vec!["public".to_owned(), "other".to_owned()],
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    let other = "Accept-Profile: other";
    let answer = world.send("GET /things", &[other], "").await;
    assert_eq!(answer.json(), json!([{"id":1,"name":"far away"}]));
    assert_eq!(answer.header("content-profile"), "other");
    assert_eq!(
        world.get("/things").await.fault(),
        (404, "42P01".to_owned())
    );
    let headers = ["Content-Profile: other", "Prefer: return=representation"];
    let answer = world
        .send("POST /things", &headers, r#"{"id":2,"name":"new"}"#)
        .await;
    assert_eq!(answer.json(), json!([{"id":2,"name":"new"}]));
    assert_eq!(answer.header("content-profile"), "other");
    let silent = world
        .send("POST /things", &headers[..1], r#"{"id":3,"name":"new"}"#)
        .await;
    assert_eq!((silent.status, silent.header("content-profile")), (201, ""));
    let answer = world
        .send("POST /rpc/where_am_i", &["Content-Profile: other"], "{}")
        .await;
    assert_eq!(answer.json(), json!("other"));
    let path = world.send("GET /rpc/search_path_now", &[], "").await;
    assert_eq!(path.json(), json!("\"public\""));
    let hidden = world
        .send("GET /things", &["Accept-Profile: auth"], "")
        .await;
    assert_eq!(hidden.fault(), (406, "PGRST106".to_owned()));
    assert_eq!(
        hidden.json()["message"],
        "The schema must be one of the following: public, other"
    );
}

#[tokio::test]
async fn transactions_end_as_set() {
    let settings = EngineSettings {
        transaction_ending: TransactionEnding::CommitAllowOverride,
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    let headers = ["Prefer: tx=rollback, return=representation"];
    let answer = world
        .send("POST /items?select=name", &headers, r#"{"name":"gone"}"#)
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (201, json!([{"name":"gone"}]))
    );
    assert_eq!(
        answer.header("preference-applied"),
        "return=representation, tx=rollback"
    );
    assert_eq!(world.rows("/items").await, json!([]));
    world.send("POST /items", &[], r#"{"name":"kept"}"#).await;
    assert_eq!(
        world.rows("/items?select=name").await,
        json!([{"name":"kept"}])
    );
}

#[tokio::test]
async fn timezone_is_a_preference() {
    let world = World::new().await;
    world
        .project
        .execute(
            "create table moments (t timestamptz); grant select on moments to anon; \
        insert into moments values ('2023-10-18 12:37:59+00')",
        )
        .await
        .unwrap();
    let zone = ["Prefer: timezone=America/Los_Angeles"];
    let answer = world.send("GET /moments", &zone, "").await;
    assert_eq!(answer.json(), json!([{"t":"2023-10-18T05:37:59-07:00"}]));
    assert_eq!(
        answer.header("preference-applied"),
        "timezone=America/Los_Angeles"
    );
    let unknown = world
        .send("GET /moments", &["Prefer: timezone=Jupiter/Red_Spot"], "")
        .await;
    assert_eq!(
        (unknown.status, unknown.header("preference-applied")),
        (200, "")
    );
    let strict = ["Prefer: handling=strict, timezone=Jupiter/Red_Spot"];
    let refused = world.send("GET /moments", &strict, "").await;
    assert_eq!(refused.fault(), (400, "PGRST122".to_owned()));
    let strict = ["Prefer: handling=strict, foo, bar"];
    let refused = world.send("GET /moments", &strict, "").await;
    assert_eq!(refused.json()["details"], "Invalid preferences: foo, bar");
}

#[tokio::test]
async fn pre_request_runs_first() {
    let settings = EngineSettings {
        pre_request: Some("public.gate".to_owned()),
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    world
        .project
        .execute(
            "create function gate() returns void language plpgsql as $$ begin \
        if current_setting('request.headers', true)::json ->> 'x-bad' is not null then \
        raise sqlstate 'PT403' using message = 'not you'; end if; end $$",
        )
        .await
        .unwrap();
    assert_eq!(world.get("/people?limit=1").await.status, 200);
    let refused = world.send("GET /people", &["X-Bad: 1"], "").await;
    assert_eq!(refused.fault(), (403, "PT403".to_owned()));
}

/// A table whose rows are checked when their transaction ends.
const DEFERRED: &str = "create table couples (id integer primary key, other integer references couples \
    deferrable initially deferred); grant all on couples to anon, authenticated";

#[tokio::test]
async fn what_fails_at_the_end_of_a_transaction_is_the_answer() {
    let world = World::new().await;
    world.project.execute(DEFERRED).await.unwrap();
    let orphan = r#"{"id":1,"other":9}"#;
    for _ in 0..3 {
        let refused = world.send("POST /couples", &[], orphan).await;
        assert_eq!(refused.fault(), (409, "23503".to_owned()));
        assert_eq!(world.rows("/couples").await, json!([]));
    }
    // The same where the transaction is opened and ended by statements of its own.
    let single = [
        "Accept: application/vnd.pgrst.object+json",
        "Prefer: return=representation",
    ];
    let refused = world.send("POST /couples", &single, orphan).await;
    assert_eq!(refused.fault(), (409, "23503".to_owned()));
    assert_eq!(world.rows("/couples").await, json!([]));
    let both = world.send(
        "POST /couples",
        &[],
        r#"[{"id":1,"other":2},{"id":2,"other":1}]"#,
    );
    assert_eq!(both.await.status, 201);
}

#[tokio::test]
async fn what_would_fail_at_the_end_fails_also_where_it_is_taken_back() {
    let world = World::with(EngineSettings {
        transaction_ending: TransactionEnding::CommitAllowOverride,
        ..EngineSettings::default()
    })
    .await;
    world.project.execute(DEFERRED).await.unwrap();
    let orphan = r#"{"id":1,"other":9}"#;
    let single = "Accept: application/vnd.pgrst.object+json";
    for headers in [
        &["Prefer: tx=rollback"][..],
        &["Prefer: tx=rollback, return=representation", single],
    ] {
        let refused = world.send("POST /couples", headers, orphan).await;
        assert_eq!(refused.fault(), (409, "23503".to_owned()), "{headers:?}");
        let alone = r#"{"id":1,"other":1}"#;
        let answer = world.send("POST /couples", headers, alone).await;
        assert_eq!(answer.status, 201, "{headers:?}");
        assert_eq!(world.rows("/couples").await, json!([]));
    }
}

#[tokio::test]
async fn a_request_that_fails_leaves_nothing() {
    let world = World::with(EngineSettings {
        pre_request: Some("public.note".to_owned()),
        ..EngineSettings::default()
    })
    .await;
    let notes = "create table notes (at timestamptz default now()); grant all on notes to anon; \
        create function note() returns void language plpgsql as $$ begin \
        if current_setting('transaction_read_only') = 'off' then \
        insert into notes default values; end if; end $$";
    world.project.execute(notes).await.unwrap();
    for _ in 0..3 {
        let failed = world.send("POST /items", &[], r#"{"amount":"none"}"#).await;
        assert_eq!(failed.fault(), (400, "22P02".to_owned()));
    }
    assert_eq!(world.rows("/notes").await, json!([]));
    assert_eq!(world.send("POST /items", &[], "{}").await.status, 201);
    assert_eq!(
        world
            .rows("/notes?select=at")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn reads_cannot_write_and_writes_can() {
    let world = World::new().await;
    let sly = "create function sly() returns text language sql stable as \
               $$ select set_config('transaction_read_only', 'off', true) $$; \
               create function mode() returns text language sql stable as \
               $$ select current_setting('transaction_read_only') $$";
    world.project.execute(sly).await.unwrap();
    assert_eq!(world.rows("/rpc/mode").await, json!("on"));
    let refused = world.get("/rpc/sly").await;
    assert_eq!(refused.fault(), (500, "25001".to_owned()));
    // A login role that only reads by default does not keep a write from writing.
    let role = ingot_project::LoginRole::Authenticator.name(&world.project.project().id);
    let stop = format!(
        "alter role {role} set default_transaction_read_only = on; \
         select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = '{role}'"
    );
    world.project.execute(&stop).await.unwrap();
    assert_eq!(world.send("POST /items", &[], "{}").await.status, 201);
    assert_eq!(world.rows("/rpc/mode").await, json!("on"));
}

#[tokio::test]
async fn roles_bring_what_the_login_role_was_granted() {
    let mut world = World::new().await;
    let login = ingot_project::LoginRole::Authenticator.name(&world.project.project().id);
    // Roles belong to the whole server.
    let role = format!("{login}_tracker");
    let create = format!(
        "create role {role} nologin; grant {role} to {login}; \
         grant usage on schema public to {role}; \
         grant set on parameter track_functions to {login}; \
         alter role {role} set track_functions = 'pl'; \
         alter role {role} set lo_compat_privileges = 'on'; \
         alter role {role} set work_mem = '5MB'; \
         create function settings() returns text language sql stable as $$ select concat_ws(' ', \
         current_setting('track_functions'), current_setting('lo_compat_privileges'), \
         current_setting('work_mem')) $$"
    );
    world.project.execute(&create).await.unwrap();
    world.session.role.clone_from(&role);
    world.session.authenticated = true;
    let seen = world.get("/rpc/settings").await;
    let remove = format!(
        "revoke set on parameter track_functions from {login}; drop owned by {role}; drop role {role}"
    );
    world.project.execute(&remove).await.unwrap();
    assert_eq!((seen.status, seen.json()), (200, json!("pl off 5MB")));
}

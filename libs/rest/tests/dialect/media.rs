//! Reference, chapters "Media Type Handlers", "Domain Representations", "Execution plan", and the
//! limit on the size of an answer.

use ingot_rest::EngineSettings;
use serde_json::json;

use crate::world::World;

const HANDLERS: &str = r#"
create domain "application/vnd.upper" as text;
create domain "text/plain" as text;
create domain "text/csv" as text;
create domain "image/dot" as bytea;
create function shout(state text, next people) returns "application/vnd.upper" language sql immutable
    as $$ select state || upper(next.name) || ';' $$;
create aggregate shout_all (people) (initcond = '', stype = "application/vnd.upper", sfunc = shout);
create function line(state text, next keyless) returns "text/csv" language sql immutable
    as $$ select state || next.a || '|' || next.b || E'\n' $$;
create aggregate lines_all (keyless) (initcond = 'A|B
', stype = "text/csv", sfunc = line);
create function dot() returns "image/dot" language sql immutable as $$ select '\x0001ff'::bytea $$;
create function words() returns "text/plain" language sql immutable as $$ select 'just words' $$;
create function all_people() returns setof people language sql stable as $$ select * from people $$;
"#;

#[tokio::test]
async fn handlers_make_media_types() {
    let world = World::new().await;
    world.project.execute(HANDLERS).await.unwrap();
    let upper = "Accept: application/vnd.upper";
    let answer = world
        .send("GET /people?id=lt.3&order=id", &[upper], "")
        .await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "TOP;MIDDLE;")
    );
    assert_eq!(answer.header("content-type"), "application/vnd.upper");
    let narrowed = world.send("GET /people?select=id", &[upper], "").await;
    assert_eq!(narrowed.fault(), (406, "PGRST107".to_owned()));
    let elsewhere = world.send("GET /films", &[upper], "").await;
    assert_eq!(elsewhere.fault(), (406, "PGRST107".to_owned()));
    let called = world
        .send("GET /rpc/all_people?id=eq.1", &[upper], "")
        .await;
    assert_eq!(called.text(), "TOP;");
    let csv = world
        .send("GET /keyless?order=a", &["Accept: text/csv"], "")
        .await;
    assert_eq!(csv.text(), "A|B\n1|x\n2|y\n");
    let dot = world.send("GET /rpc/dot", &["Accept: image/dot"], "").await;
    assert_eq!((dot.status, dot.body.as_ref()), (200, &[0, 1, 255][..]));
    assert_eq!(dot.header("content-type"), "image/dot");
    let words = world
        .send("POST /rpc/words", &["Accept: text/plain"], "{}")
        .await;
    assert_eq!(words.text(), "just words");
    assert_eq!(words.header("content-type"), "text/plain; charset=utf-8");
}

const REPRESENTATIONS: &str = "
create domain shade as integer;
create function json(shade) returns json language sql immutable
    as $$ select to_json('#' || lpad(upper(to_hex($1)), 6, '0')) $$;
create function shade(text) returns shade language sql immutable
    as $$ select (('x' || lpad(replace($1, '#', ''), 8, '0'))::bit(32)::int)::shade $$;
create function shade(json) returns shade language sql immutable
    as $$ select shade($1 #>> '{}') $$;
create cast (shade as json) with function json(shade) as implicit;
create cast (text as shade) with function shade(text) as implicit;
create cast (json as shade) with function shade(json) as implicit;
create table paints (id integer primary key, color shade);
insert into paints values (1, 255), (2, 65280);
grant all on paints to anon;
";

#[tokio::test]
async fn domains_choose_their_representation() {
    let world = World::new().await;
    world.project.execute(REPRESENTATIONS).await.unwrap();
    let rows = world.rows("/paints?id=eq.1").await;
    assert_eq!(rows, json!([{"id":1,"color":"#0000FF"}]));
    let rows = world
        .rows("/paints?select=hue:color&color=eq.%2300FF00")
        .await;
    assert_eq!(rows, json!([{"hue":"#00FF00"}]));
    let rows = world
        .rows("/paints?select=id&color=in.(%230000FF,%2300FF00)&order=id")
        .await;
    assert_eq!(rows, json!([{"id":1},{"id":2}]));
    let full = ["Prefer: return=representation"];
    let answer = world
        .send("POST /paints", &full, r##"{"id":3,"color":"#FF0000"}"##)
        .await;
    assert_eq!(answer.json(), json!([{"id":3,"color":"#FF0000"}]));
    let line = "PATCH /paints?color=eq.%23FF0000&select=color";
    let answer = world.send(line, &full, r##"{"color":"#000001"}"##).await;
    assert_eq!(answer.json(), json!([{"color":"#000001"}]));
    let rows = world.rows("/paints?select=raw:color::text&id=eq.3").await;
    assert_eq!(
        rows,
        json!([{"raw":"\"#000001\""}]),
        "what is shown is cast"
    );
}

#[tokio::test]
async fn plans_are_shown_when_allowed() {
    let settings = EngineSettings {
        plan_enabled: true,
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    let text = world
        .send("GET /films", &["Accept: application/vnd.pgrst.plan"], "")
        .await;
    assert!(text.text().starts_with("Aggregate"), "{}", text.text());
    let accept = "Accept: application/vnd.pgrst.plan+json; for=\"application/json\"; options=analyze|verbose";
    let json = world.send("GET /films?id=eq.1", &[accept], "").await;
    assert!(
        json.json()[0]["Plan"]["Actual Rows"].is_number(),
        "{}",
        json.text()
    );
    assert_eq!(
        json.header("content-type"),
        "application/vnd.pgrst.plan+json; for=\"application/json\"; options=analyze|verbose; charset=utf-8"
    );
    let world = World::new().await;
    let refused = world
        .send("GET /films", &["Accept: application/vnd.pgrst.plan"], "")
        .await;
    assert_eq!(refused.fault(), (406, "PGRST107".to_owned()));
}

#[tokio::test]
async fn large_answers_are_refused() {
    let settings = EngineSettings {
        max_response_bytes: Some(500),
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    assert_eq!(world.get("/films?select=id").await.status, 200);
    let answer = world.get("/films").await;
    assert_eq!(answer.status, 413, "{}", answer.text());
}

#[tokio::test]
async fn roles_and_functions_bring_settings() {
    let world = World::new().await;
    world.project.execute(
        "alter role anon set statement_timeout = '7s'; \
         create function limit_now() returns text language sql stable as \
         $$ select current_setting('statement_timeout') $$; \
         create function slow_limit() returns text language sql stable \
         set statement_timeout = '9s' set default_transaction_isolation = 'serializable' as \
         $$ select current_setting('statement_timeout') || ' ' || current_setting('transaction_isolation') $$",
    ).await.unwrap();
    let seen = world.rows("/rpc/limit_now").await;
    world
        .project
        .execute("alter role anon reset statement_timeout")
        .await
        .unwrap();
    assert_eq!(seen, json!("7s"));
    assert_eq!(
        world.rows("/rpc/slow_limit").await,
        json!("9s serializable")
    );
}

#[tokio::test]
async fn what_functions_return_is_negotiated_too() {
    let world = World::new().await;
    let handler = r#"
        create domain "text/shout" as text;
        create function louder("text/shout", anyelement) returns "text/shout" language sql immutable
            as $$ select upper($2::text)::"text/shout" $$;
        create aggregate shout(anyelement) (sfunc = louder, stype = "text/shout");
    "#;
    world.project.execute(handler).await.unwrap();
    let shout = ["Accept: text/shout"];
    let answer = world.send("GET /rpc/greet", &shout, "").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "HI YOU"));
    assert_eq!(answer.header("content-type"), "text/shout");
    let answer = world.send("GET /people?id=eq.1", &shout, "").await;
    assert_eq!(answer.text(), "(1,TOP,)");
    // Nothing at all is shown in no other type either.
    let void = world.send("POST /rpc/nothing", &shout, "").await;
    assert_eq!((void.status, void.header("content-type")), (204, ""));
    let void = world.send("POST /rpc/nothing", &["Accept: text/html"], "");
    let void = void.await;
    assert_eq!(void.fault(), (406, "PGRST107".to_owned()));
    assert_eq!(
        void.json()["message"],
        "None of these media types are available: text/html"
    );
}

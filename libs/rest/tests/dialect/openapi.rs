//! Reference, chapter "OpenAPI".

use ingot_rest::{EngineSettings, OpenApiMode};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_root_describes_what_the_role_sees() {
    let world = World::new().await;
    world
        .project
        .execute(
            "comment on schema public is E'Films API\\nAll about films'; \
         comment on table films is 'Moving pictures'; \
         comment on function greet is E'Says hello\\n\\n  Loudly\\nif asked'; \
         create table codes (flags bit(5), short char(3), long varchar(20), free text); \
         grant select on codes to anon; \
         comment on column films.title is 'As on the poster'",
        )
        .await
        .unwrap();
    let answer = world.get("/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        "application/openapi+json; charset=utf-8"
    );
    let document = answer.json();
    assert_eq!(document["swagger"], "2.0");
    assert_eq!(document["info"]["title"], "Films API");
    assert_eq!(document["info"]["description"], "All about films");
    let films = &document["definitions"]["films"];
    assert_eq!(films["description"], "Moving pictures");
    assert_eq!(films["required"], json!(["id", "title", "tags", "data"]));
    assert_eq!(
        films["properties"]["title"],
        json!({"description":"As on the poster","format":"text","type":"string"})
    );
    assert_eq!(
        films["properties"]["director_id"]["description"],
        "Note:\nThis is a Foreign Key to `directors.id`.<fk table='directors' column='id'/>"
    );
    assert_eq!(
        films["properties"]["feeling"]["enum"],
        json!(["sad", "fine", "happy"])
    );
    assert_eq!(
        films["properties"]["tags"]["items"],
        json!({"type":"string"})
    );
    let items = &document["definitions"]["items"]["properties"];
    assert_eq!(
        (&items["name"]["default"], &items["amount"]["default"]),
        (&json!("nameless"), &json!(7))
    );
    assert_eq!(items["id"].get("default"), None, "not a constant");
    assert_eq!(films["properties"]["feeling"]["format"], "public.mood");
    assert_eq!(
        items["id"]["description"],
        "Note:\nThis is a Primary Key.<pk/>"
    );
    let codes = &document["definitions"]["codes"]["properties"];
    for (column, length) in [
        ("flags", json!(5)),
        ("short", json!(3)),
        ("long", json!(20)),
        ("free", json!(null)),
    ] {
        assert_eq!(codes[column]["maxLength"], length, "{column}");
    }
    let paths = document["paths"].as_object().unwrap();
    let films = &paths["/films"]["get"];
    assert_eq!(films["summary"], "Moving pictures");
    assert_eq!(films.get("description"), None, "nothing is left for it");
    let greet = &paths["/rpc/greet"]["post"];
    assert_eq!(greet["summary"], "Says hello");
    assert_eq!(greet["description"], "  Loudly\nif asked");
    assert!(paths.contains_key("/rpc/add") && paths.contains_key("/french_films"));
    assert!(!paths.contains_key("/locked"), "no privilege, no path");
    assert_eq!(
        paths["/rpc/nothing"]["post"]["parameters"][0]["schema"],
        json!({"type":"object"}),
        "no arguments, no properties"
    );
    assert!(
        !paths.contains_key("/rpc/full_name"),
        "a computed column is no function to call"
    );
    assert_eq!(world.send("HEAD /", &[], "").await.status, 200);
    for body in ["{}", "not json"] {
        assert_eq!(
            world.send("POST /", &[], body).await.fault(),
            (405, "PGRST117".to_owned())
        );
    }
    let refused = world.send("GET /", &["Accept: text/csv"], "").await;
    assert_eq!(refused.fault(), (406, "PGRST107".to_owned()));
}

#[tokio::test]
async fn a_setting_decides_what_is_described() {
    let with = |openapi_mode| EngineSettings {
        openapi_mode,
        openapi_server_uri: Some("https://example.org/api".to_owned()),
        ..EngineSettings::default()
    };
    let world = World::with(with(OpenApiMode::IgnorePrivileges)).await;
    let document = world.rows("/").await;
    assert!(document["paths"].get("/locked").is_some());
    assert_eq!(
        (
            &document["host"],
            &document["basePath"],
            &document["schemes"]
        ),
        (&json!("example.org:443"), &json!("/api"), &json!(["https"]))
    );
    let world = World::with(with(OpenApiMode::Disabled)).await;
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        let answer = world.send(&format!("{method} /"), &[], "").await;
        assert_eq!(answer.status, 404, "{method}");
    }
    assert_eq!(world.get("/").await.json(), json!({}));
}

#[tokio::test]
async fn a_comment_of_one_line_is_a_title_without_description() {
    let world = World::new().await;
    let comment = "comment on schema public is 'Just films'";
    world.project.execute(comment).await.unwrap();
    let info = &world.rows("/").await["info"];
    assert_eq!(info["title"], "Just films");
    assert_eq!(info["description"], "");
}

#[tokio::test]
async fn a_domain_is_shown_as_what_it_is_made_of() {
    let world = World::new().await;
    let domains = "create domain word as varchar(7); create domain noun as word; \
        create domain state as mood; \
        create table codes (word word default 'a', noun noun, state state default 'sad'); \
        grant select on codes to anon";
    world.project.execute(domains).await.unwrap();
    let document = world.rows("/").await;
    let codes = &document["definitions"]["codes"]["properties"];
    let (text, number) = ("character varying", json!(7));
    assert_eq!(
        codes["word"],
        json!({"default": "a", "format": text, "maxLength": number, "type": "string"})
    );
    assert_eq!(codes["noun"], json!({"format": text, "type": "string"}));
    // Of a type that is not PostgreSQL's own, the domain's name stays.
    assert_eq!(codes["state"]["format"], "public.state");
    assert_eq!(codes["state"]["enum"], json!(["sad", "fine", "happy"]));
}

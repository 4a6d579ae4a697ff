//! What the catalogue routes tell.

use serde_json::{Value, json};

use crate::harness::{Api, send};

async fn sql(api: &Api, query: &str) {
    let body = json!({ "query": query });
    let answer = send(
        api.admin("POST", "/api/database/advance/rawsql")
            .json(&body),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn get(api: &Api, path: &str) -> Value {
    let answer = send(api.admin("GET", &format!("/api/database/{path}"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn the_catalogue_is_shown() {
    let api = Api::start().await;
    sql(&api, "CREATE SCHEMA app; CREATE TABLE t (id int PRIMARY KEY, a text); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE INDEX t_a ON t (a); CREATE POLICY p ON t FOR SELECT TO anon, authenticated USING (id > 1);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
        CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION f()").await;
    let schemas = get(&api, "schemas").await;
    assert_eq!(
        schemas["schemas"][0],
        json!({ "name": "public", "isProtected": false })
    );
    assert_eq!(
        schemas["schemas"][1],
        json!({ "name": "app", "isProtected": false })
    );
    assert_eq!(
        schemas["schemas"][2],
        json!({ "name": "auth", "isProtected": true })
    );
    let functions = get(&api, "functions").await;
    assert_eq!(functions["functions"][0]["functionName"], "f");
    assert_eq!(functions["functions"][0]["kind"], "f");
    let indexes = get(&api, "indexes").await;
    assert_eq!(indexes["indexes"][0]["indexName"], "t_a");
    assert_eq!(indexes["indexes"][1]["isPrimary"], true);
    assert_eq!(
        get(&api, "policies").await["policies"],
        json!([{ "tableName": "t", "policyName": "p", "cmd": "SELECT",
            "roles": ["anon", "authenticated"], "qual": "(id > 1)", "withCheck": null }])
    );
    let triggers = get(&api, "triggers").await;
    let trigger = |event: &str| {
        json!({ "tableName": "t", "triggerName": "g", "actionTiming": "BEFORE",
        "eventManipulation": event, "actionOrientation": "ROW", "actionCondition": "(new.id > 1)",
        "actionStatement": "EXECUTE FUNCTION f()" })
    };
    assert_eq!(
        triggers["triggers"],
        json!([trigger("INSERT"), trigger("UPDATE")])
    );
    assert_eq!(
        get(&api, "policies?schema=app").await,
        json!({ "policies": [] })
    );
}

#[tokio::test]
async fn listings_have_pages_and_a_search() {
    let api = Api::start().await;
    sql(
        &api,
        "CREATE TABLE apples (id int PRIMARY KEY, a text); CREATE INDEX red ON apples (a);
         CREATE TABLE pears (id int PRIMARY KEY);
         CREATE FUNCTION eat_apple() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION wait_100() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    .await;
    let names = async |path: &str, list: &str, name: &str| -> Vec<String> {
        let found = get(&api, path).await;
        let found = found[list].as_array().unwrap();
        found
            .iter()
            .map(|o| o[name].as_str().unwrap().to_owned())
            .collect()
    };
    for (query, expected) in [
        ("", &["apples_pkey", "red", "pears_pkey"][..]),
        ("?limit=1", &["apples_pkey"]),
        ("?limit=2&offset=1", &["red", "pears_pkey"]),
        ("?search=APPLE", &["apples_pkey", "red"]),
        ("?search=pkey&offset=1", &["pears_pkey"]),
        ("?search=%25", &[]),
        (
            "?limit=x&offset=-1&search=",
            &["apples_pkey", "red", "pears_pkey"],
        ),
    ] {
        let found = names(&format!("indexes{query}"), "indexes", "indexName").await;
        assert_eq!(found, expected, "{query}");
    }
    let found = names("functions?search=100", "functions", "functionName").await;
    assert_eq!(found, ["wait_100"]);
    for list in ["policies", "triggers"] {
        assert_eq!(
            get(&api, &format!("{list}?search=x&limit=5")).await[list],
            json!([])
        );
    }
}

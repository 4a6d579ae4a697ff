//! Reference, chapter "Errors": which of several errors in one request is told. What the request
//! says is looked at before what the schema has, and what the schema has before PostgreSQL is asked.

use crate::world::World;

const STRICT: &str = "Prefer: handling=strict, nonsense";
const PICTURE: &str = "Accept: image/png";

#[tokio::test]
async fn reads_tell_the_first_fault() {
    let world = World::new().await;
    let cases: [(&str, &[&str], (u16, &str)); 13] = [
        // What PostgreSQL finds wrong comes last.
        ("/films?select=nope", &[PICTURE], (406, "PGRST107")),
        ("/films?select=nope", &[STRICT], (400, "PGRST122")),
        ("/films?nope=eq.1", &[STRICT, PICTURE], (406, "PGRST107")),
        ("/nothing", &[PICTURE], (406, "PGRST107")),
        ("/nothing", &[STRICT], (400, "PGRST122")),
        ("/nothing?select=films(*)", &[PICTURE], (400, "PGRST200")),
        ("/films?select=nope,actors!no(*)", &[], (400, "PGRST200")),
        // The query string before the preferences.
        ("/films?id=nope.1", &[STRICT], (400, "PGRST100")),
        // What is not embedded, then what cannot be, then what is not allowed.
        ("/films?select=nothing(*)&a.id=eq.1", &[], (400, "PGRST108")),
        ("/films?select=id.sum(),nothing(*)", &[], (400, "PGRST200")),
        ("/films?select=nope,id.sum()", &[], (400, "PGRST123")),
        (
            "/films?select=...roles(*),nothing(*)",
            &[],
            (400, "PGRST200"),
        ),
        ("/films?select=nope,...roles(*)", &[], (400, "PGRST119")),
    ];
    for (url, headers, expected) in cases {
        let answer = world.send(&format!("GET {url}"), headers, "").await;
        let (status, code) = answer.fault();
        assert_eq!((status, code.as_str()), expected, "{url} {headers:?}");
    }
    let answer = world.get("/films?a.id=eq.1&b.id=eq.1").await;
    let message = answer.json()["message"].clone();
    assert_eq!(message, "'b' is not an embedded resource in this request");
}

#[tokio::test]
async fn writes_and_calls_tell_the_first_fault() {
    let world = World::new().await;
    let full = "Prefer: return=representation";
    let cases: [(&str, &[&str], (u16, &str)); 9] = [
        ("POST /items", &[STRICT, PICTURE], (400, "PGRST122")),
        (
            "POST /items?select=nope",
            &[full, PICTURE],
            (406, "PGRST107"),
        ),
        (
            "POST /items?select=nope",
            &[full, STRICT],
            (400, "PGRST122"),
        ),
        ("POST /items?select=id.sum()", &[], (400, "PGRST123")),
        ("POST /items?columns=nope", &[STRICT], (400, "PGRST204")),
        ("PUT /items?name=eq.a&columns=id", &[], (405, "PGRST105")),
        ("PATCH /items?id=eq.1&limit=1", &[STRICT], (400, "PGRST109")),
        (
            "POST /rpc/nothing?select=nope",
            &[PICTURE],
            (406, "PGRST107"),
        ),
        ("POST /rpc/missing", &[STRICT, PICTURE], (404, "PGRST202")),
    ];
    for (line, headers, expected) in cases {
        let answer = world.send(line, headers, "{}").await;
        let (status, code) = answer.fault();
        assert_eq!((status, code.as_str()), expected, "{line} {headers:?}");
    }
    assert_eq!(world.rows("/items").await, serde_json::json!([]));
}

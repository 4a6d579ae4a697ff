//! The node against raw frames: the protocol's bytes, and clients that do not keep to it.

mod scene;

use std::time::Duration;

use anyhow::Context;
use futures::SinkExt;
use reqwest::Method;
use scene::raw::Raw;
use scene::{Scene, USER};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_conversation_has_the_contracts_bytes() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut raw = Raw::open(&scene, &node).await?;
    let open = raw.text().await?;
    let open: Value = serde_json::from_str(open.strip_prefix('0').context("open")?)?;
    assert_eq!(open["upgrades"], json!([]));
    assert_eq!(
        (&open["pingInterval"], &open["pingTimeout"]),
        (&json!(25000), &json!(20000))
    );
    assert_eq!(open["maxPayload"], 1_000_000);
    raw.send("40/foo,{}").await?;
    assert_eq!(
        raw.text().await?,
        r#"44/foo,{"message":"Invalid namespace"}"#
    );
    raw.send("40").await?;
    assert_eq!(
        raw.text().await?,
        r#"44{"message":"No authentication provided"}"#
    );
    raw.send(&format!("40{}", scene.user_auth(USER)?)).await?;
    let connected = raw.text().await?;
    let connected: Value =
        serde_json::from_str(connected.strip_prefix("40").context("connected")?)?;
    assert_eq!(connected["sid"].as_str().map(str::len), Some(20));
    assert_eq!(connected.as_object().map(serde_json::Map::len), Some(1));
    raw.send(r#"421["realtime:subscribe",{"channel":"orders"}]"#)
        .await?;
    let ack = raw.text().await?;
    assert!(
        ack.starts_with(
            r#"431[{"ok":true,"channel":"orders","presence":{"members":[{"type":"user","#
        ),
        "{ack}"
    );
    node.stop().await
}

#[tokio::test]
async fn odd_arguments_are_answered_and_harm_nobody() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut bystander = Raw::join(&scene, &node).await?;
    bystander
        .send(r#"421["realtime:subscribe",{"channel":"orders"}]"#)
        .await?;
    bystander.text().await?;
    let mut raw = Raw::join(&scene, &node).await?;
    let invalid = |ack: &str| ack.contains(r#""ok":false"#) && ack.contains("INVALID_INPUT");
    for argument in ["", ",null", ",5", ",[]", ",\"x\"", ",[\"orders\"]"] {
        raw.send(&format!(r#"427["realtime:subscribe"{argument}]"#))
            .await?;
        let ack = raw.text().await?;
        assert!(
            ack.starts_with("437[{") && invalid(&ack),
            "{argument}: {ack}"
        );
    }
    for (argument, echo) in [
        ("{}", r#"{"ok":false,"error""#),
        (r#"{"channel":null}"#, r#"{"ok":false,"channel":null,"#),
        (
            r#"{"channel":12345678901234567890}"#,
            r#"{"ok":false,"channel":12345678901234567890,"#,
        ),
    ] {
        raw.send(&format!(r#"428["realtime:subscribe",{argument}]"#))
            .await?;
        let ack = raw.text().await?;
        assert!(
            ack.contains(echo) && ack.contains("REALTIME_UNAUTHORIZED"),
            "{ack}"
        );
    }
    raw.send(r#"42["realtime:unsubscribe"]"#).await?;
    raw.send(r#"42["realtime:unsubscribe",null]"#).await?;
    raw.send(r#"42["unknown",{"a":1}]"#).await?;
    raw.send(r#"439["an answer to nothing"]"#).await?;
    let nested = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for publish in [
        r#"42["realtime:publish"]"#.to_owned(),
        format!(r#"42["realtime:publish",{nested}]"#),
    ] {
        raw.send(&publish).await?;
        assert!(raw.text().await?.contains("REALTIME_INVALID_EVENT"));
    }
    // An attachment, in the form that JavaScript gives it.
    raw.send(r#"421["realtime:subscribe",{"channel":"room:1"}]"#)
        .await?;
    raw.text().await?;
    raw.send(r#"451-["realtime:publish",{"channel":"room:1","event":"e","payload":{"_placeholder":true,"num":0}}]"#).await?;
    raw.0.send(Message::binary(vec![1, 2])).await?;
    let mut sql = scene.project.superuser().await?;
    let mut stored: Option<Value> = None;
    for _ in 0..100 {
        stored = sqlx::query_scalar("select payload from realtime.messages")
            .fetch_optional(&mut sql)
            .await?;
        if stored.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stored, Some(json!({"type": "Buffer", "data": [1, 2]})));
    scene.publish("orders", "e", "{}").await?;
    assert!(bystander.text().await?.starts_with(r#"42["e",{"meta""#));
    node.stop().await
}

/// What the protocol allows and nobody can mean.
const IDLE: [&str; 12] = [
    "42",
    "421",
    "42[5,{}]",
    "421[5]",
    "42[\"\\ud800\"]",
    "42[\"error\"]",
    "43",
    "43[]",
    "4312[]",
    "44",
    "44{}",
    "44\"x\"",
];

#[tokio::test]
async fn what_means_nothing_is_ignored() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let subscribe = r#"421["realtime:subscribe",{"channel":"orders"}]"#;
    let mut raw = Raw::join(&scene, &node).await?;
    for frame in IDLE {
        raw.send(frame).await?;
    }
    raw.send(subscribe).await?;
    assert!(raw.text().await?.starts_with(r#"431[{"ok":true"#));

    let open = node
        .request(Method::GET, "/socket.io/?EIO=4&transport=polling")
        .send()
        .await?;
    let open = open.text().await?;
    let open: Value = serde_json::from_str(open.strip_prefix('0').context("open")?)?;
    let sid = open.get("sid").and_then(Value::as_str).context("sid")?;
    let session = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let post = async |body: String| {
        let answer = node.request(Method::POST, &session).body(body).send();
        anyhow::ensure!(answer.await?.text().await? == "ok");
        Ok(())
    };
    let mut heard = String::new();
    post(format!("40{}", scene.user_auth(USER)?)).await?;
    while !heard.contains("40{") {
        heard += &node
            .request(Method::GET, &session)
            .send()
            .await?
            .text()
            .await?;
    }
    for frame in IDLE {
        post(frame.to_owned()).await?;
    }
    post([IDLE.join("\u{1e}").as_str(), subscribe].join("\u{1e}")).await?;
    while !heard.contains("431[") {
        let answer = node.request(Method::GET, &session).send().await?;
        anyhow::ensure!(answer.status() == 200, "{heard}");
        heard += &answer.text().await?;
    }
    assert!(heard.contains(r#"431[{"ok":true"#), "{heard}");
    node.stop().await
}

#[tokio::test]
async fn frames_that_break_the_protocol_end_their_own_session_only() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut bystander = Raw::join(&scene, &node).await?;
    bystander
        .send(r#"421["realtime:subscribe",{"channel":"orders"}]"#)
        .await?;
    bystander.text().await?;
    let long = format!(r#"42["x","{}"]"#, "y".repeat(1_100_000));
    for frame in [
        r#"42["connect"]"#,
        r#"42["disconnect"]"#,
        r#"42["newListener",1]"#,
        "42[]",
        "42{}",
        "42[\"x\"",
        "43{}",
        "44[]",
        "47",
        "4",
        "4é",
        "40",
        "41/foo",
        "45",
        "42/foo,[\"x\"]",
        "x",
        &long,
    ] {
        let mut raw = Raw::join(&scene, &node).await?;
        raw.send(frame).await?;
        let shown: String = frame.chars().take(40).collect();
        assert!(raw.is_closed().await.with_context(|| shown)?);
    }
    for frame in [
        r#"42["realtime:subscribe",{"channel":"orders"}]"#,
        "40[]",
        "40\"x\"",
        "43[]",
        "41",
    ] {
        let mut raw = Raw::open(&scene, &node).await?;
        raw.text().await?;
        raw.send(frame).await?;
        assert!(raw.is_closed().await.context(frame)?);
    }
    scene.publish("orders", "e", "{}").await?;
    assert!(bystander.text().await?.starts_with(r#"42["e","#));
    node.stop().await
}

#[tokio::test]
async fn polling_answers_are_the_contracts() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let get = |path: &str| {
        node.request(Method::GET, path)
            .header("origin", "https://app.example")
    };
    for (path, body) in [
        (
            "/socket.io/?EIO=4",
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "/socket.io/?EIO=4&transport=carrier",
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            "/socket.io/?EIO=4&transport=polling&sid=nobody",
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            "/socket.io/?EIO=3&transport=polling",
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
        (
            "/socket.io/?EIO=4&transport=websocket",
            r#"{"code":3,"message":"Bad request"}"#,
        ),
    ] {
        let answer = get(path).send().await?;
        assert_eq!(answer.status(), 400, "{path}");
        assert_eq!(answer.text().await?, body);
    }
    let post = node
        .request(Method::POST, "/socket.io/?EIO=4&transport=polling")
        .body("40")
        .send()
        .await?;
    assert_eq!(
        post.text().await?,
        r#"{"code":2,"message":"Bad handshake method"}"#
    );
    assert_eq!(
        get("/socket.io?EIO=4&transport=polling")
            .send()
            .await?
            .status(),
        404
    );

    let open = get("/socket.io/?EIO=4&transport=polling").send().await?;
    assert_eq!(
        open.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    assert_eq!(open.headers()["content-type"], "text/plain; charset=UTF-8");
    assert_eq!(open.headers()["cache-control"], "no-store");
    let open: Value = serde_json::from_str(open.text().await?.strip_prefix('0').context("open")?)?;
    assert_eq!(open["upgrades"], json!(["websocket"]));
    let sid = open["sid"].as_str().context("sid")?;
    let ready = node.request(Method::GET, "/readyz").send().await?;
    let name = ready.headers()["x-ingot-node"].to_str()?.to_owned();
    assert!(name.len() == 8 && sid.starts_with(&name), "{sid} {name}");

    let session = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let huge = node
        .request(Method::POST, &session)
        .body("4".repeat(1_100_000))
        .send()
        .await?;
    assert_eq!(huge.status(), 413);
    let joining = format!("40{}", scene.user_auth(USER)?);
    let joined = node
        .request(Method::POST, &session)
        .body(joining)
        .send()
        .await?;
    assert_eq!(joined.headers()["content-type"], "text/html");
    assert_eq!(joined.text().await?, "ok");
    // A heartbeat may come with it.
    let polled = get(&session).send().await?.text().await?;
    assert!(
        polled
            .split('\u{1e}')
            .any(|packet| packet.starts_with("40{")),
        "{polled}"
    );

    let preflight = node
        .request(Method::OPTIONS, "/socket.io/?EIO=4&transport=polling")
        .header("origin", "https://app.example")
        .header("access-control-request-headers", "x-mine")
        .send()
        .await?;
    assert_eq!(preflight.status(), 204);
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "x-mine"
    );
    let direct = reqwest::get(node.url("/socket.io/?EIO=4&transport=polling")).await?;
    assert_eq!(direct.status(), 403);
    node.stop().await
}

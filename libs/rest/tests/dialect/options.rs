//! Reference, chapter "OPTIONS method".

use crate::world::World;

#[tokio::test]
async fn options_lists_the_methods() {
    let world = World::new().await;
    let cases = [
        ("/films", "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"),
        ("/keyless", "OPTIONS,GET,HEAD,POST,PATCH,DELETE"),
        ("/rpc/add", "OPTIONS,GET,HEAD,POST"),
        ("/rpc/nothing", "OPTIONS,POST"),
        ("/", "OPTIONS,GET,HEAD"),
    ];
    for (path, allow) in cases {
        let answer = world.send(&format!("OPTIONS {path}"), &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (200, allow),
            "{path}"
        );
    }
    assert_eq!(world.send("OPTIONS /nowhere", &[], "").await.status, 404);
}

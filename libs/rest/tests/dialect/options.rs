//! Reference, chapter "OPTIONS method".

use crate::world::World;

#[tokio::test]
async fn options_lists_the_methods() {
    let world = World::new().await;
    let cases = [
        ("/films", "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"),
        ("/keyless", "OPTIONS,GET,HEAD,POST,PATCH,DELETE"),
        ("/rpc/greet", "OPTIONS,GET,HEAD,POST"),
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
    // There is no function of this name without arguments.
    let needs_arguments = world.send("OPTIONS /rpc/add", &[], "").await;
    assert_eq!(needs_arguments.fault(), (404, "PGRST202".to_owned()));
}

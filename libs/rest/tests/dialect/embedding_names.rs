//! Reference, chapter "Resource Embedding": what names a resource, and what is told of wrong names.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn what_cannot_be_embedded_is_told_of_missing_relations_and_silent_writes_too() {
    let world = World::new().await;
    let missing = world.get("/film?select=id,directors(id)").await;
    assert_eq!(missing.fault(), (400, "PGRST200".to_owned()));
    assert_eq!(
        missing.json()["hint"],
        "Perhaps you meant 'films' instead of 'film'."
    );
    let cases = [
        ("select=id,nope(id)", "PGRST200"),
        ("directors.id=eq.1", "PGRST108"),
    ];
    for (query, code) in cases {
        let line = format!("PATCH /films?id=eq.1&{query}");
        let answer = world.send(&line, &[], r#"{"year":1}"#).await;
        assert_eq!(answer.fault(), (400, code.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn filters_name_an_aliased_resource_either_way() {
    let world = World::new().await;
    for name in ["by", "directors"] {
        let url = format!("/films?select=id,by:directors(last_name)&{name}.id=eq.2&id=in.(1,3)");
        let expected = json!([{"id":1,"by":null},{"id":3,"by":{"last_name":"Varda"}}]);
        assert_eq!(world.rows(&format!("{url}&order=id")).await, expected);
    }
}

#[tokio::test]
async fn a_column_of_a_view_names_the_table_it_points_to() {
    let world = World::new().await;
    for name in ["director_id", "films_director_id_fkey"] {
        let rows = world
            .rows(&format!(
                "/french_films?select=id,x:{name}(last_name)&id=eq.3"
            ))
            .await;
        assert_eq!(rows, json!([{"id":3,"x":{"last_name":"Varda"}}]));
    }
}

#[tokio::test]
async fn the_referenced_column_names_the_rows_that_point_to_it() {
    let world = World::new().await;
    let rows = world.rows("/directors?select=last_name,id(title)&id=eq.2&id.order=id");
    let films = json!([{"title":"Cléo from 5 to 7"}, {"title":"Vagabond"}]);
    assert_eq!(rows.await, json!([{"last_name":"Varda","id":films}]));
}

#[tokio::test]
async fn rows_of_the_same_relation_have_two_names_only() {
    let world = World::new().await;
    let tables = "create table presidents (id integer primary key, \
            predecessor integer unique references presidents); \
        create table friends (a integer references people, b integer references people, \
            primary key (a, b)); \
        grant select on presidents, friends to anon;";
    world.project.execute(tables).await.unwrap();
    let by_column = world.rows("/people?select=id,below:people!boss_id(id)&id=eq.1");
    assert_eq!(by_column.await, json!([{"id":1,"below":[{"id":2}]}]));
    for url in [
        "/people?select=people_boss_id_fkey(id)",
        "/people?select=people!people_boss_id_fkey(id)",
        "/people?select=people!friends(id)",
        "/presidents?select=predecessor(id)",
        "/presidents?select=presidents(id)",
    ] {
        let refused = world.get(url).await;
        assert_eq!(refused.fault(), (400, "PGRST200".to_owned()), "{url}");
    }
}

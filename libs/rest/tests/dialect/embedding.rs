//! Reference, chapter "Resource Embedding".

use ingot_rest::EngineSettings;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn embeds_by_every_cardinality() {
    let world = World::new().await;
    let cases = [
        // Many to one.
        (
            "/films?select=title,directors(last_name)&id=eq.1",
            json!([{"title":"Seven Samurai","directors":{"last_name":"Kurosawa"}}]),
        ),
        (
            "/films?select=id,directors(id)&id=eq.5",
            json!([{"id":5,"directors":null}]),
        ),
        // One to many.
        (
            "/directors?select=last_name,films(title)&id=eq.1&films.order=id",
            json!([{"last_name":"Kurosawa","films":[{"title":"Seven Samurai"},{"title":"Ran"}]}]),
        ),
        (
            "/directors?select=id,films(title)&id=eq.3",
            json!([{"id":3,"films":[]}]),
        ),
        // Many to many.
        (
            "/actors?select=name,films(title)&id=eq.1",
            json!([{"name":"Mifune","films":[{"title":"Seven Samurai"}]}]),
        ),
        // One to one.
        (
            "/films?select=id,technical_specs(runtime)&id=in.(1,2)&order=id",
            json!([{"id":1,"technical_specs":{"runtime":207}},{"id":2,"technical_specs":null}]),
        ),
        // Nested.
        (
            "/roles?select=character,films(title,directors(id))&actor_id=eq.3",
            json!([{"character":"Mona","films":{"title":"Vagabond","directors":{"id":2}}}]),
        ),
        // By alias, constraint, column, hint.
        (
            "/films?select=id,by:directors(id)&id=eq.1",
            json!([{"id":1,"by":{"id":1}}]),
        ),
        (
            "/films?select=id,director_id(id)&id=eq.1",
            json!([{"id":1,"director_id":{"id":1}}]),
        ),
        (
            "/films?select=id,films_director_id_fkey(id)&id=eq.1",
            json!([{"id":1,"films_director_id_fkey":{"id":1}}]),
        ),
        (
            "/films?select=id,directors!director_id(id)&id=eq.1",
            json!([{"id":1,"directors":{"id":1}}]),
        ),
        (
            "/films?select=id,directors!films_director_id_fkey(id)&id=eq.1",
            json!([{"id":1,"directors":{"id":1}}]),
        ),
        // Self reference: the column is the parent, the table the children.
        (
            "/people?select=name,boss_id(name),people(name)&id=eq.2&people.order=id",
            json!([{"name":"middle","boss_id":{"name":"top"},
                    "people":[{"name":"low"},{"name":"low too"}]}]),
        ),
        // Through a view.
        (
            "/french_films?select=title,directors(last_name)&id=eq.3",
            json!([{"title":"Cléo from 5 to 7","directors":{"last_name":"Varda"}}]),
        ),
        (
            "/directors?select=id,french_films(id)&id=eq.2&french_films.order=id",
            json!([{"id":2,"french_films":[{"id":3},{"id":4}]}]),
        ),
    ];
    for (url, expected) in cases {
        assert_eq!(world.rows(url).await, expected, "{url}");
    }
}

#[tokio::test]
async fn filters_orders_and_limits_apply_inside() {
    let world = World::new().await;
    let cases = [
        (
            "/directors?select=id,films(id)&id=lt.3&order=id&films.year=lt.1970",
            json!([{"id":1,"films":[{"id":1}]},{"id":2,"films":[{"id":3}]}]),
        ),
        (
            "/directors?select=id,films(id)&id=eq.1&films.order=year.desc&films.limit=1",
            json!([{"id":1,"films":[{"id":2}]}]),
        ),
        (
            "/directors?select=id,films(id)&id=eq.1&films.order=id&films.offset=1",
            json!([{"id":1,"films":[{"id":2}]}]),
        ),
        (
            "/directors?select=id,films(id)&id=eq.1&films.or=(year.lt.1960,id.eq.99)",
            json!([{"id":1,"films":[{"id":1}]}]),
        ),
        (
            "/directors?select=id,films!inner(id)&order=id&films.year=lt.1960",
            json!([{"id":1,"films":[{"id":1}]}]),
        ),
        (
            "/films?select=id,directors!inner(id)&directors.last_name=eq.Varda&order=id",
            json!([{"id":3,"directors":{"id":2}},{"id":4,"directors":{"id":2}}]),
        ),
        (
            "/actors?select=id,films!inner(directors!inner(id))&films.directors.id=eq.2",
            json!([{"id":3,"films":[{"directors":{"id":2}}]}]),
        ),
        (
            "/films?select=id,directors()&directors=is.null",
            json!([{"id":5}]),
        ),
        (
            "/directors?select=id,films()&films=not.is.null&order=id",
            json!([{"id":1},{"id":2}]),
        ),
        (
            "/directors?select=id,films()&films=is.null",
            json!([{"id":3}]),
        ),
        (
            "/films?select=id,directors(),technical_specs()&order=id\
             &or=(directors.is.null,technical_specs.not.is.null)",
            json!([{"id":1},{"id":5}]),
        ),
        (
            "/films?select=id,directors(id)&order=directors(last_name).desc.nullslast,id&limit=3",
            json!([{"id":3,"directors":{"id":2}},{"id":4,"directors":{"id":2}},
                   {"id":1,"directors":{"id":1}}]),
        ),
    ];
    for (url, expected) in cases {
        assert_eq!(world.rows(url).await, expected, "{url}");
    }
    let counted = world
        .send(
            "GET /directors?select=id,films!inner(id)",
            &["Prefer: count=exact"],
            "",
        )
        .await;
    assert_eq!(counted.header("content-range"), "0-1/2");
}

#[tokio::test]
async fn spreads_lift_columns() {
    let world = World::new().await;
    let rows = world
        .rows("/films?select=title,...directors(director:last_name)&id=eq.1")
        .await;
    assert_eq!(
        rows,
        json!([{"title":"Seven Samurai","director":"Kurosawa"}])
    );
    let rows = world
        .rows("/roles?select=character,...films(title,...directors(id))&actor_id=eq.3")
        .await;
    assert_eq!(
        rows,
        json!([{"character":"Mona","title":"Vagabond","id":2}])
    );
    let refused = world.get("/directors?select=id,...films(id)").await;
    assert_eq!(refused.fault(), (400, "PGRST119".to_owned()));
}

#[tokio::test]
async fn writes_and_functions_embed() {
    let world = World::new().await;
    let full = ["Prefer: return=representation"];
    let body = r#"{"id":9,"title":"New","director_id":2}"#;
    let line = "POST /films?select=title,directors(last_name)";
    let answer = world.send(line, &full, body).await;
    assert_eq!(
        answer.json(),
        json!([{"title":"New","directors":{"last_name":"Varda"}}])
    );
    let line = "PATCH /directors?id=eq.2&select=id,films(id)&films.order=id";
    let answer = world.send(line, &full, r#"{"last_name":"V."}"#).await;
    assert_eq!(
        answer.json(),
        json!([{"id":2,"films":[{"id":3},{"id":4},{"id":9}]}])
    );
    let rows = world
        .rows("/rpc/films_of?director=1&select=id,directors(last_name)&order=id&limit=1")
        .await;
    assert_eq!(rows, json!([{"id":1,"directors":{"last_name":"Kurosawa"}}]));
}

#[tokio::test]
async fn functions_make_relationships() {
    let world = World::new().await;
    world
        .project
        .execute(
            "create function early(directors) returns setof films language sql stable as \
         $$ select * from films where director_id = $1.id and year < 1970 $$; \
         create function maker(films) returns setof directors rows 1 language sql stable as \
         $$ select * from directors where id = $1.director_id $$",
        )
        .await
        .unwrap();
    let rows = world
        .rows("/directors?select=id,early(title)&id=eq.1")
        .await;
    assert_eq!(rows, json!([{"id":1,"early":[{"title":"Seven Samurai"}]}]));
    let rows = world
        .rows("/films?select=id,maker(last_name)&id=eq.1")
        .await;
    assert_eq!(rows, json!([{"id":1,"maker":{"last_name":"Kurosawa"}}]));
    let full = ["Prefer: return=representation"];
    let line = "PATCH /films?id=eq.1&select=id,maker(last_name)";
    let answer = world.send(line, &full, r#"{"seen":true}"#).await;
    assert_eq!(
        answer.json(),
        json!([{"id":1,"maker":{"last_name":"Kurosawa"}}])
    );
}

#[tokio::test]
async fn doubt_and_absence_are_explained() {
    let world = World::new().await;
    world
        .project
        .execute(
            "create table orders (id integer primary key, billing integer references people, \
         shipping integer references people); grant all on orders to anon",
        )
        .await
        .unwrap();
    let missing = world.get("/films?select=id,people(id)").await;
    assert_eq!(missing.fault(), (400, "PGRST200".to_owned()));
    assert_eq!(
        missing.json()["details"],
        "Searched for a foreign key relationship between 'films' and 'people' in the schema \
         'public', but no matches were found."
    );
    let misspelt = world.get("/films?select=id,director(id)").await;
    assert_eq!(
        misspelt.json()["hint"],
        "Perhaps you meant 'directors' instead of 'director'."
    );
    let doubtful = world.get("/orders?select=id,people(id)").await;
    assert_eq!(doubtful.fault(), (300, "PGRST201".to_owned()));
    let body = doubtful.json();
    assert_eq!(
        body["hint"],
        "Try changing 'people' to one of the following: 'people!orders_billing_fkey', \
         'people!orders_shipping_fkey'. Find the desired relationship in the 'details' key."
    );
    assert_eq!(
        body["details"][0],
        json!({
            "cardinality": "many-to-one",
            "embedding": "orders with people",
            "relationship": "orders_billing_fkey using orders(billing) and people(id)",
        })
    );
    assert_eq!(
        world
            .get("/orders?select=id,people!billing(id)")
            .await
            .status,
        200
    );
    // Only null can be asked of an embedded resource: this is a condition on a column.
    let bad = world
        .get("/films?select=id,directors(id)&directors=eq.1")
        .await;
    assert_eq!(bad.fault(), (400, "42703".to_owned()));
    let column = world
        .rows("/films?select=id,director_id:directors(id)&director_id=eq.2&order=id")
        .await;
    assert_eq!(column[0], json!({"id":3,"director_id":{"id":2}}));
    let related = world
        .get("/directors?select=id,films(id)&order=films(id)")
        .await;
    assert_eq!(related.fault(), (400, "PGRST118".to_owned()));
}

#[tokio::test]
async fn aggregates_group_the_rest() {
    let settings = EngineSettings {
        aggregates_enabled: true,
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    let cases = [
        ("/films?select=count()", json!([{"count":5}])),
        (
            "/films?select=id.max(),year.min()",
            json!([{"max":5,"min":1954}]),
        ),
        ("/films?select=total:id.sum()", json!([{"total":15}])),
        (
            "/films?select=language,id.count()&order=language.nullslast",
            json!([{"language":"fr","count":2},{"language":"ja","count":2},{"language":null,"count":1}]),
        ),
        (
            "/films?select=rating.avg()::text&language=eq.ja",
            json!([{"avg":"8.4000000000000000"}]),
        ),
        (
            "/films?select=data->>runtime::integer.sum()",
            json!([{"sum":564}]),
        ),
        (
            "/directors?select=id,films(count())&id=eq.1",
            json!([{"id":1,"films":[{"count":2}]}]),
        ),
        (
            "/films?select=...directors(last_name),id.count()&director_id=eq.1",
            json!([{"count":2,"last_name":"Kurosawa"}]),
        ),
        // Spread columns are aggregated with the rows that they are spread into.
        (
            "/roles?select=...films(year.max(),director_id)&films.year=not.is.null",
            json!([{"max":1985,"director_id":2},{"max":1954,"director_id":1}]),
        ),
        (
            "/films?select=count(),directors(last_name)&director_id=eq.1",
            json!([{"count":2,"directors":{"last_name":"Kurosawa"}}]),
        ),
    ];
    for (url, expected) in cases {
        assert_eq!(world.rows(url).await, expected, "{url}");
    }
}

#[tokio::test]
async fn views_and_partitions_keep_their_relationships() {
    let world = World::new().await;
    world.project.execute(
        "create view makers as select id as maker_id, last_name as surname from directors; \
         create view pictures as select f.id as picture_id, f.title, f.director_id as made_by \
             from films f join directors d on d.id = f.director_id; \
         create view makers_again as select * from makers; \
         create view casting as select film_id, actor_id from roles; \
         create table logs (id integer, film_id integer references films, at date, \
             primary key (id, at)) partition by range (at); \
         create table logs_2020 partition of logs for values from ('2020-01-01') to ('2021-01-01'); \
         insert into logs values (1, 2, '2020-05-05'); \
         grant select on makers, pictures, makers_again, casting, logs, logs_2020 to anon",
    ).await.unwrap();
    let cases = [
        (
            "/pictures?select=title,makers(surname)&picture_id=eq.2",
            json!([{"title":"Ran","makers":{"surname":"Kurosawa"}}]),
        ),
        (
            "/makers?select=surname,pictures(title)&maker_id=eq.1&pictures.order=title",
            json!([{"surname":"Kurosawa","pictures":[{"title":"Ran"},{"title":"Seven Samurai"}]}]),
        ),
        (
            "/makers_again?select=surname,films(id)&maker_id=eq.2&films.order=id",
            json!([{"surname":"Varda","films":[{"id":3},{"id":4}]}]),
        ),
        (
            "/films?select=id,actors!casting(name)&id=eq.4",
            json!([{"id":4,"actors":[{"name":"Bonnaire"}]}]),
        ),
        (
            "/films?select=id,actors!roles(name)&id=eq.4",
            json!([{"id":4,"actors":[{"name":"Bonnaire"}]}]),
        ),
        (
            "/logs?select=id,films(title)",
            json!([{"id":1,"films":{"title":"Ran"}}]),
        ),
        (
            "/films?select=id,logs(id)&id=eq.2",
            json!([{"id":2,"logs":[{"id":1}]}]),
        ),
        ("/logs_2020?select=id", json!([{"id":1}])),
    ];
    for (url, expected) in cases {
        assert_eq!(world.rows(url).await, expected, "{url}");
    }
    let schema = world.engine.loaded_schema().await.unwrap();
    let makers = schema.relation("public", "makers_again").unwrap();
    assert_eq!(makers.primary_key, ["maker_id"]);
    let body = r#"{"id":77,"title":"Through a view","director_id":1}"#;
    // Generated columns cannot be written through a view that shows them.
    world
        .project
        .execute(
            "create view plain_films as select id, title, director_id from films; \
        grant all on plain_films to anon",
        )
        .await
        .unwrap();
    let prefer = ["Prefer: return=headers-only"];
    let answer = world.send("POST /plain_films", &prefer, body).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (201, "/plain_films?id=eq.77")
    );
}

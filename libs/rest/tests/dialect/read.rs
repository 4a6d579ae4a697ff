//! Reference, chapter "Tables and Views", section "Read".

use serde_json::json;

use crate::world::World;

/// Ids of the films that a filter keeps.
async fn ids(world: &World, query: &str) -> Vec<i64> {
    let rows = world
        .rows(&format!("/films?select=id&order=id&{query}"))
        .await;
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn operators_filter_rows() {
    let world = World::new().await;
    let cases: &[(&str, &[i64])] = &[
        ("id=eq.2", &[2]),
        ("id=neq.2", &[1, 3, 4, 5]),
        ("year=gt.1962", &[2, 4]),
        ("year=gte.1962", &[2, 3, 4]),
        ("year=lt.1962", &[1]),
        ("year=lte.1962", &[1, 3]),
        ("year=gte.1960&year=lt.1985", &[3]),
        ("title=like.*a*", &[1, 2, 4, 5]),
        ("title=like.%25a%25", &[1, 2, 4, 5]),
        ("title=ilike.r*", &[2]),
        ("title=match.^[RV]", &[2, 4]),
        ("title=imatch.^[rv]", &[2, 4]),
        ("id=in.(1,3,99)", &[1, 3]),
        ("title=in.(Ran,\"Seven Samurai\")", &[1, 2]),
        ("title=in.(\"100% (Untitled), \\\"draft\\\"\")", &[5]),
        ("id=in.()", &[]),
        ("seen=is.true", &[1, 4]),
        ("seen=is.false", &[2]),
        ("seen=is.null", &[3, 5]),
        ("seen=is.unknown", &[3, 5]),
        ("seen=is.NULL", &[3, 5]),
        ("rating=isdistinct.8.6", &[2, 3, 4, 5]),
        ("rating=not.isdistinct.8.6", &[1]),
        ("words=fts.samurai", &[1]),
        ("words=fts(english).samurai", &[1]),
        ("words=plfts.seven%20samurai", &[1]),
        ("words=phfts(english).seven%20samurai", &[1]),
        ("words=wfts(english).samurai%20or%20vagabond", &[1, 4]),
        ("tags=cs.{epic}", &[1, 2]),
        ("tags=cs.{\"has,comma\"}", &[5]),
        ("tags=cd.{epic,war,road}", &[1, 2, 3, 4]),
        ("tags=ov.{war,road}", &[1, 4]),
        ("data=cs.{\"runtime\":90}", &[3]),
        ("during=cs.[1954-06-01,1954-06-02)", &[1]),
        ("during=ov.[1960-01-01,1970-01-01)", &[3]),
        ("during=sl.[1960-01-01,1970-01-01)", &[1]),
        ("during=sr.[1960-01-01,1970-01-01)", &[2]),
        ("during=nxr.[1950-01-01,1970-01-01)", &[1, 3]),
        ("during=nxl.[1960-01-01,1970-01-01)", &[2, 3]),
        ("during=adj.[1955-01-01,1960-01-01)", &[1]),
        ("feeling=eq.happy", &[1]),
        ("feeling=in.(happy,sad)", &[1, 2]),
        ("year=not.eq.1985", &[1, 3]),
        ("seen=not.is.null", &[1, 2, 4]),
        ("id=not.in.(1,2)", &[3, 4, 5]),
        ("title=like(any).{Ran,Vag*}", &[2, 4]),
        ("title=like(all).{*a*,*n*}", &[1, 2, 4, 5]),
        ("id=eq(any).{1,2}", &[1, 2]),
        ("id=gt(all).{1,2}", &[3, 4, 5]),
        ("title=not.ilike(any).{r*,v*}", &[1, 3, 5]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&world, query).await, *expected, "{query}");
    }
}

#[tokio::test]
async fn logic_nests() {
    let world = World::new().await;
    let cases: &[(&str, &[i64])] = &[
        ("or=(id.eq.1,id.eq.3)", &[1, 3]),
        ("and=(year.gte.1960,year.lt.1985)", &[3]),
        ("not.or=(id.eq.1,id.eq.3)", &[2, 4, 5]),
        ("not.and=(id.gte.2,id.lte.3)", &[1, 4, 5]),
        (
            "or=(year.eq.1954,and(year.eq.1985,language.eq.fr))",
            &[1, 4],
        ),
        ("or=(year.eq.1954,not.and(year.gte.1960,id.lt.6))", &[1]),
        ("or=(id.in.(1,2),title.eq.Vagabond)", &[1, 2, 4]),
        (
            "or=(title.eq.\"100% (Untitled), \\\"draft\\\"\",id.eq.1)",
            &[1, 5],
        ),
        ("or=(tags.cs.{epic,war},tags.ov.{road,other})", &[1, 4]),
        ("or=(seen.is.null,rating.not.is.null)", &[1, 2, 3, 5]),
        ("and=(or(id.eq.1,id.eq.2),or(id.eq.2,id.eq.3))", &[2]),
        ("or=( id.eq.1 , id.eq.2 )", &[1, 2]),
        (
            "or=(data->cast->>lead.eq.Mifune,data->>runtime.eq.90)",
            &[1, 3],
        ),
        ("or=(words.fts(english).samurai,id.eq.2)", &[1, 2]),
        ("or=(title.like(any).{Ran,Vag*},id.eq.1)", &[1, 2, 4]),
        ("year=eq.1985&or=(id.eq.1,id.eq.2)", &[2]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&world, query).await, *expected, "{query}");
    }
}

#[tokio::test]
async fn json_paths_filter_and_order() {
    let world = World::new().await;
    let cases: &[(&str, &[i64])] = &[
        ("data->cast->>lead=eq.Mifune", &[1]),
        ("data->runtime=eq.90", &[3]),
        ("data->>runtime=eq.90", &[3]),
        ("data->prizes->>0=eq.lion", &[1]),
        ("data->prizes->>-1=eq.bafta", &[1]),
        ("data->>\"a.b\"=eq.dots", &[4]),
        ("data->cast=not.is.null", &[1, 2]),
        ("tags->>0=eq.epic", &[1, 2]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&world, query).await, *expected, "{query}");
    }
    let rows = world
        .rows("/films?select=id&order=data->runtime.desc.nullslast,id")
        .await;
    assert_eq!(rows, json!([{"id":1},{"id":2},{"id":4},{"id":3},{"id":5}]));
}

#[tokio::test]
async fn select_shapes_the_rows() {
    let world = World::new().await;
    let cases = [
        ("select=id,title", json!({"id":1,"title":"Seven Samurai"})),
        (
            "select=id,name:title",
            json!({"id":1,"name":"Seven Samurai"}),
        ),
        ("select=id::text", json!({"id":"1"})),
        ("select=score:rating::integer", json!({"score":9})),
        ("select=rating::double precision", json!({"rating":8.6})),
        ("select=data->cast", json!({"cast":{"lead":"Mifune"}})),
        ("select=data->cast->>lead", json!({"lead":"Mifune"})),
        ("select=star:data->cast->>lead", json!({"star":"Mifune"})),
        ("select=data->prizes->>1", json!({"prizes":"bafta"})),
        ("select=data->runtime::text", json!({"runtime":"207"})),
        ("select=tags->>0", json!({"tags":"epic"})),
        ("select=\"Odd \\\"Name\"", json!({"Odd \"Name":null})),
        (
            "select= id , title ",
            json!({"id":1,"title":"Seven Samurai"}),
        ),
    ];
    for (query, expected) in cases {
        let query = query.replace(' ', "%20");
        let rows = world.rows(&format!("/films?id=eq.1&{query}")).await;
        assert_eq!(rows, json!([expected]), "{query}");
    }
    for query in ["", "&select=", "&select=*"] {
        let rows = world.rows(&format!("/films?id=eq.1{query}")).await;
        assert_eq!(rows[0].as_object().unwrap().len(), 13, "{query}");
    }
}

#[tokio::test]
async fn computed_columns_read_like_columns() {
    let world = World::new().await;
    let rows = world
        .rows("/directors?select=id,full_name&full_name=like.Agn*")
        .await;
    assert_eq!(rows, json!([{"id":2,"full_name":"Agnès Varda"}]));
    let rows = world
        .rows("/directors?select=id&order=full_name.desc")
        .await;
    assert_eq!(rows, json!([{"id":3},{"id":1},{"id":2}]));
}

#[tokio::test]
async fn order_directs_and_places_nulls() {
    let world = World::new().await;
    let cases = [
        ("order=year,id", [1, 3, 2, 4, 5]),
        ("order=year.desc,id.desc", [5, 4, 2, 3, 1]),
        ("order=year.nullsfirst,id", [5, 1, 3, 2, 4]),
        ("order=year.desc.nullslast,title", [2, 4, 3, 1, 5]),
        ("order=id.desc", [5, 4, 3, 2, 1]),
    ];
    for (query, expected) in cases {
        let rows = world.rows(&format!("/films?select=id&{query}")).await;
        let ids: Vec<i64> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, expected, "{query}");
    }
}

#[tokio::test]
async fn reads_through_views() {
    let world = World::new().await;
    let rows = world.rows("/french_films?select=title&order=year").await;
    assert_eq!(
        rows,
        json!([{"title":"Cléo from 5 to 7"},{"title":"Vagabond"}])
    );
}

#[tokio::test]
async fn media_types_shape_the_body() {
    let world = World::new().await;
    let accept = |media: &str| format!("Accept: {media}");
    let object = accept("application/vnd.pgrst.object+json");
    let one = world
        .send("GET /films?select=id,year&id=eq.5", &[&object], "")
        .await;
    assert_eq!((one.status, one.json()), (200, json!({"id":5,"year":null})));
    assert_eq!(
        one.header("content-type"),
        "application/vnd.pgrst.object+json; charset=utf-8"
    );
    let many = world.send("GET /films", &[&object], "").await;
    assert_eq!(many.fault(), (406, "PGRST116".to_owned()));
    assert_eq!(many.json()["details"], "The result contains 5 rows");
    let none = world.send("GET /films?id=eq.99", &[&object], "").await;
    assert_eq!(none.json()["details"], "The result contains 0 rows");

    let csv = world
        .send(
            "GET /films?select=id,title&id=lt.3&order=id",
            &["Accept: text/csv"],
            "",
        )
        .await;
    assert_eq!(csv.text(), "id,title\n1,\"Seven Samurai\"\n2,Ran");
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");

    let stripped = accept("application/vnd.pgrst.array+json;nulls=stripped");
    let rows = world
        .send("GET /films?select=id,year&id=eq.5", &[&stripped], "")
        .await;
    assert_eq!(rows.json(), json!([{"id":5}]));
    let stripped = accept("application/vnd.pgrst.object+json;nulls=stripped");
    let row = world
        .send("GET /films?select=id,year&id=eq.5", &[&stripped], "")
        .await;
    assert_eq!(row.json(), json!({"id":5}));

    for media in [
        "*/*",
        "application/json",
        "text/html, application/json;q=0.9",
    ] {
        let rows = world
            .send("GET /films?select=id&id=eq.1", &[&accept(media)], "")
            .await;
        assert_eq!(rows.json(), json!([{"id":1}]), "{media}");
        assert_eq!(
            rows.header("content-type"),
            "application/json; charset=utf-8"
        );
    }
    let unknown = world.send("GET /films", &["Accept: image/png"], "").await;
    assert_eq!(unknown.fault(), (406, "PGRST107".to_owned()));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let world = World::new().await;
    let answer = world
        .send("HEAD /films?id=lt.3", &["Prefer: count=exact"], "")
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    assert_eq!(answer.header("content-range"), "0-1/2");
    assert_eq!(answer.header("content-location"), "/films?id=lt.3");
}

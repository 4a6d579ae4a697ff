//! What is asked for: each case as a request of the API and as the same transaction in SQL.

use http::Method;
use ingot_testkit::TestProject;

/// Whose rows are read.
pub(super) const USER: &str = "5a0f7a2e-0000-4000-8000-000000000007";

/// 1,000 users with 100 items each, 100 authors of each user with 5 books each, all under policies
/// that show a user's own rows only.
const SCENE: &str = "
    create function public.user_of(n bigint) returns uuid language sql immutable
        return ('5a0f7a2e-0000-4000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid;
    create table public.items (
        id bigint generated always as identity primary key,
        owner uuid not null,
        title text not null,
        done boolean not null default false,
        price numeric(12, 2) not null,
        created_at timestamptz not null default now()
    );
    insert into public.items (owner, title, price)
    select public.user_of(n), 'item number ' || n, n / 100.0 from generate_series(1, 100000) n;
    create index on public.items (owner, id);
    create table public.authors (
        id bigint generated always as identity primary key,
        owner uuid not null,
        name text not null
    );
    insert into public.authors (owner, name)
    select public.user_of(n), 'author number ' || n from generate_series(1, 100000) n;
    create index on public.authors (owner, id);
    create table public.books (
        id bigint generated always as identity primary key,
        author_id bigint not null references public.authors,
        owner uuid not null,
        title text not null
    );
    insert into public.books (author_id, owner, title)
    select n, public.user_of(n), 'book number ' || k
    from generate_series(1, 100000) n, generate_series(1, 5) k;
    create index on public.books (author_id);
    create table public.notes (
        id bigint generated always as identity primary key,
        owner uuid not null default auth.uid(),
        title text not null
    );
    alter table public.items enable row level security;
    alter table public.authors enable row level security;
    alter table public.books enable row level security;
    alter table public.notes enable row level security;
    create policy own on public.items to authenticated using (owner = (select auth.uid()));
    create policy own on public.authors to authenticated using (owner = (select auth.uid()));
    create policy own on public.books to authenticated using (owner = (select auth.uid()));
    create policy own on public.notes to authenticated using (owner = (select auth.uid()));
    grant select on public.items, public.authors, public.books to authenticated;
    grant select, insert on public.notes to authenticated;
    create function public.add(a int, b int) returns int language sql immutable return a + b;
";

/// Prepares a project's database for all cases.
pub(super) async fn set_scene(project: &TestProject) -> anyhow::Result<()> {
    project.execute(SCENE).await?;
    project.execute("vacuum analyze").await
}

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    /// Below the root of the API.
    pub(super) path: &'static str,
    pub(super) query: &'static str,
    pub(super) body: Option<&'static str>,
    /// What answers contain, and how often: a wrong answer may be fast.
    pub(super) expected: (&'static str, usize),
    /// The same in SQL, after role and claims were set.
    pub(super) sql: &'static str,
}

pub(super) const CASES: [Case; 5] = [
    Case {
        name: "25 rows",
        method: "GET",
        path: "items",
        query: "select=*&order=id&limit=25",
        body: None,
        expected: ("\"owner\"", 25),
        sql: "SELECT coalesce(json_agg(t), '[]') FROM (SELECT * FROM public.items ORDER BY id \
              LIMIT 25) t",
    },
    Case {
        name: "one row by primary key",
        method: "GET",
        path: "items",
        query: "id=eq.7007",
        body: None,
        expected: ("\"owner\"", 1),
        sql: "SELECT coalesce(json_agg(t), '[]') FROM (SELECT * FROM public.items WHERE id = 7007) \
              t",
    },
    Case {
        name: "25 rows with 5 embedded in each",
        method: "GET",
        path: "authors",
        query: "select=*,books(*)&order=id&limit=25",
        body: None,
        expected: ("\"author_id\"", 125),
        sql: "SELECT coalesce(json_agg(t), '[]') FROM (SELECT a.*, coalesce(b.books, '[]') AS \
              books FROM public.authors a LEFT JOIN LATERAL (SELECT json_agg(b) AS books FROM \
              (SELECT * FROM public.books WHERE author_id = a.id) b) b ON true ORDER BY a.id \
              LIMIT 25) t",
    },
    Case {
        name: "one row inserted and returned",
        method: "POST",
        path: "notes",
        query: "",
        body: Some(r#"{"title":"a note"}"#),
        expected: ("\"owner\"", 1),
        sql: "WITH s AS (INSERT INTO public.notes (title) VALUES ('a note') RETURNING *) SELECT \
              coalesce(json_agg(t), '[]') FROM (SELECT * FROM s) t",
    },
    Case {
        name: "a function's scalar result",
        method: "GET",
        path: "rpc/add",
        query: "a=1&b=2",
        body: None,
        expected: ("3", 1),
        sql: "SELECT public.add(1, 2)",
    },
];

impl Case {
    pub(super) fn method(&self) -> Method {
        Method::from_bytes(self.method.as_bytes()).unwrap_or_default()
    }

    /// Path and query below the root of the API.
    pub(super) fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.to_owned()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// Headers that belong to the request itself.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        if self.body.is_none() {
            return Vec::new();
        }
        vec![
            ("Content-Type", "application/json".to_owned()),
            ("Prefer", "return=representation".to_owned()),
        ]
    }

    /// For `pgbench`: one pipeline, as the engine sends it.
    pub(super) fn script(&self, claims: &str) -> String {
        // pgbench would take `:name` for a variable, and JSON needs its colons.
        let claims = claims.replace(':', ": ");
        format!(
            "\\startpipeline\nBEGIN;\nSELECT set_config('role', 'authenticated', true), \
             set_config('request.jwt.claims', '{claims}', true);\n{};\nCOMMIT;\n\\endpipeline\n",
            self.sql
        )
    }
}

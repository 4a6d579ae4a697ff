//! SQL texts of one megabyte for the guard, and how long it takes to judge them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ingot_sql_guard::{Guard, Profile};

use super::median;

const MEGABYTE: usize = 1_000_000;

/// A table and what belongs to it, with a few rows, as an app's migrations and seeds have it.
fn part_of_an_app(text: &mut String, n: usize) {
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "-- Orders of shop {n}
CREATE TABLE IF NOT EXISTS public.orders_{n} (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    total numeric(12, 2) NOT NULL CHECK (total >= 0),
    state text NOT NULL DEFAULT 'new',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_{n}_user ON public.orders_{n} (user_id, created_at DESC);
ALTER TABLE public.orders_{n} ENABLE ROW LEVEL SECURITY;
CREATE POLICY \"own rows\" ON public.orders_{n} FOR ALL TO authenticated USING (auth.uid() = user_id);
GRANT SELECT, INSERT ON public.orders_{n} TO authenticated;
CREATE OR REPLACE FUNCTION public.touch_{n}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Nobody changes a paid order.
    IF OLD.state = 'paid' THEN
        RAISE EXCEPTION 'order % is paid', OLD.id;
    END IF;
    NEW.created_at := now();
    PERFORM realtime.publish('orders:' || NEW.user_id, 'changed', to_jsonb(NEW));
    RETURN NEW;
END $$;
CREATE TRIGGER touch_{n} BEFORE UPDATE ON public.orders_{n} FOR EACH ROW EXECUTE FUNCTION public.touch_{n}();
"
    );
    for row in 0..12 {
        let _ = writeln!(
            text,
            "INSERT INTO public.orders_{n} (user_id, total, state) VALUES \
             ('00000000-0000-4000-8000-{row:012}', {row}.50, 'it''s new');"
        );
    }
    let _ = writeln!(
        text,
        "UPDATE public.orders_{n} SET state = 'paid' WHERE total > (SELECT avg(total) FROM public.orders_{n});\n\
         SELECT state, count(*), sum(total) FROM public.orders_{n} JOIN public.users u ON u.id = user_id \
         WHERE created_at > now() - interval '1 day' GROUP BY state ORDER BY 2 DESC;"
    );
}

fn of_inserts(text: &mut String, n: usize) {
    let _ = writeln!(
        text,
        "INSERT INTO public.orders (id, note, amount) VALUES ({n}, 'it''s number {n}', {n}.50);"
    );
}

/// The scripts with their names.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let write = |part: fn(&mut String, usize)| {
        let mut text = String::with_capacity(MEGABYTE);
        for n in 0.. {
            if text.len() >= MEGABYTE {
                break;
            }
            part(&mut text, n);
        }
        text
    };
    let query = "INSERT INTO public.orders (id, note) SELECT n, 'it''s ' || n FROM \
        generate_series(1, 10) AS n WHERE n > 5 AND EXISTS (SELECT 1 FROM public.items);\n";
    vec![
        ("an app's DDL, functions and rows", write(part_of_an_app)),
        ("`INSERT` of constants", write(of_inserts)),
        ("`INSERT` of queries", query.repeat(MEGABYTE / query.len())),
    ]
}

/// The median time of judging `sql`.
pub(super) async fn judge(sql: &str, rounds: usize) -> anyhow::Result<Duration> {
    let guard = Guard::new(1);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let script = guard.check(Profile::Migration, sql.to_owned()).await?;
        times.push(started.elapsed());
        ensure!(!script.statements.is_empty(), "the guard saw nothing");
    }
    median(times)
}

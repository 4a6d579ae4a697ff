//! What is read piece by piece must be what the whole text comes to: never more is admitted, and the
//! same is told of it.

use pg_query::protobuf::{KeywordKind, Token};

use crate::guard::{STACK, parse_whole};
use crate::reader::RESERVED;
use crate::rules::Profile;
use crate::{pieces, plain, simple};

const CORPUS: [&str; 3] = [
    include_str!("../../../tests/guard-corpus/works.sql"),
    include_str!("../../../tests/guard-corpus/refused.sql"),
    include_str!("../../../tests/guard-corpus/escapes.sql"),
];

/// Statements that are recognised without a tree, and what looks like them.
const SIMPLE: &[&str] = &[
    "INSERT INTO public.t (a, \"B c\") VALUES (1, 'it''s; -- no'), (-2.5e-3, NULL), (+7, default)",
    "insert into t values (true, '\\', $$;$$)",
    "INSERT INTO t VALUES ('a'\n'b')",
    "INSERT INTO t SELECT * FROM u WHERE EXISTS (SELECT 1) ON CONFLICT DO NOTHING",
    "INSERT INTO a.b.c VALUES (1)",
    "SELECT a, f(b) FROM t JOIN u USING (id) WHERE NOT a OR b = ANY(ARRAY[1, 2]) ORDER BY 1",
    "SELECT 1 INTO t2",
    "SELECT a, b INTO TEMP t2 FROM t",
    "SELECT \"set_config\"('role', 'x', false)",
    "SELECT U&\"set\\005fconfig\"('role', 'x', false)",
    "SELECT $$a$$SET_CONFIG('role', 'x', false)",
    "UPDATE t SET a = 1, role = 'x' FROM u WHERE t.id = u.id RETURNING *",
    "UPDATE ONLY t SET a = 1",
    "DELETE FROM s.t USING u WHERE true",
    "CREATE TABLE IF NOT EXISTS t (id bigint GENERATED ALWAYS AS IDENTITY, b \"char\" DEFAULT now())",
    "CREATE TABLE if (a int)",
    "CREATE TABLE t (a, b) AS SELECT 1, 2",
    "CREATE TABLE t (a) WITH (fillfactor = 70) AS EXECUTE p",
    "CREATE TABLE t (LIKE u INCLUDING ALL)",
    "CREATE TABLE t (CHECK (a > 0), a int)",
    "CREATE TABLE t AS TABLE u",
    "CREATE UNIQUE INDEX i ON t (lower(a)) WHERE b",
    "CREATE INDEX CONCURRENTLY ON t (a)",
    "CREATE POLICY p ON t FOR ALL TO authenticated USING (auth.uid() = id)",
    "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (id)",
    "ALTER TABLE t ADD COLUMN a int, DROP COLUMN b",
    "ALTER TABLE t ADD a int, ALTER b TYPE text",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE t SET SCHEMA u",
    "ALTER TABLE t OWNER TO x",
    "COMMENT ON TABLE t IS 'set_config'",
    "COMMENT ON COLUMN t.a IS 'b;'",
    "COMMENT ON ROLE anon IS 'x'",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; DELETE FROM u)",
    "-- a comment\nSELECT 1 -- another;\n",
    "-- \rSELECT 1",
    "/* a /* b */ ; */ SELECT 1",
    "/* open",
    "SET ROLE x",
    "RESET ROLE",
    "TABLE t",
    "VALUES (1), (2)",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "",
];

/// What makes a scanner stumble.
const FRAGMENTS: &[&str] = &[
    ";",
    "'",
    "''",
    "\"",
    "$$",
    "$a$",
    "$",
    "--",
    "-- ",
    "/*",
    "*/",
    "/",
    "*",
    "\n",
    "\r",
    "\t",
    " ",
    "\u{b}",
    "\u{c}",
    "\u{a0}",
    "\u{feff}",
    "\\",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "..",
    ":",
    "::",
    "=",
    "E'",
    "e'\\'",
    "B'1'",
    "X'",
    "N'",
    "U&\"",
    "U&'",
    "&\"",
    "é",
    "0x",
    "1_0",
    "1.",
    ".5",
    "1e",
    "9",
    " AS ",
    " INTO ",
    " SELECT ",
    " VALUES ",
    " FROM ",
    " BEGIN ATOMIC ",
    " END ",
    " CASE ",
    " DO ",
    " ONLY ",
    " IF NOT EXISTS ",
    " NULL ",
    " DEFAULT ",
    " set_config(",
    "lo_import('x')",
    "; RESET ROLE;",
    "; SET ROLE x --",
    " DROP ",
    " TYPE ",
    " query_to_xml(",
    " UNION ",
    " WITH ",
    "(SELECT ",
    "+1+1+1",
    " RETURNING ",
    " OVERRIDING ",
    " t ",
    " \"t\" ",
    "\u{0}",
];

const PROFILES: [Option<Profile>; 4] = [
    None,
    Some(Profile::RawSql),
    Some(Profile::Import),
    Some(Profile::Migration),
];

/// Whether the text was read in pieces; panics if that tells something else than the whole.
fn agree(text: &str, profile: Option<Profile>) -> bool {
    let Ok(read) = std::panic::catch_unwind(|| pieces::read(text, profile)) else {
        return false;
    };
    let Some(read) = read else { return false };
    match parse_whole(text, profile) {
        Ok(whole) => assert_eq!(read, whole, "{text:?}"),
        Err(refusal) => panic!("{refusal} was admitted: {text:?}"),
    }
    true
}

fn on_deep_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(work).unwrap().join().unwrap();
}

fn corpus() -> Vec<String> {
    let mut cases = Vec::new();
    for line in CORPUS.iter().flat_map(|file| file.lines()) {
        if line.starts_with("--#") || line == "--then" {
            cases.push(String::new());
        } else if let Some(case) = cases.last_mut() {
            case.push_str(line);
            case.push('\n');
        }
    }
    cases
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's constants for a linear congruential generator (MMIX).
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// Statements after each other, with some damage.
fn damaged(dice: &mut Dice, seeds: &[String]) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(3) {
        text.push_str(&seeds[dice.below(seeds.len())]);
        text.push_str([";", ";\n", " ; ", ";-- x\n", ""][dice.below(5)]);
    }
    for _ in 0..dice.below(4) {
        let mut at = dice.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        match dice.below(3) {
            0 if at < text.len() => drop(text.remove(at)),
            1 => {
                let rest = text.split_off(at);
                text.extend(rest.chars().skip(dice.below(12)));
            }
            _ => text.insert_str(at, FRAGMENTS[dice.below(FRAGMENTS.len())]),
        }
    }
    text
}

#[test]
fn the_corpus_is_told_the_same() {
    on_deep_stack(|| {
        let cases = corpus();
        assert!(cases.len() > 300, "{}", cases.len());
        let simple = SIMPLE.iter().map(|text| (*text).to_owned());
        let texts: Vec<_> = simple.chain(cases).collect();
        let together = texts.iter().take(SIMPLE.len()).cloned().collect::<Vec<_>>();
        for text in texts.iter().chain([&together.join(";\n")]) {
            for profile in PROFILES {
                agree(text, profile);
            }
        }
    });
}

#[test]
fn damaged_texts_are_told_the_same() {
    // More of them: `INGOT_GUARD_TEXTS=1000000 cargo test --release -p ingot-sql-guard damaged`.
    let count = std::env::var("INGOT_GUARD_TEXTS").map_or(6000, |count| count.parse().unwrap());
    on_deep_stack(move || {
        let simple = SIMPLE.iter().map(|text| (*text).to_owned());
        // Ten times each, since the corpus is mostly of other things.
        let simple = std::iter::repeat_n(simple, 10).flatten();
        let seeds: Vec<_> = simple.chain(corpus()).collect();
        let mut dice = Dice(7);
        let read = (0..count).filter(|_| {
            let text = damaged(&mut dice, &seeds);
            agree(&text, PROFILES[dice.below(PROFILES.len())])
        });
        let read = read.count();
        assert!(
            read > count / 10,
            "only {read} of {count} were read in pieces"
        );
    });
}

#[test]
fn texts_of_many_pieces_are_told_the_same() {
    on_deep_stack(|| {
        let simple: Vec<_> = SIMPLE.iter().map(|text| (*text).to_owned()).collect();
        let good = simple.into_iter().filter(|text| {
            let profile = Some(Profile::Migration);
            !text.trim().is_empty() && parse_whole(text, profile).is_ok()
        });
        let text: String = good.map(|text| text + "\n;\n").collect();
        let text = text.repeat(100);
        assert!(text.len() > 100_000);
        assert!(agree(&text, Some(Profile::Migration)));
        let refused = format!("{text}; SET ROLE x; {text}");
        assert!(pieces::read(&refused, Some(Profile::Migration)).is_none());
        assert!(agree(&refused, None));
    });
}

#[test]
fn trees_that_are_too_deep_are_left_to_the_parser() {
    on_deep_stack(|| {
        for (head, level, middle, tail) in [
            ("SELECT 1", "+1", "", ""),
            ("SELECT ARRAY", "[", "", "]"),
            ("SELECT ", "(SELECT ", "1", ")"),
            ("SELECT ", "f(", "1", ")"),
            ("SELECT ", "NOT ", "true", ""),
            ("SELECT ", "- ", "1", ""),
            ("SELECT a", " ISNULL", "", ""),
        ] {
            for depth in [
                60, 100, 230, 250, 400, 500, 1300, 2000, 2040, 4000, 4080, 6000,
            ] {
                let (open, close) = (level.repeat(depth), tail.repeat(depth));
                agree(&format!("{head}{open}{middle}{close}"), None);
            }
        }
    });
}

#[test]
fn words_that_need_quotes_are_known() {
    assert!(RESERVED.is_sorted());
    let mut keywords = 0;
    for token in (0..2000).filter_map(|number| Token::try_from(number).ok()) {
        let word = token.as_str_name().to_ascii_lowercase();
        let word = word.strip_suffix("_p").unwrap_or(&word);
        let Ok(tokens) = pg_query::scan_tokens(word) else {
            continue;
        };
        let kind = tokens
            .first()
            .map(pg_query::protobuf::ScanToken::keyword_kind);
        let needs_quotes = matches!(
            kind,
            Some(KeywordKind::ReservedKeyword | KeywordKind::TypeFuncNameKeyword)
        );
        keywords += usize::from(kind.is_some_and(|kind| kind != KeywordKind::NoKeyword));
        assert_eq!(RESERVED.contains(&word), needs_quotes, "{word}");
        for text in [
            format!("INSERT INTO {word} VALUES (1)"),
            format!("INSERT INTO t ({word}, a) VALUES (1, 2)"),
            format!("INSERT INTO s.{word} VALUES (1)"),
            format!("CREATE TABLE {word} ({word} int)"),
            format!("CREATE TABLE t ({word} a)"),
            format!("CREATE TABLE t (a {word})"),
            format!("UPDATE {word} SET a = 1"),
            format!("DELETE FROM {word}"),
            format!("ALTER TABLE {word} ADD a int"),
            format!("COMMENT ON {word} a IS 'x'"),
            format!("CREATE {word} a ON b (c)"),
        ] {
            agree(&text, Some(Profile::RawSql));
        }
    }
    assert!(keywords > 400, "{keywords}");
}

#[test]
fn what_scripts_consist_of_needs_no_tree() {
    for text in &SIMPLE[..2] {
        let text = text.replace(", $$;$$", "");
        assert!(plain::insert(&text).is_some(), "{text}");
    }
    for text in [
        "INSERT INTO t SELECT 1",
        "SELECT f(1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "CREATE TABLE s.t (id uuid)",
        "CREATE INDEX ON t (a)",
        "CREATE POLICY p ON t USING (true)",
        "ALTER TABLE ONLY t ADD CONSTRAINT c CHECK (a > 0)",
        "COMMENT ON TABLE t IS 'x'",
    ] {
        assert!(simple::statement(text).is_some(), "{text}");
    }
    for text in [
        "SELECT set_config('a', 'b', true)",
        "SELECT \"SET_CONFIG\"()",
        "SELECT U&\"x\"()",
        "INSERT INTO t SELECT query_to_xml('x', true, true, '')",
        "SET ROLE x",
        "CREATE TABLE t (a, b) AS SELECT 1, 2",
    ] {
        assert!(simple::statement(text).is_none(), "{text}");
    }
}

//! Applies the rules to every statement of a script, at any depth: common table expressions,
//! `EXPLAIN`, rules, bodies of functions and `DO` blocks, and the constant part of `EXECUTE`.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, ParseResult, a_const};

use crate::guard::Refusal;
use crate::parser;
use crate::plpgsql::{self, Piece};
use crate::rules::{self, Profile, RULES, Rule};
use crate::tree;

/// How deep bodies may nest in bodies; real code stays below three.
const MAX_NESTING: usize = 8;

/// Stands for the parts of an `EXECUTE` string that are only known when it runs.
const PLACEHOLDER: &str = "x";

/// Refuses the script if any of its statements breaks a rule.
pub(crate) fn inspect(profile: Profile, parsed: &ParseResult) -> Result<(), Refusal> {
    let inspector = Inspector { profile };
    for (index, statement) in parsed.stmts.iter().enumerate() {
        if let Some(node) = &statement.stmt {
            inspector
                .statement(node, 0)
                .map_err(|stop| stop.into_refusal(index))?;
        }
    }
    Ok(())
}

/// Why the inspection ended early.
enum Stop {
    Rule(&'static Rule),
    Unreadable(String),
}

impl Stop {
    fn into_refusal(self, statement: usize) -> Refusal {
        match self {
            Self::Rule(rule) => Refusal::Rule { rule, statement },
            Self::Unreadable(problem) => Refusal::Unparsable(problem),
        }
    }
}

struct Inspector {
    profile: Profile,
}

impl Inspector {
    fn statement(&self, node: &Node, depth: usize) -> Result<(), Stop> {
        if depth > MAX_NESTING {
            return Err(Stop::Unreadable(
                "function bodies are nested too deeply".to_owned(),
            ));
        }
        // The walk comes to the inner nodes first; the table's order decides what the user reads.
        let mut first = usize::MAX;
        let mut executed = Vec::new();
        tree::visit(node, &mut |found| {
            first = first.min(rules::refusing(self.profile, found).unwrap_or(usize::MAX));
            if found.kind == "FuncCall" && rules::EXECUTING.contains(&found.text("funcname")) {
                executed.extend(found.texts("args").map(str::to_owned));
            }
        });
        if let Some(rule) = RULES.get(first) {
            return Err(Stop::Rule(rule));
        }
        executed
            .iter()
            .try_for_each(|text| self.if_sql(text, depth))?;
        match Body::of(node) {
            Some(body) if body.language == "sql" => self.sql_body(&body.text, depth),
            Some(body) => self.plpgsql_body(&body.text, depth),
            None => Ok(()),
        }
    }

    fn sql_body(&self, text: &str, depth: usize) -> Result<(), Stop> {
        let parsed = parser::parse(text)
            .map_err(|error| Stop::Unreadable(format!("in a function body: {error}")))?;
        self.nested(&parsed.protobuf, depth)
    }

    fn plpgsql_body(&self, text: &str, depth: usize) -> Result<(), Stop> {
        let pieces = plpgsql::pieces(text)
            .map_err(|error| Stop::Unreadable(format!("in a function body: {error}")))?;
        for piece in pieces {
            match piece {
                Piece::Statement(text) => self.if_sql(text, depth)?,
                Piece::Dynamic(expression) => {
                    if let Some(text) = constant_part(expression) {
                        self.if_sql(&text, depth)?;
                    }
                }
                Piece::Call(name) => {
                    if let Some(rule) = rules::refusing_call(self.profile, &name) {
                        return Err(Stop::Rule(rule));
                    }
                }
            }
        }
        Ok(())
    }

    /// Text that may or may not be SQL: what does not parse does not run either.
    fn if_sql(&self, text: &str, depth: usize) -> Result<(), Stop> {
        match parser::parse(text) {
            Ok(parsed) => self.nested(&parsed.protobuf, depth),
            Err(_) => Ok(()),
        }
    }

    fn nested(&self, parsed: &ParseResult, depth: usize) -> Result<(), Stop> {
        parsed
            .stmts
            .iter()
            .filter_map(|statement| statement.stmt.as_ref())
            .try_for_each(|node| self.statement(node, depth + 1))
    }
}

/// The body that a statement defines as a string.
struct Body {
    language: String,
    text: String,
}

impl Body {
    fn of(node: &Node) -> Option<Self> {
        let (options, default_language) = match node.node.as_ref()? {
            NodeEnum::DoStmt(statement) => (&statement.args, "plpgsql"),
            NodeEnum::CreateFunctionStmt(statement) => (&statement.options, "sql"),
            _ => return None,
        };
        let option = |name: &str| {
            options
                .iter()
                .find_map(|option| match option.node.as_ref()? {
                    NodeEnum::DefElem(element) if element.defname == name => {
                        first_string(element.arg.as_deref()?)
                    }
                    _ => None,
                })
        };
        Some(Self {
            text: option("as")?,
            language: option("language").unwrap_or_else(|| default_language.to_owned()),
        })
    }
}

fn first_string(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::String(string) => Some(string.sval.clone()),
        NodeEnum::List(list) => list.items.first().and_then(first_string),
        _ => None,
    }
}

/// What is known of the string that an `EXECUTE` expression yields.
fn constant_part(expression: &str) -> Option<String> {
    let parsed = parser::parse(&format!("SELECT {expression}")).ok()?;
    let Some(NodeEnum::SelectStmt(select)) =
        parsed.protobuf.stmts.first()?.stmt.as_ref()?.node.as_ref()
    else {
        return None;
    };
    match select.target_list.first()?.node.as_ref()? {
        NodeEnum::ResTarget(target) => Some(fold(target.val.as_deref()?)),
        _ => None,
    }
}

/// Folds string constants, `||`, `concat` and `format`; anything else becomes a placeholder.
fn fold(node: &Node) -> String {
    let folded = match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(a_const::Val::Sval(string)) => Some(string.sval.clone()),
            _ => None,
        },
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().map(fold),
        Some(NodeEnum::AExpr(operation))
            if operation.name.first().and_then(first_string).as_deref() == Some("||") =>
        {
            let side = |node: &Option<Box<Node>>| node.as_deref().map_or(String::new(), fold);
            Some(side(&operation.lexpr) + &side(&operation.rexpr))
        }
        Some(NodeEnum::FuncCall(call)) => {
            match call.funcname.last().and_then(first_string).as_deref() {
                Some("concat") => Some(call.args.iter().map(fold).collect()),
                Some("format") => call.args.first().map(|template| fill(&fold(template))),
                _ => None,
            }
        }
        _ => None,
    };
    folded.unwrap_or_else(|| PLACEHOLDER.to_owned())
}

/// A `format` template with a placeholder for each of its specifiers.
fn fill(template: &str) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            filled.push(c);
            continue;
        }
        // `%%`, `%s`, `%1$I`, `%-10L`: everything up to the type letter.
        match chars.find(|c| matches!(c, '%' | 's' | 'I' | 'L')) {
            Some('%') => filled.push('%'),
            _ => filled.push_str(PLACEHOLDER),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_part_of_dynamic_sql() {
        for (expression, known) in [
            ("'RESET ' || 'ROLE'", "RESET ROLE"),
            ("'SET ROLE ' || quote_ident(r)", "SET ROLE x"),
            ("format('DROP ROLE %I', r)", "DROP ROLE x"),
            ("format('select %1$L, 5%%', r)", "select x, 5%"),
            ("concat('RESET', ' ', 'ROLE')::text", "RESET ROLE"),
            ("statement", "x"),
        ] {
            assert_eq!(constant_part(expression).unwrap(), known, "{expression}");
        }
    }
}

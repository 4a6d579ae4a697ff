//! `jwt-role-claim-key`: where in the claims the role is.
//!
//! `.role`, `.a.b[1]`, `."https://example.org/role"`, `.roles[?(@ == "author")]` and, last, a slice
//! of the text: `[1:]`.

use anyhow::{Context, bail};
use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// The first element of an array that compares.
    First(Comparison, String),
    /// Part of a text, from and to, counted from the end if negative.
    Slice(Option<isize>, Option<isize>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    StartsWith,
    EndsWith,
    Contains,
}

/// Longer operators first: `^==` begins like nothing else, `==^` begins like `==`.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("^==", Comparison::StartsWith),
    ("*==", Comparison::Contains),
    ("==^", Comparison::EndsWith),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
];

impl Path {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (step, after) =
                step(rest).with_context(|| format!("jwt-role-claim-key: cannot read {rest:?}"))?;
            steps.push(step);
            rest = after;
        }
        if steps.is_empty() {
            bail!("jwt-role-claim-key is empty");
        }
        Ok(Self(steps))
    }

    /// What is there.
    pub(super) fn find(&self, claims: &Value) -> Option<Value> {
        let mut here = claims.clone();
        for step in &self.0 {
            here = step.take(here)?;
        }
        Some(here)
    }
}

fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (key, rest) = quoted.split_once('"')?;
            return Some((Step::Key(key.to_owned()), rest));
        }
        let plain = |c: char| c.is_alphanumeric() || "_$@-".contains(c);
        let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        let (key, rest) = rest.split_at_checked(end)?;
        return (!key.is_empty()).then(|| (Step::Key(key.to_owned()), rest));
    }
    let inner = text.strip_prefix('[')?;
    if let Some(condition) = inner.strip_prefix("?(@") {
        let condition = condition.trim_start();
        let mut known = COMPARISONS.iter();
        let (comparison, operand) = known
            .find_map(|(sign, comparison)| Some((*comparison, condition.strip_prefix(sign)?)))?;
        let (operand, rest) = operand.trim_start().strip_prefix('"')?.split_once('"')?;
        let rest = rest.trim_start().strip_prefix(")]")?;
        return Some((Step::First(comparison, operand.to_owned()), rest));
    }
    let (inside, rest) = inner.split_once(']')?;
    let Some((from, to)) = inside.split_once(':') else {
        return Some((Step::Index(inside.trim().parse().ok()?), rest));
    };
    let bound = |text: &str| match text.trim() {
        "" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some((Step::Slice(bound(from)?, bound(to)?), rest))
}

impl Step {
    fn take(&self, mut value: Value) -> Option<Value> {
        match self {
            Self::Key(key) => value.get_mut(key).map(Value::take),
            Self::Index(index) => value.get_mut(index).map(Value::take),
            Self::First(comparison, operand) => {
                let mut elements = value.as_array()?.iter();
                let fits = |element: &&Value| {
                    element
                        .as_str()
                        .is_some_and(|text| comparison.holds(text, operand))
                };
                elements.find(fits).cloned()
            }
            Self::Slice(from, to) => {
                let characters: Vec<char> = value.as_str()?.chars().collect();
                let count = characters.len();
                let place = |bound: isize| {
                    let size = bound.unsigned_abs();
                    if bound < 0 {
                        count.saturating_sub(size)
                    } else {
                        size.min(count)
                    }
                };
                let (from, to) = (from.map_or(0, place), to.map_or(count, place));
                Some(characters.get(from..to)?.iter().collect::<String>().into())
            }
        }
    }
}

impl Comparison {
    fn holds(self, text: &str, operand: &str) -> bool {
        match self {
            Self::Equal => text == operand,
            Self::NotEqual => text != operand,
            Self::StartsWith => text.starts_with(operand),
            Self::EndsWith => text.ends_with(operand),
            Self::Contains => text.contains(operand),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_role() {
        let claims = json!({
            "role": "a",
            "postgrest": {"roles": ["other", "author"], "wlcg": ["/groupa", "/groupb/"]},
            "https://www.example.com/role": {"key": "author"},
        });
        for (path, role) in [
            (".role", "a"),
            (".postgrest.roles[1]", "author"),
            (".\"https://www.example.com/role\".key", "author"),
            (".postgrest.roles[?(@ == \"author\")]", "author"),
            (".postgrest.roles[?(@ != \"other\")]", "author"),
            (".postgrest.roles[?(@ ^== \"aut\")]", "author"),
            (".postgrest.roles[?(@ ==^ \"hor\")]", "author"),
            (".postgrest.roles[?(@ *== \"utho\")]", "author"),
            (".postgrest.wlcg[0][1:]", "groupa"),
            (".postgrest.wlcg[1][1:-1]", "groupb"),
            (".postgrest.wlcg[1][:]", "/groupb/"),
        ] {
            let found = Path::parse(path).unwrap().find(&claims);
            assert_eq!(found, Some(json!(role)), "{path}");
        }
        for path in [".none", ".role.key", ".postgrest.roles[7]", ".postgrest[0]"] {
            assert_eq!(Path::parse(path).unwrap().find(&claims), None, "{path}");
        }
        for path in ["", "role", ".", ".a[", ".a[x]", ".a[?(@ ~ \"x\")]", ".\"a"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}

//! "Did you mean": the name nearest to a misspelt one, chosen as PostgREST chooses it.
//!
//! Names that share a run of three characters with the wanted one (or of two, if none does) are
//! compared by edit distance. This is the method of FuzzySet, which PostgREST uses.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Lengths of the runs that are looked for, in this order.
const RUNS: [usize; 2] = [3, 2];

/// Names with most runs in common that are compared by edit distance.
const MOST_COMPARED: usize = 50;

/// Names longer than this, in bytes, resemble nothing: PostgreSQL's have 63 at most, and comparing
/// takes time for every character of every name.
const MOST_COMPARABLE: usize = 256;

/// Least similarity of a name that is suggested, from 0 to 1.
const LEAST_SIMILARITY: f64 = 0.33;

/// The candidate that was probably meant. None if nothing is near.
pub(crate) fn nearest<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if wanted.len() > MOST_COMPARABLE {
        return None;
    }
    let key = wanted.to_lowercase();
    let candidates: BTreeSet<&str> = candidates.into_iter().collect();
    let exact = candidates.iter().find(|name| name.to_lowercase() == key);
    if let Some(exact) = exact {
        return Some(exact);
    }
    RUNS.into_iter()
        .find_map(|length| nearest_by_runs(&key, &candidates, length))
}

/// The columns nearest to a name that is none, by PostgreSQL's measure: within three edits and half
/// of the name.
pub(crate) fn columns<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    if wanted.len() > MOST_COMPARABLE {
        return Vec::new();
    }
    let length = u32::try_from(wanted.len() / 2).unwrap_or(u32::MAX);
    let wanted: Vec<char> = wanted.chars().collect();
    let mut best = length.min(3);
    let mut found = Vec::new();
    for name in candidates {
        let edits = distance(&wanted, &name.chars().collect::<Vec<_>>());
        if edits < best {
            found.clear();
            best = edits;
        }
        if edits == best {
            found.push(name);
        }
    }
    found
}

fn nearest_by_runs<'a>(key: &str, names: &BTreeSet<&'a str>, length: usize) -> Option<&'a str> {
    let wanted = runs(key, length);
    let mut related: Vec<(f64, &str)> = names
        .iter()
        .map(|name| (cosine(&wanted, &runs(&name.to_lowercase(), length)), *name))
        .filter(|(cosine, _)| *cosine > 0.0)
        .collect();
    related.sort_by(best_first);
    related.truncate(MOST_COMPARED);
    for (similarity, name) in &mut related {
        *similarity = closeness(key, &name.to_lowercase());
    }
    related.sort_by(best_first);
    let (similarity, name) = related.first()?;
    (*similarity >= LEAST_SIMILARITY).then_some(*name)
}

fn best_first(a: &(f64, &str), b: &(f64, &str)) -> Ordering {
    b.0.total_cmp(&a.0)
}

/// How often each run of characters occurs, the edges marked by dashes.
fn runs(text: &str, length: usize) -> BTreeMap<String, f64> {
    let kept = |c: &char| c.is_alphanumeric() || c.is_whitespace() || *c == ',';
    let mut marked = vec!['-'];
    marked.extend(text.chars().filter(kept));
    marked.push('-');
    let mut counts = BTreeMap::new();
    for run in marked.windows(length) {
        *counts.entry(run.iter().collect()).or_insert(0.0) += 1.0;
    }
    counts
}

fn cosine(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> f64 {
    let common = a
        .iter()
        .filter_map(|(run, count)| Some(count * b.get(run)?));
    let magnitude =
        |runs: &BTreeMap<String, f64>| runs.values().map(|count| count * count).sum::<f64>().sqrt();
    let scale = magnitude(a) * magnitude(b);
    if scale > 0.0 {
        common.sum::<f64>() / scale
    } else {
        0.0
    }
}

/// 1 for equal texts, 0 for texts without anything in common.
fn closeness(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let longest = u32::try_from(a.len().max(b.len())).unwrap_or(u32::MAX);
    if longest == 0 {
        return 1.0;
    }
    1.0 - f64::from(distance(&a, &b)) / f64::from(longest)
}

/// Levenshtein distance.
fn distance(a: &[char], b: &[char]) -> u32 {
    let mut previous: Vec<u32> = (0..).take(b.len() + 1).collect();
    for (x, row) in a.iter().zip(1_u32..) {
        let mut left = row;
        let mut current = vec![left];
        for ((y, &above), &diagonal) in b.iter().zip(previous.iter().skip(1)).zip(&previous) {
            let cost = diagonal + u32::from(x != y);
            left = cost.min(above + 1).min(left + 1);
            current.push(left);
        }
        previous = current;
    }
    previous.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{columns, nearest};

    #[test]
    fn suggests_what_is_spelt_alike() {
        let names = ["projects", "clients", "users", "tasks"];
        let near = |wanted: &str| nearest(wanted, names);
        assert_eq!(near("client"), Some("clients"));
        assert_eq!(near("Projects"), Some("projects"));
        assert_eq!(near("proyectos"), Some("projects"));
        assert_eq!(near("zzz"), None);
        assert_eq!(nearest("", []), None);
        assert_eq!(nearest("(b, a)", ["(a, b)", "(c)"]), Some("(a, b)"));
    }

    #[test]
    fn columns_are_suggested_as_by_postgresql() {
        let names = ["id", "name", "fame", "director_id"];
        assert_eq!(columns("nam", names), ["name"]);
        assert_eq!(columns("same", names), ["name", "fame"]);
        assert_eq!(columns("it", names), ["id"]);
        assert_eq!(columns("nothing", names), [""; 0]);
    }
}

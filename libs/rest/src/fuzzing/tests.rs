//! The corpus of `fuzz/` once more, and what grows out of it in a few seconds.

use std::fs;
use std::path::Path;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 4] = [
    ("query", super::query),
    ("headers", super::headers),
    ("csv", super::csv),
    ("json", super::json),
];

/// Mutants of each seed.
const MUTANTS: usize = 300;
/// Longest mutant, in bytes.
const LONGEST: usize = 4096;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{} has seeds", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A fixed generator, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// Changes a few places: what fuzzers do, without their guidance.
fn mutate(seed: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const TOKENS: [&[u8]; 16] = [
        b"(",
        b")",
        b",",
        b".",
        b"\"",
        b"\\",
        b"%",
        b"&",
        b"=",
        b"->",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"9999999999999999999999",
        b"not.",
    ];
    let mut mutant = seed.to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(mutant.len() + 1);
        let end = (at + dice.below(16)).min(mutant.len());
        match dice.below(5) {
            0 => drop(mutant.drain(at..end)),
            1 => drop(mutant.splice(at..at, TOKENS[dice.below(TOKENS.len())].iter().copied())),
            2 => {
                let part = mutant[at..end].repeat(1 + dice.below(20));
                mutant.splice(at..at, part);
            }
            3 => {
                let other = &others[dice.below(others.len())];
                let from = dice.below(other.len() + 1);
                mutant.splice(at..end, other[from..].iter().copied());
            }
            _ => {
                if let Some(byte) = mutant.get_mut(at) {
                    *byte = u8::try_from(dice.below(256)).unwrap();
                }
            }
        }
        mutant.truncate(LONGEST);
    }
    mutant
}

#[test]
fn neither_the_corpus_nor_its_mutants_do_harm() {
    for (name, target) in TARGETS {
        let seeds = corpus(name);
        let mut dice = Dice(1);
        for seed in &seeds {
            target(seed);
            for _ in 0..MUTANTS {
                let mutant = mutate(seed, &seeds, &mut dice);
                let outcome = std::panic::catch_unwind(|| target(&mutant));
                assert!(outcome.is_ok(), "{name}: {}", mutant.escape_ascii());
            }
        }
    }
}

/// CPU time of this thread in nanoseconds, however busy the machine is.
fn cpu_time() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn cost(target: Target, input: &[u8]) -> u64 {
    let before = cpu_time();
    target(input);
    cpu_time() - before
}

/// Repeated input, to make it long.
const UNITS: [&[u8]; 13] = [
    b"a",
    b"a=",
    b"&",
    b"&a.b=eq.1",
    b",",
    b"\"",
    b"\",\"",
    b"a,b\n",
    b";",
    b"; x=\"",
    b"{",
    b"[",
    b"[{\"a\":",
];

#[test]
fn twice_as_much_takes_twice_as_long() {
    const LENGTH: usize = 15_000;
    const TIMES: usize = 8;
    for (name, target) in TARGETS {
        let seeds = corpus(name);
        let units = seeds.iter().map(Vec::as_slice).chain(UNITS);
        for unit in units.filter(|unit| !unit.is_empty()) {
            let of = |length| -> Vec<u8> { unit.iter().copied().cycle().take(length).collect() };
            let (short, long) = (of(LENGTH), of(LENGTH * TIMES));
            // Quadratic time would be 64 times as much, and not by chance.
            let grows_fast = || cost(target, &long) > 30 * cost(target, &short).max(1_000_000);
            let always = (0..4).all(|_| grows_fast());
            assert!(!always, "{name}: {}", unit.escape_ascii());
        }
    }
}

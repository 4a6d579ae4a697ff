//! Files of `KEY=value` lines that a shell can source: quoting and reading.
//!
//! Plain values stay as they are, so that the simplest readers understand nearly every file.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Context;

/// Reads the variables of such a file, in order.
///
/// # Errors
/// It cannot be read.
pub fn read_variables(file: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(parse(&text))
}

/// `value` as one word of a POSIX shell: in single quotes unless it is plain.
pub(crate) fn quote(value: &str) -> Cow<'_, str> {
    if value.chars().all(is_plain) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("'{}'", value.replace('\'', r"'\''")))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-+=.,:/@%".contains(c)
}

fn parse(text: &str) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = first_word(after);
        variables.push((name.to_owned(), value));
        rest = next;
    }
    variables
}

/// The value before the end of the line, which may be quoted, and what follows.
fn first_word(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\'' => quoted = !quoted,
            '\\' if !quoted => value.extend(characters.next()),
            '\n' if !quoted => break,
            _ => value.push(c),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [&str; 6] = [
        "http://127.0.0.1:7130,http://[::1]:7131",
        "plain_value-1",
        "",
        "a blank, $HOME and `date`",
        r#"it's "quoted" \ twice''"#,
        "two\nlines=2",
    ];

    #[test]
    fn what_is_written_is_read() {
        let lines = VALUES.iter().enumerate();
        let lines: Vec<_> = lines
            .map(|(n, value)| format!("V{n}={}\n", quote(value)))
            .collect();
        let text = lines.concat();
        let read: Vec<_> = parse(&text).into_iter().map(|(_, value)| value).collect();
        assert_eq!(read, VALUES);
        assert!(text.contains("V1=plain_value-1\n"), "{text}");
    }

    #[test]
    fn a_shell_reads_the_same() {
        for value in VALUES {
            let script = format!("v={}\nprintf %s \"$v\"", quote(value));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }
}

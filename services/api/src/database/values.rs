//! PostgreSQL's text output as JSON (contract, database §1.4).

use std::fmt::Write;

use ingot_http::ApiError;
use serde::Deserialize;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// The query parameter `values`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Switches {
    /// How values are shown: `json`, as clients of InsForge know them, which loses microseconds and
    /// NaN, or `text`, each as the text that PostgreSQL prints. `json` unless given.
    values: Option<String>,
}

impl Switches {
    pub(crate) fn values(&self) -> Result<Values, ApiError> {
        Values::named(self.values.as_deref())
    }
}

/// How an answer shows values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Values {
    /// As clients of InsForge know them (contract, database §1.4), which loses microseconds and NaN.
    #[default]
    Json,
    /// Each as the text that PostgreSQL prints.
    Text,
}

impl Values {
    fn named(name: Option<&str>) -> Result<Self, ApiError> {
        match name {
            None | Some("json") => Ok(Self::Json),
            Some("text") => Ok(Self::Text),
            Some(_) => Err(ApiError::invalid_input("values: must be `json` or `text`")),
        }
    }

    /// Appends `text`, a value of the type with this OID.
    pub(crate) fn write(self, out: &mut String, oid: u32, text: &str) {
        match self {
            Self::Json => write_value(out, oid, text),
            Self::Text => write_string(out, text),
        }
    }
}

/// Appends the JSON form of `text`, a value of the type with this OID.
fn write_value(out: &mut String, oid: u32, text: &str) {
    match oid {
        16 => out.push_str(if text == "t" { "true" } else { "false" }),
        17 => write_bytes(out, text),
        // int2, int4, oid: small enough for every JSON reader. json, jsonb: JSON already.
        21 | 23 | 26 | 114 | 3802 => out.push_str(text),
        700 | 701 => write_float(out, text),
        1082 | 1114 | 1184 => write_time(out, text),
        1186 => write_interval(out, text),
        600 | 718 => write_shape(out, oid, text),
        // int8, numeric and money are among the strings: they would lose digits as numbers.
        _ => match element_type(oid) {
            Some(element) => write_array(out, element, text),
            None => write_string(out, text),
        },
    }
}

/// Appends a JSON string.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a string cannot fail, here and below.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Element types of the arrays that become JSON arrays.
fn element_type(array: u32) -> Option<u32> {
    Some(match array {
        1000 => 16,
        1001 => 17,
        1005 => 21,
        1007 => 23,
        1016 => 20,
        1028 => 26,
        1009 => 25,
        1014 => 1042,
        1015 => 1043,
        1017 => 600,
        1021 => 700,
        1022 => 701,
        1231 => 1700,
        1115 => 1114,
        1182 => 1082,
        1183 => 1083,
        1185 => 1184,
        1187 => 1186,
        1270 => 1266,
        199 => 114,
        3807 => 3802,
        2951 => 2950,
        1040 => 829,
        1041 => 869,
        651 => 650,
        791 => 790,
        _ => return None,
    })
}

/// `\x0a0b` as Node's `Buffer`.
fn write_bytes(out: &mut String, text: &str) {
    let Some(bytes) = text
        .strip_prefix("\\x")
        .and_then(|hex| hex::decode(hex).ok())
    else {
        return write_string(out, text);
    };
    out.push_str("{\"type\":\"Buffer\",\"data\":[");
    for (index, byte) in bytes.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{byte}");
    }
    out.push_str("]}");
}

/// JSON has no NaN and no infinities.
fn write_float(out: &mut String, text: &str) {
    let finite = text.parse().is_ok_and(f64::is_finite);
    out.push_str(if finite { text } else { "null" });
}

/// ISO 8601 in UTC with milliseconds. Times that the calendar of most clients does not have (BC,
/// years of five digits) stay PostgreSQL's text.
fn write_time(out: &mut String, text: &str) {
    if matches!(text, "infinity" | "-infinity") {
        out.push_str("null");
    } else if let Some(time) = read_time(text) {
        write_string(out, &ingot_http::timestamp(time));
    } else {
        write_string(out, text);
    }
}

/// Reads `2026-01-31`, `2026-01-31 09:05:00.12` or `2026-01-31 09:05:00.12+05:30`.
fn read_time(text: &str) -> Option<OffsetDateTime> {
    let (date, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = date.splitn(3, '-');
    let date = Date::from_calendar_date(
        parts.next()?.parse().ok()?,
        Month::try_from(parts.next()?.parse::<u8>().ok()?).ok()?,
        parts.next()?.parse().ok()?,
    )
    .ok()?;
    let zone = rest.find(['+', '-']).unwrap_or(rest.len());
    let (clock, offset) = rest.split_at_checked(zone)?;
    let time = if clock.is_empty() {
        Time::MIDNIGHT
    } else {
        read_clock(clock)?
    };
    Some(PrimitiveDateTime::new(date, time).assume_offset(read_offset(offset)?))
}

fn read_clock(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.splitn(3, ':').map(str::parse);
    let mut next = || parts.next()?.ok();
    let micros = format!("{fraction:0<6}").parse().ok()?;
    Time::from_hms_micro(next()?, next()?, next()?, micros).ok()
}

fn read_offset(text: &str) -> Option<UtcOffset> {
    if text.is_empty() {
        return Some(UtcOffset::UTC);
    }
    let sign: i8 = if text.starts_with('-') { -1 } else { 1 };
    let mut parts = [0_i8; 3];
    for (slot, part) in parts.iter_mut().zip(text.get(1..)?.split(':')) {
        *slot = sign * part.parse::<i8>().ok()?;
    }
    let [hours, minutes, seconds] = parts;
    UtcOffset::from_hms(hours, minutes, seconds).ok()
}

/// `1 year 2 days 03:04:05.5` as `{"years":1,"days":2,"hours":3,...}` without zero parts.
fn write_interval(out: &mut String, text: &str) {
    let mut parts: Vec<(&str, f64)> = Vec::new();
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let amount = word.parse::<f64>();
        match (amount, words.peek()) {
            (Ok(amount), Some(unit)) => {
                let name = match *unit {
                    "year" | "years" => "years",
                    "mon" | "mons" => "months",
                    _ => "days",
                };
                parts.push((name, amount));
                words.next();
            }
            _ => parts.extend(clock_parts(word)),
        }
    }
    parts.retain(|(_, amount)| *amount != 0.0);
    out.push('{');
    for (index, (name, amount)) in parts.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{name}\":{amount}");
    }
    out.push('}');
}

fn clock_parts(text: &str) -> Vec<(&'static str, f64)> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let mut parts = text.trim_start_matches(['+', '-']).splitn(3, ':');
    let mut next = || parts.next().unwrap_or("0");
    let (hours, minutes, seconds) = (next(), next(), next());
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let number = |text: &str| sign * text.parse::<f64>().unwrap_or(0.0);
    let millis = number(&format!("{fraction:0<6}")) / 1000.0;
    vec![
        ("hours", number(hours)),
        ("minutes", number(minutes)),
        ("seconds", number(seconds)),
        ("milliseconds", millis),
    ]
}

/// A point as `{"x","y"}`, a circle as `{"x","y","radius"}`.
fn write_shape(out: &mut String, oid: u32, text: &str) {
    let names: &[&str] = if oid == 600 {
        &["x", "y"]
    } else {
        &["x", "y", "radius"]
    };
    let bare = text.replace(['(', ')', '<', '>'], "");
    out.push('{');
    for (index, (name, number)) in names.iter().zip(bare.split(',')).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{name}\":");
        write_float(out, number);
    }
    out.push('}');
}

/// `{1,NULL,"a \"b\""}` as a JSON array; deeper braces are arrays in it.
fn write_array(out: &mut String, element: u32, text: &str) {
    // Arrays that do not start at 1 carry their bounds: `[0:1]={1,2}`.
    let body = match text.split_once("]={") {
        Some((bounds, _)) if text.starts_with('[') => text.get(bounds.len() + 2..).unwrap_or(text),
        _ => text,
    };
    let mut chars = body.chars().peekable();
    // PostgreSQL writes a comma exactly where JSON wants one.
    while let Some(c) = chars.next() {
        match c {
            '{' => out.push('['),
            '}' => out.push(']'),
            ',' => out.push(','),
            '"' => {
                let mut item = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => item.extend(chars.next()),
                        c => item.push(c),
                    }
                }
                write_value(out, element, &item);
            }
            c => {
                let mut item = String::from(c);
                while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '}')) {
                    item.push(c);
                }
                if item == "NULL" {
                    out.push_str("null");
                } else {
                    write_value(out, element, &item);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(oid: u32, text: &str) -> String {
        let mut out = String::new();
        write_value(&mut out, oid, text);
        let parsed = serde_json::from_str::<serde_json::Value>(&out);
        assert!(parsed.is_ok(), "{out}");
        out
    }

    #[test]
    fn values_in_the_contracts_form() {
        for (oid, text, expected) in [
            (16, "t", "true"),
            (23, "-5", "-5"),
            (20, "9223372036854775807", r#""9223372036854775807""#),
            (1700, "1.50", r#""1.50""#),
            (701, "1e+20", "1e+20"),
            (701, "NaN", "null"),
            (17, "\\x00ff", r#"{"type":"Buffer","data":[0,255]}"#),
            (17, "\\x", r#"{"type":"Buffer","data":[]}"#),
            (
                1184,
                "2026-01-31 09:05:00.123456+05:30",
                r#""2026-01-31T03:35:00.123Z""#,
            ),
            (1114, "2026-01-31 09:05:00", r#""2026-01-31T09:05:00.000Z""#),
            (1082, "2026-01-31", r#""2026-01-31T00:00:00.000Z""#),
            (1082, "0044-03-15 BC", r#""0044-03-15 BC""#),
            (1184, "infinity", "null"),
            (
                3802,
                r#"{"n": 12345678901234567890}"#,
                r#"{"n": 12345678901234567890}"#,
            ),
            (1186, "1 day 02:00:00", r#"{"days":1,"hours":2}"#),
            (
                1186,
                "-1 years -2 mons +3 days -00:00:01.5",
                r#"{"years":-1,"months":-2,"days":3,"seconds":-1,"milliseconds":-500}"#,
            ),
            (1186, "00:00:00", "{}"),
            (600, "(1,2.5)", r#"{"x":1,"y":2.5}"#),
            (25, "a\"\\\n\u{1}ü", "\"a\\\"\\\\\\n\\u0001ü\""),
            (1007, "{1,NULL,3}", "[1,null,3]"),
            (1007, "[0:1]={1,2}", "[1,2]"),
            (
                1009,
                r#"{{a,"b, \"c\" \\ {}"},{"NULL",""}}"#,
                r#"[["a","b, \"c\" \\ {}"],["NULL",""]]"#,
            ),
            (1016, "{9007199254740993}", r#"["9007199254740993"]"#),
            (3807, r#"{"{\"a\": 1}"}"#, r#"[{"a": 1}]"#),
            (1009, "{}", "[]"),
            (1003, "{a,b}", r#""{a,b}""#),
            (2950, "x-y", r#""x-y""#),
        ] {
            assert_eq!(json(oid, text), expected, "{oid} {text}");
        }
    }
}

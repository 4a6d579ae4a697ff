//! Tokens of all kinds.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const SECRET: &str = "reallyreallyreallyreallyverysafe";

fn verifier() -> Verifier {
    Verifier::new(Some(SECRET), false, Some("here".to_owned()), ".role").unwrap()
}

fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&Header::default(), claims, &key).unwrap();
    format!("Bearer {token}")
}

fn fault(verifier: &Verifier, header: &str) -> (u16, String) {
    let error = verifier.caller(Some(header), Some("anon")).unwrap_err();
    (error.status().as_u16(), error.to_string())
}

#[test]
fn a_good_token_names_the_role() {
    let claims = json!({"n": 1.10, "role": "web"});
    let caller = verifier()
        .caller(Some(&token(&claims)), Some("anon"))
        .unwrap();
    assert_eq!(caller.role, "web");
    assert!(caller.authenticated);
    assert_eq!(caller.claims, claims.to_string());
    let lower = token(&claims).replace("Bearer", "bearer");
    assert!(verifier().caller(Some(&lower), None).is_ok());
}

#[test]
fn without_a_role_one_is_anonymous_or_refused() {
    for header in [None, Some("Bearer "), Some("Basic eA==")] {
        let caller = verifier().caller(header, Some("anon")).unwrap();
        assert_eq!(
            (caller.role.as_str(), caller.authenticated),
            ("anon", false)
        );
        assert_eq!(caller.claims, r#"{"role":"anon"}"#);
        assert!(verifier().caller(header, None).is_err());
    }
    let caller = verifier()
        .caller(Some(&token(&json!({"sub": "a"}))), Some("anon"))
        .unwrap();
    assert_eq!(caller.claims, r#"{"role":"anon","sub":"a"}"#);
}

#[test]
fn the_role_is_among_the_claims_wherever_the_token_has_it() {
    let verifier = Verifier::new(Some(SECRET), false, None, ".app.role").unwrap();
    for (app, role) in [
        (json!({"role": "web"}), "web"),
        (json!({"role": 7}), "7"),
        (json!({"role": ""}), ""),
        (json!({}), "anon"),
    ] {
        let claims = json!({"role": "other", "app": app});
        let caller = verifier.caller(Some(&token(&claims)), Some("anon"));
        let caller = caller.unwrap();
        assert_eq!(caller.role, role);
        assert_eq!(caller.claims, json!({"app": app, "role": role}).to_string());
    }
}

#[test]
fn claims_are_checked() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for (claims, reason) in [
        (json!({"exp": now - 31}), "JWT expired"),
        (json!({"nbf": now + 40}), "JWTNotYetValid"),
        (json!({"iat": now + 40}), "JWTIssuedAtFuture"),
        (json!({"aud": "there"}), "JWTNotInAudience"),
        (json!({"aud": ["there"]}), "JWTNotInAudience"),
        (
            json!({"aud": 7}),
            "JWTClaimsSetDecodeError \"Error in $.aud: parsing [] failed, expected Array, but \
             encountered Number\"",
        ),
        (
            json!({"exp": "soon"}),
            "JWTClaimsSetDecodeError \"Error in $.exp: parsing NumericDate failed, expected Number, \
             but encountered String\"",
        ),
        (
            json!({"sub": 7, "exp": 1}),
            "JWTClaimsSetDecodeError \"Error in $.sub: parsing StringOrURI failed, expected String, \
             but encountered Number\"",
        ),
        (
            json!([7]),
            "JWTClaimsSetDecodeError \"Error in $: parsing JWT Claims Set failed, expected Object, \
             but encountered Array\"",
        ),
    ] {
        let expected = (401, format!("PGRST301: {reason}"));
        assert_eq!(fault(&verifier(), &token(&claims)), expected, "{claims}");
    }
    for claims in [
        json!({"exp": now - 20}),
        json!({"nbf": now + 20, "iat": now + 20}),
        json!({"aud": ["there", "here"]}),
        json!({"aud": []}),
        json!({"aud": null}),
    ] {
        assert!(
            verifier()
                .caller(Some(&token(&claims)), Some("anon"))
                .is_ok(),
            "{claims}"
        );
    }
}

#[test]
fn signatures_are_checked() {
    let good = token(&json!({"role": "web"}));
    let other = Verifier::new(
        Some("another secret of thirty-two characters"),
        false,
        None,
        ".role",
    );
    let expected = (401, "PGRST301: JWSError JWSInvalidSignature".to_owned());
    assert_eq!(fault(&other.unwrap(), &good), expected);
    for (strange, reason) in [
        (
            "eyJhbGciOiJub25lIn0.eyJyb2xlIjoid2ViIn0.",
            "JWSNoSignatures",
        ),
        (
            "d2hhdA.e30.t%his",
            "(JSONDecodeError \"protected header contains invalid JSON\")",
        ),
        (
            "d2h~dA.e30.e30",
            "(JSONDecodeError \"Not valid base64url\")",
        ),
    ] {
        let expected = (401, format!("PGRST301: JWSError {reason}"));
        assert_eq!(fault(&verifier(), &format!("Bearer {strange}")), expected);
    }
    let parts = fault(&verifier(), "Bearer what");
    assert!(parts.1.contains("Expected 3 parts; got 1"), "{}", parts.1);
    let none = Verifier::new(None, false, None, ".role").unwrap();
    assert_eq!(fault(&none, &good).0, 500);
}

#[test]
fn secrets_come_in_many_forms() {
    let good = token(&json!({"role": "web"}));
    let base64 = "cmVhbGx5cmVhbGx5cmVhbGx5cmVhbGx5dmVyeXNhZmU";
    let jwk = json!({"kty": "oct", "k": base64, "alg": "HS256", "kid": "one"});
    let set = json!({"keys": [{"kty": "oct", "k": "AAAA"}, jwk]});
    let forms = [
        (base64.to_owned(), true),
        (format!("{base64}="), true),
        (jwk.to_string(), false),
        (set.to_string(), false),
        (STANDARD.encode(jwk.to_string()), true),
    ];
    for (secret, is_base64) in forms {
        let verifier = Verifier::new(Some(&secret), is_base64, None, ".role").unwrap();
        assert!(verifier.caller(Some(&good), None).is_ok(), "{secret}");
    }
    for short in ["too short", r#"{"kty":"oct","k":"dG9vIHNob3J0"}"#] {
        let verifier = Verifier::new(Some(short), false, None, ".role").unwrap();
        let key = EncodingKey::from_secret(b"too short");
        let own = encode(&Header::default(), &json!({"role": "web"}), &key).unwrap();
        let expected = (401, "PGRST301: JWSError JWSInvalidSignature".to_owned());
        assert_eq!(fault(&verifier, &format!("Bearer {own}")), expected);
    }
    assert!(Verifier::new(Some("%%%"), true, None, ".role").is_err());
}

/// Public keys, of which nobody has the private ones any more.
const KEYS: &str = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"HFf7k4oN4hX_gd1Aw9vCsUwPAnuwmFeFUx9I\
    bi1uMXc\",\"y\":\"PiWbsqKfNd8QmVUYy91BNU6fSlm3vAqQwmFZT6lfyDE\"},{\"kty\":\"RSA\",\"kid\":\"r\",\"n\"\
    :\"qUWn9dCx1LeKeQ1cdZ0C_hL5aqWgY0cQ5YIxjjtx_lnuugkBoezU88nx7N7WgWuDFJS8bK6eFI8Dnti6wHrF\
    gsLGLRcrQgJYdi1Y6dLLvnZCPtOdqPo3yhM7kQWQ3s3o873FCIxR3Qm0nfoMeDSuEz2ZdTD8m2lDk4AXwFde5B\
    L-Vo0TNGH1kN5x5a2HMaem6PY01-j8bkoqShueJ2xSzzPlZnEIQP78-OZTrYj6_q6Yv3jZ-L4VK94RfKpby1sW\
    BYlPkZ4Rt83pz8sW61Ty4JQI6ay7eD5Zh0zvzuGHUICuNMuigO1aMaX554JtbrV9ZDzxGNUTkjYwYO-qUvAchw\
    \",\"e\":\"AQAB\",\"alg\":\"RS256\"}]}";

/// Signed by the keys `r` and `e` of the set; the last by `r` under a name that is not in it.
const SIGNED: [&str; 3] = [
    "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIifQ.eyJyb2xlIjogImF1dGhvciIsICJzdWIiOiAieCJ9.m_XqRX\
    KeETxzYkJ-7sh1llWEwsv1Jxod25DZ3MlWVLju9Oce9mf4tk-axSnjrt1YB9iymUcrnktNO0uUrS4io-O7qFCc\
    MJzbxLPIkU2UnOGp16Ivkl89GHmuKY5U0ewzWWAaLUuE2sJSLfEOMkOeNmUNNNLgYaeU6Y4aUb2dgrV0SaWf7P\
    4OSxTd1rpEZJ-ETz18MfOb7sMeq5X5iZb8ezYJ2cVwpnatS-Vn7Yv0XCcNvXqPDCgLUrAUnWJDMUccAPGbmZ7H\
    EGdtDUNOhEVZkt7EJb0DcWxQoKsdk-NLtYfZaehQ9HSeUZnI3RTn-4VldO2NP00jY9XGWZBoOUfFMQ",
    "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImUifQ.eyJyb2xlIjogImF1dGhvciIsICJzdWIiOiAieCJ9.80LAOl\
    mb9_20hsQD631TcgrmhQytU45AzG5sLANdKUvFEK-DFJHplFyAbk6qEw8ns_82uKO5b2QFErWGWg-hRw",
    "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInp6In0.eyJyb2xlIjogImF1dGhvciIsICJzdWIiOiAieCJ9.RCtyY\
    xgOrgZ8PYpjK-njt227iK60LmZh9XoVwM_U14nqi0oEiTNuiKMGvLSPYFcxFhywcJTaiEPuO7H-k9DpWNWOHbt\
    Ry1Xpwr3Fe37mckrhO4BFUGgHgBOi6Xvtpp81h5W8BWvjdG3hr7MfHcP2bHWqAzTjUo6J1fYXA4JouFuZnHV0o\
    kZgn2kGemswMUvyZJioM52ek41__AN3YkfAVnUnJt6pu8Lo1JufyV3_70ZtXIquIyrFanuaa0obYaAEoQ2HcnK\
    e7qawoItoWsLAa1_Vq_-49K3370rw-an5YV4SfxB5LBEblnZ1jEuTKPdoIJbOUJxfCKslmfbOc3r2Ng",
];

#[test]
fn asymmetric_keys_verify() {
    let verifier = Verifier::new(Some(KEYS), false, None, ".role").unwrap();
    for token in SIGNED {
        let caller = verifier.caller(Some(&format!("Bearer {token}")), None);
        assert_eq!(caller.unwrap().role, "author");
        let (head, signature) = token.rsplit_once('.').unwrap();
        let other = format!("Bearer {head}.{}", signature.replace('A', "B"));
        let expected = (401, "PGRST301: JWSError JWSInvalidSignature".to_owned());
        assert_eq!(fault(&verifier, &other), expected);
    }
}

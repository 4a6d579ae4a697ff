//! Tokens of all kinds.

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
    let claims = json!({"role": "web", "n": 1.10});
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
    assert_eq!(caller.claims, r#"{"sub":"a","role":"anon"}"#);
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
        (json!({"aud": 7}), "JWTNotInAudience"),
        (json!({"exp": "soon"}), "JWTClaimsSetDecodeError"),
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
    let unsigned = "Bearer eyJhbGciOiJub25lIn0.eyJyb2xlIjoid2ViIn0.";
    assert_eq!(fault(&verifier(), unsigned).0, 401);
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
    ];
    for (secret, is_base64) in forms {
        let verifier = Verifier::new(Some(&secret), is_base64, None, ".role").unwrap();
        assert!(verifier.caller(Some(&good), None).is_ok(), "{secret}");
    }
    assert!(Verifier::new(Some("too short"), false, None, ".role").is_err());
    assert!(Verifier::new(Some("%%%"), true, None, ".role").is_err());
}

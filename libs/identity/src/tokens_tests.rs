//! Tests of tokens: what must be accepted, and above all what must not.

use ingot_config::Environment;
use ingot_project::ProjectRegistry;
use serde_json::json;

use super::*;
use crate::signing_key::tests::key;

pub(crate) fn project() -> Project {
    let env = Environment::from_pairs([("JWT_SECRET", "0123456789abcdef0123456789abcdef")]);
    let registry = ProjectRegistry::from_environment(&env).unwrap();
    registry.find("default").unwrap().as_ref().clone()
}

fn hs256(claims: &Value) -> String {
    let header = Header::new(Algorithm::HS256);
    jsonwebtoken::encode(&header, claims, &shared_signer(&project())).unwrap()
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

fn refresh() -> RefreshClaims {
    RefreshClaims {
        sub: Uuid::nil().to_string(),
        csrf_nonce: "nonce".into(),
        session_type: SessionType::User,
        transport: Transport::Cookie,
        sid: Uuid::nil(),
        jti: Uuid::nil(),
        iat: now(),
        exp: now() + 60,
    }
}

/// A token as the project signs it, with an end of one's choice.
pub(crate) fn rsa_token(key: &SigningKey, ends: u64) -> String {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(key.id().to_owned());
    let claims = json!({"sub": "x", "role": "authenticated", "exp": ends});
    jsonwebtoken::encode(&header, &claims, key.signer()).unwrap()
}

#[test]
fn third_party_tokens_are_accepted() {
    let token = hs256(&json!({"sub": "user_2abc", "email": "a@b.c", "aud": "x", "role": null}));
    let identity = read_shared_secret_token(&token, &project()).unwrap();
    assert_eq!(identity.role, Role::Authenticated);
    assert_eq!(identity.subject.as_deref(), Some("user_2abc"));
    assert_eq!(identity.email.as_deref(), Some("a@b.c"));
    let token = hs256(&json!({"sub": "x", "role": "editor", "exp": now() + 1}));
    let identity = read_shared_secret_token(&token, &project()).unwrap();
    assert_eq!(identity.role.as_str(), "editor");
}

#[test]
fn third_parties_make_administrators_only_where_the_project_lets_them() {
    let token = hs256(&json!({"sub": "x", "role": "project_admin"}));
    let mut project = project();
    assert!(
        read_shared_secret_token(&token, &project)
            .unwrap()
            .is_admin()
    );
    project.third_party_admins = false;
    read_shared_secret_token(&token, &project).unwrap_err();
    let user = hs256(&json!({"sub": "x", "role": "authenticated"}));
    read_shared_secret_token(&user, &project).unwrap();
}

#[test]
fn claims_that_do_not_hold_are_refused() {
    for claims in [
        json!({"sub": "x", "role": 1}),
        json!({"sub": "x", "role": "none"}),
        json!({"sub": "x", "exp": now()}),
        json!({"sub": "x", "exp": "tomorrow"}),
        json!({"sub": "x", "nbf": now() + 5}),
        json!({"sub": "x", "type": "refresh"}),
        json!([1]),
    ] {
        let result = read_shared_secret_token(&hs256(&claims), &project());
        assert!(matches!(result, Err(AuthError::InvalidToken)), "{claims}");
    }
    for claims in [json!({}), json!({"sub": ""}), json!({"sub": 5})] {
        let result = read_shared_secret_token(&hs256(&claims), &project());
        assert!(matches!(result, Err(AuthError::MissingSubject)), "{claims}");
    }
}

#[test]
fn an_own_token_is_read_with_its_key_only() {
    let (ours, other) = (key(), key());
    let claims = AccessClaims {
        subject: "u1",
        email: Some("a@b.c"),
        role: &Role::Authenticated,
    };
    let token = sign_access_token(&ours, claims).unwrap();
    assert_eq!(key_id(&token).as_deref(), Some(ours.id()));
    let identity = identity_of(&verify_rsa_token(&token, &ours).unwrap()).unwrap();
    assert_eq!(identity.expires_at, Some(now() + 900));
    assert!(verify_rsa_token(&token, &other).is_err());
    assert!(read_shared_secret_token(&token, &project()).is_err());
}

#[test]
fn an_algorithm_does_not_leave_its_key() {
    let ours = key();
    let claims = json!({"sub": "x", "role": "project_admin"});
    // `none`, in every spelling.
    for alg in ["none", "None", "NONE", ""] {
        let token = unsigned(&json!({"alg": alg, "kid": ours.id()}), &claims);
        assert_eq!(key_id(&token), None);
        assert!(read_shared_secret_token(&token, &project()).is_err());
    }
    // HS256 keyed with the public RSA key, under the RSA key's id.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(ours.id().to_owned());
    let public = serde_json::to_vec(ours.public()).unwrap();
    let forged =
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&public)).unwrap();
    assert_eq!(key_id(&forged), None);
    assert!(verify_rsa_token(&forged, &ours).is_err());
    assert!(read_shared_secret_token(&forged, &project()).is_err());
    // HS512 with the right secret.
    let header = Header::new(Algorithm::HS512);
    let token = jsonwebtoken::encode(&header, &claims, &shared_signer(&project())).unwrap();
    assert!(read_shared_secret_token(&token, &project()).is_err());
}

#[test]
fn nonsense_is_refused() {
    let long = "a".repeat(MAX_TOKEN_BYTES + 1);
    for token in ["", ".", "..", "a.b.c", "anon_1", "☃.☃.☃", &long] {
        assert!(read_shared_secret_token(token, &project()).is_err());
        assert_eq!(key_id(token), None);
        assert!(!claims_to_be_cloud(token));
    }
}

#[test]
fn a_refresh_token_serves_its_kind_of_session_and_nothing_else() {
    let project = project();
    let token = sign_refresh_token(&project, &refresh()).unwrap();
    assert_eq!(
        read_refresh_token(&project, &token, SessionType::User),
        Some(refresh())
    );
    assert_eq!(
        read_refresh_token(&project, &token, SessionType::Admin),
        None
    );
    assert!(read_shared_secret_token(&token, &project).is_err());
    let ended = RefreshClaims {
        exp: now(),
        ..refresh()
    };
    let token = sign_refresh_token(&project, &ended).unwrap();
    assert_eq!(
        read_refresh_token(&project, &token, SessionType::User),
        None
    );
}

#[test]
fn a_csrf_value_is_the_sessions_own() {
    let project = project();
    let value = csrf_value(&project, &refresh());
    assert!(csrf_matches(&project, &refresh(), Some(&value)));
    assert!(!csrf_matches(&project, &refresh(), None));
    assert!(!csrf_matches(&project, &refresh(), Some("")));
    let other = RefreshClaims {
        csrf_nonce: "other".into(),
        ..refresh()
    };
    assert!(!csrf_matches(&project, &other, Some(&value)));
}

#[test]
fn a_cloud_token_is_recognised_without_trusting_it() {
    let token = unsigned(
        &json!({"alg": "HS256"}),
        &json!({"type": "project_authorization"}),
    );
    assert!(claims_to_be_cloud(&token));
    assert!(!claims_to_be_cloud(&hs256(&json!({"sub": "x"}))));
}

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use gridkeeper_proto::{
    access::{ClaimsError, Role},
    code::{Code, Coded as _},
};
use serde_json::{Value, json};

use super::*;
use crate::SigningKey;

const NOW: i64 = 1_700_000_000_000;
/// The fixed key that the forger does not have, and whose public half everyone knows.
const SEED: [u8; 32] = [7; 32];
/// HMAC-SHA-256 with SEED's public key as its secret, over the header and claims of the test below.
const HS256_BY_PUBLIC_KEY: &str = "0ne1VOW0EUb9HjvcAVdGxafTMpcpEZoItW4kaZCbWnE";

fn now() -> Timestamp {
    Timestamp::from_millis(NOW).unwrap()
}

fn claims() -> Claims {
    let areas = vec!["51040200200507".parse().unwrap()];
    Claims::lasting("wang.li".to_owned(), Role::GridWorker, areas, now(), 3600)
}

fn claims_json() -> Value {
    serde_json::to_value(claims()).unwrap()
}

/// An installation whose only key is made from SEED.
struct Installation {
    _folder: tempfile::TempDir,
    secret: ed25519_dalek::SigningKey,
    key: SigningKey,
    verifier: Verifier,
}

fn installation() -> Installation {
    use ed25519_dalek::pkcs8::{EncodePublicKey as _, spki::der::pem::LineEnding};
    let folder = tempfile::tempdir().unwrap();
    let secret = ed25519_dalek::SigningKey::from_bytes(&SEED);
    let key = SigningKey::from_secret(&secret).unwrap();
    let publics = folder.path().join("public");
    std::fs::create_dir(&publics).unwrap();
    let pem = secret
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    std::fs::write(publics.join(format!("{}.pem", key.kid())), pem).unwrap();
    let verifier = Verifier::load(folder.path(), Some("510402".parse().unwrap())).unwrap();
    Installation {
        _folder: folder,
        secret,
        key,
        verifier,
    }
}

impl Installation {
    /// A token with this header and these claims, signed by the true key whatever they say.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.secret.sign(message.as_bytes()).to_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> Value {
        json!({"alg": "EdDSA", "typ": "JWT", "kid": self.key.kid()})
    }

    fn code(&self, token: &str) -> Code {
        self.verifier.verify(token, now()).unwrap_err().code()
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn what_was_issued_is_believed() {
    let here = installation();
    let token = here.key.issue(&claims()).unwrap();
    assert_eq!(here.verifier.verify(&token, now()), Ok(claims()));
    assert_eq!(
        here.verifier
            .verify(&here.sign(&here.header(), &claims_json()), now()),
        Ok(claims())
    );
}

/// What was believed once is believed again as it is, and not a byte or a second more.
#[test]
fn a_remembered_token_ends_with_its_time_and_stands_for_no_other() {
    let here = installation();
    let token = here.key.issue(&claims()).unwrap();
    for _ in 0..2 {
        assert_eq!(here.verifier.verify(&token, now()), Ok(claims()));
    }
    let later = now().plus_millis(3_600_000);
    for _ in 0..2 {
        let ended = here.verifier.verify(&token, later).unwrap_err();
        assert!(matches!(ended, TokenError::Expired { .. }), "{ended}");
    }
    let (message, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64]));
    for _ in 0..2 {
        assert!(matches!(
            here.verifier.verify(&forged, now()),
            Err(TokenError::Forged { .. })
        ));
    }
}

#[test]
fn no_token_is_told_apart_from_a_bad_one() {
    let here = installation();
    assert_eq!(here.code(""), Code(1));
    for token in [
        "x",
        "..",
        "a.b.c",
        "eyJ.eyJ.sig",
        &"a".repeat(9000),
        "网.格.员",
    ] {
        assert_eq!(here.code(token), Code(2), "{token}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let here = installation();
    let token = here.key.issue(&claims()).unwrap();
    for end in 1..token.len() {
        let refused = here.verifier.verify(&token[..end], now()).unwrap_err();
        assert!(
            [Code(2), Code(3)].contains(&refused.code()),
            "{end}: {refused}"
        );
    }
    assert!(here.verifier.verify(&format!("{token}."), now()).is_err());
}

#[test]
fn other_claims_under_the_same_signature_are_forged() {
    let here = installation();
    let token = here.key.issue(&claims()).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let mut more = claims_json();
    more["role"] = json!("admin");
    let tampered = format!("{}.{}.{}", parts[0], part(&more), parts[2]);
    assert_eq!(here.code(&tampered), Code(3));
}

#[test]
fn another_installations_key_is_forged_under_any_name() {
    let here = installation();
    let other = ed25519_dalek::SigningKey::from_bytes(&[8; 32]);
    let foreign = SigningKey::from_secret(&other).unwrap();
    assert_eq!(here.code(&foreign.issue(&claims()).unwrap()), Code(3));

    let message = format!("{}.{}", part(&here.header()), part(&claims_json()));
    let signature = URL_SAFE_NO_PAD.encode(other.sign(message.as_bytes()).to_bytes());
    assert_eq!(here.code(&format!("{message}.{signature}")), Code(3));
}

#[test]
fn no_other_algorithm_is_accepted() {
    let here = installation();
    let unsigned = |alg: &str| {
        let header = json!({"alg": alg, "typ": "JWT", "kid": here.key.kid()});
        format!("{}.{}.", part(&header), part(&claims_json()))
    };
    for alg in [
        "none", "None", "NONE", "HS256", "HS512", "RS256", "ES256", "eddsa", "",
    ] {
        assert_eq!(here.code(&unsigned(alg)), Code(3), "{alg}");
        let header = json!({"alg": alg, "typ": "JWT", "kid": here.key.kid()});
        assert_eq!(
            here.code(&here.sign(&header, &claims_json())),
            Code(3),
            "{alg}, signed"
        );
    }
}

#[test]
fn an_hmac_by_the_public_key_is_forged() {
    let here = installation();
    let header = format!(
        r#"{{"alg":"HS256","typ":"JWT","kid":"{}"}}"#,
        here.key.kid()
    );
    let claims =
        r#"{"sub":"wang.li","role":"admin","areas":["510402"],"iat":1700000000,"exp":1700003600}"#;
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    assert_eq!(
        here.code(&format!("{message}.{}", HS256_BY_PUBLIC_KEY)),
        Code(3)
    );
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    let here = installation();
    let mut without = here.header();
    without.as_object_mut().unwrap().remove("kid");
    assert_eq!(here.code(&here.sign(&without, &claims_json())), Code(3));
    let mut critical = here.header();
    critical["crit"] = json!(["b64"]);
    assert_eq!(here.code(&here.sign(&critical, &claims_json())), Code(2));
}

#[test]
fn a_token_ends_with_its_last_second_without_leeway() {
    let here = installation();
    let token = here.key.issue(&claims()).unwrap();
    let end = now().plus_millis(3_600_000);
    assert!(here.verifier.verify(&token, end.plus_millis(-1)).is_ok());
    let refused = here.verifier.verify(&token, end);
    assert_eq!(refused, Err(TokenError::Expired { exp: 1_700_003_600 }));
}

#[test]
fn signed_claims_of_another_shape_are_malformed() {
    let here = installation();
    let mut extra = claims_json();
    extra["aud"] = json!("somewhere");
    let mut text = claims_json();
    text["exp"] = json!("tomorrow");
    let mut role = claims_json();
    role["role"] = json!("emperor");
    let mut without = claims_json();
    without.as_object_mut().unwrap().remove("exp");
    let mut area = claims_json();
    area["areas"] = json!(["51"]);
    for claims in [extra, text, role, without, area, json!([1]), json!(null)] {
        assert_eq!(
            here.code(&here.sign(&here.header(), &claims)),
            Code(2),
            "{claims}"
        );
    }
}

#[test]
fn claims_that_break_the_rules_are_neither_issued_nor_believed() {
    let here = installation();
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        claims
    };
    let broken = [
        with(&|claims| claims.sub.clear()),
        with(&|claims| claims.sub = "x".repeat(65)),
        with(&|claims| claims.areas.clear()),
        with(&|claims| claims.role = Role::Street),
        with(&|claims| claims.areas.push("510402002".parse().unwrap())),
        with(&|claims| claims.exp = claims.iat),
    ];
    for claims in broken {
        assert!(
            matches!(here.key.issue(&claims), Err(KeyError::Claims(_))),
            "{claims:?}"
        );
        let signed = here.sign(&here.header(), &serde_json::to_value(&claims).unwrap());
        assert_eq!(here.code(&signed), Code(7), "{claims:?}");
    }
}

#[test]
fn areas_of_another_district_are_refused() {
    let here = installation();
    let mut elsewhere = claims();
    elsewhere.areas.push("51040300200507".parse().unwrap());
    let token = here.key.issue(&elsewhere).unwrap();
    let refused = here.verifier.verify(&token, now());
    assert!(
        matches!(
            refused,
            Err(TokenError::Claims(ClaimsError::District { .. }))
        ),
        "{refused:?}"
    );
}

#[test]
fn after_a_rotation_old_tokens_hold_until_their_key_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let old = SigningKey::create(folder.path()).unwrap();
    let before = old.issue(&claims()).unwrap();
    let new = SigningKey::rotate(folder.path()).unwrap();
    assert_eq!(SigningKey::load(folder.path()).unwrap().kid(), new.kid());
    let after = new.issue(&claims()).unwrap();

    let both = Verifier::load(folder.path(), None).unwrap();
    assert_eq!(both.kids().count(), 2);
    assert!(both.verify(&before, now()).is_ok() && both.verify(&after, now()).is_ok());

    let removed = folder
        .path()
        .join("public")
        .join(format!("{}.pem", old.kid()));
    std::fs::remove_file(removed).unwrap();
    let one = Verifier::load(folder.path(), None).unwrap();
    assert_eq!(one.verify(&before, now()).unwrap_err().code(), Code(3));
    assert!(one.verify(&after, now()).is_ok());
}

//! A restored log is the one that was backed up.

use gridkeeper_backup::{Missing, restore};
use gridkeeper_eventlog::{
    KeyStore,
    verify::{Against, verify},
};
use gridkeeper_proto::{
    anchor::Anchor,
    checkpoint::{Checkpoint, CheckpointVerifier, Origin, key_texts},
    code::{Code, Coded as _},
    envelope::Position,
    id::LogId,
    tree::TreeHash,
};

use crate::site::{all, district, empty, files, options, restored, site, target};

#[tokio::test]
async fn a_restored_log_has_every_message_at_its_place_and_every_key() {
    let mut site = site(900).await;
    site.sign().await;
    site.write(50).await;
    let note = site.sign().await;
    site.take("backup").await.unwrap();
    let there = restored(&site.path("backup"), &[]).await;
    assert_eq!(there.outcome.missing, None);
    assert_eq!(
        all(&there.log).await,
        all(&site.log).await,
        "also when each was stored"
    );
    assert_eq!(
        there.keys.all().await.unwrap(),
        site.keys.all().await.unwrap()
    );
    let notes = there.log.checkpoints().await.unwrap().all().await.unwrap();
    assert_eq!((notes.len(), notes.last()), (2, Some(&note)));
    let verified = site.verified().await;
    assert_eq!(there.outcome.verified.end, verified.end);
    assert_eq!(there.outcome.verified.digest, verified.digest);
    assert_eq!(there.outcome.verified.checkpoints, 2);
    // A reader of the original goes on with the restored log.
    let anchor = site.log.anchor(Position(700)).await.unwrap();
    assert_eq!(there.log.confirm(&anchor).await.unwrap().last, site.last);
    let end = site.log.anchor(site.last).await.unwrap();
    let log = site.log;
    site.log = there.log.clone();
    site.write(20).await;
    assert!(there.log.confirm(&end).await.unwrap().last > end.position);
    assert_eq!(log.last_position().await.unwrap(), end.position);

    // And the backup goes on with it.
    site.keys = there.keys.clone();
    let taken = site.take("backup").await.unwrap();
    assert_eq!(taken.read, site.last.0 - end.position.0);
    site.take("again").await.unwrap();
    let segments = |name| {
        let mut files = files(&site.path(name));
        files.retain(|name, _| name.contains("segments/"));
        files
    };
    assert_eq!(segments("backup"), segments("again"));
}

#[tokio::test]
async fn nothing_is_restored_over_something_or_from_something_else() {
    let site = site(150).await;
    site.take("backup").await.unwrap();
    let path = site.path("backup");
    let before = all(&site.log).await;
    let refused = restore(&path, &target(&site.broker).await, &[], |_| {}).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code(349), "{refused}");
    for named in ["EVT_510402", "KEY_510402", "CHK_510402"] {
        assert!(refused.to_string().contains(named), "{refused}");
    }
    assert_eq!(all(&site.log).await, before);

    // Only keys are left.
    let (_folder, broker) = empty().await;
    let target = target(&broker).await;
    let keys = KeyStore::open(&broker.url(), district(), &options()).await;
    let keys = keys.unwrap();
    keys.begin(site.signer.origin().log).await.unwrap();
    let refused = restore(&path, &target, &[], |_| {}).await.unwrap_err();
    assert_eq!(refused.code(), Code(349), "{refused}");
    assert!(refused.to_string().contains("KEY_510402") && !refused.to_string().contains("EVT_"));

    // The installation's key is of another log.
    let (_folder, broker) = empty().await;
    let mut target = crate::site::target(&broker).await;
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let public = public.parse::<TreeHash>().unwrap().0;
    let origin = Origin {
        log: LogId::from_bytes([6; 16]),
    };
    let (_, public) = key_texts(origin, &[1; 32], &public);
    let other = CheckpointVerifier::parse(&public).unwrap();
    target.verifier = Some(other);
    let refused = restore(&path, &target, &[], |_| {}).await.unwrap_err();
    assert_eq!(refused.code(), Code(346), "{refused}");
    let there = target
        .streams
        .occupied(site.signer.origin().log)
        .await
        .unwrap();
    assert_eq!(there, [], "nothing was made");
}

#[tokio::test]
async fn what_is_known_beside_the_backup_is_compared_and_what_is_missing_is_named() {
    let mut site = site(150).await;
    site.sign().await;
    let early = site.verified().await.end;
    site.take("backup").await.unwrap();
    site.write(80).await;
    let late = site.verified().await.end;
    let there = restored(&site.path("backup"), &[early, late]).await;
    let missing = Missing {
        from: Position(early.position.0 + 1),
        to: late.position,
        by: "a test".to_owned(),
    };
    assert_eq!(there.outcome.missing, Some(missing));
    // It is restored, and whoever has read more does not go on.
    let against = Against {
        checkpoints: vec![late],
        keys: None,
    };
    let verified = verify(&there.log, against, |_, _| {}).await.unwrap_err();
    assert_eq!(verified.code(), Code(308), "{verified}");
    let reader = site.log.anchor(late.position).await.unwrap();
    assert_eq!(
        there.log.confirm(&reader).await.unwrap_err().code(),
        Code(308)
    );
    assert!(there.log.confirm(&Anchor::default()).await.is_ok());

    // What is known contradicts the backup: nothing is restored.
    let (_folder, broker) = empty().await;
    let target = target(&broker).await;
    let other = Checkpoint {
        root: TreeHash::EMPTY,
        ..early
    };
    let known = gridkeeper_backup::Known {
        checkpoint: other,
        by: "a test".to_owned(),
    };
    let refused = restore(&site.path("backup"), &target, &[known], |_| {}).await;
    assert_eq!(refused.unwrap_err().code(), Code(328));
    let there = target
        .streams
        .occupied(site.signer.origin().log)
        .await
        .unwrap();
    assert_eq!(there, []);
}

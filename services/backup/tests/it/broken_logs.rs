//! Logs with holes, lost messages and messages that are no events.

use gridkeeper_backup::check;
use gridkeeper_proto::{
    code::{Code, Coded as _},
    envelope::Position,
    event::{IntegrityEvent, LossAccepted, MessageQuarantined},
    integrity::Standing,
    tree::TreeHash,
};

use crate::site::{Site, all, restored, site};

fn loss(from: Position, to: Position, known_to: Position) -> IntegrityEvent {
    IntegrityEvent::LossAccepted(LossAccepted {
        from,
        to,
        known_to,
        set_aside: Vec::new(),
        lost: Vec::new(),
        reason: "disk".into(),
    })
}

/// Gives up what is lost, with all events that cannot be folded without it.
async fn accept(site: &mut Site, from: Position, to: Position) -> Position {
    let known_to = site.last;
    site.state(loss(from, to, known_to)).await
}

#[tokio::test]
async fn a_hole_before_the_end_of_the_backup_is_filled_by_the_backup() {
    let mut site = site(600).await;
    site.take("backup").await.unwrap();
    site.write(60).await;
    site.sign().await;
    let original = all(&site.log).await;
    let whole = site.verified().await;
    let (from, to) = site.lose_block(2).await;
    assert!(to < Position(600), "{from} to {to}");
    let broken = gridkeeper_eventlog::verify::verify(&site.log, Default::default(), |_, _| {});
    assert_eq!(broken.await.unwrap_err().code(), Code(309));
    let refused = site.take("too late").await.unwrap_err();
    assert_eq!(refused.code(), Code(323), "{refused}");
    let taken = site.take("backup").await.unwrap();
    assert_eq!(taken.manifest.position, site.last);
    assert_eq!(taken.manifest.verified_against, Some(site.last));
    let there = restored(&site.path("backup"), &[whole.end]).await;
    assert_eq!(all(&there.log).await, original);
    assert_eq!(there.outcome.verified.digest, whole.digest);
}

#[tokio::test]
async fn a_hole_at_the_end_of_the_backup_is_filled_too() {
    let mut site = site(300).await;
    site.take("backup").await.unwrap();
    let end = site.last;
    site.write(500).await;
    site.sign().await;
    let original = all(&site.log).await;
    let number = (1..site.blocks().len()).find(|number| {
        let before = original.iter().map(|message| message.bytes.len() + 130);
        let block = before.take(usize::try_from(end.0).unwrap()).sum::<usize>() / 32_000;
        *number == block
    });
    let (from, to) = site.lose_block(number.unwrap()).await;
    // Only what the backup has of it can be brought back.
    let outcome = site.take("backup").await;
    match to <= end {
        true => drop(outcome.unwrap()),
        false => {
            let refused = outcome.unwrap_err();
            assert_eq!(refused.code(), Code(323), "{from} to {to}: {refused}");
            assert!(refused.to_string().contains(&to.to_string()), "{refused}");
        }
    }
    check(&site.path("backup"), None, |_| {}).unwrap();
}

#[tokio::test]
async fn lost_messages_keep_their_positions_whether_or_not_the_backup_has_them() {
    let mut site = site(600).await;
    site.take("earlier").await.unwrap();
    let (from, to) = site.lose_block(2).await;
    let statement = accept(&mut site, from, to).await;
    site.write(40).await;
    let verified = site.verified().await;
    site.sign().await;
    for name in ["earlier", "later"] {
        let taken = site.take(name).await.unwrap();
        assert_eq!(taken.manifest.position, site.last);
        assert_eq!(taken.manifest.statement, statement);
        assert_eq!(taken.manifest.verified_against, Some(site.last));
        let checked = check(&site.path(name), None, |_| {}).unwrap();
        assert_eq!(checked.verified.end, verified.end, "{name}");
        let there = restored(&site.path(name), &[verified.end]).await;
        assert_eq!(there.outcome.verified.end, verified.end, "{name}");
        assert_eq!(there.log.last_position().await.unwrap(), site.last);
        there.log.read_statements().await.unwrap();
        let stored = there.log.read(from).await.unwrap();
        assert_eq!(stored.standing, Standing::Lost);
        // It is no area's last message, so that every area goes on.
        for number in 0..7 {
            let area = format!("510402002005{number:02}").parse().unwrap();
            let heads = [&site.log, &there.log].map(|log| log.head(area));
            let [here, there] = heads;
            assert_eq!(here.await.unwrap(), there.await.unwrap());
        }
        let again = site.take(name).await.unwrap();
        assert_eq!(again.read, 0);
    }
}

#[tokio::test]
async fn the_history_that_was_given_up_is_not_mixed_with_the_one_that_follows() {
    let mut site = site(200).await;
    let before = site.last;
    site.take("backup").await.unwrap();
    // What a restore from an older backup leads to: the end is lost, and other events take its place.
    let statement = loss(
        Position(before.0 + 1),
        Position(before.0 + 10),
        Position(before.0 + 10),
    );
    site.write(10).await;
    site.take("lost history").await.unwrap();
    let there = restored(&site.path("backup"), &[]).await;
    let (folder, ended) = site.go_on_in(there, before);
    site.state(statement).await;
    site.publish_marks(30).await;
    let refused = site.take("lost history").await.unwrap_err();
    assert!(matches!(refused.code(), Code(347)), "{refused}");
    site.take("backup").await.unwrap();
    drop((folder, ended));
}

#[tokio::test]
async fn messages_that_are_no_events_are_kept_byte_for_byte() {
    let mut site = site(100).await;
    site.publish("evt.510402.garbage", Some("a"), b"garbage")
        .await;
    let first = site.last;
    site.publish("evt.510402.002.005.01", None, b"more").await;
    let second = site.last;
    // The backup is taken all the same, and is not said to be whole.
    let broken = site.take("backup").await.unwrap_err();
    assert_eq!(broken.code(), Code(303), "{broken}");
    for (position, bytes) in [(first, b"garbage".as_slice()), (second, b"more")] {
        let quarantined = MessageQuarantined {
            position,
            leaf: TreeHash::of_leaf(bytes),
            reason: "published by hand".into(),
        };
        site.state(IntegrityEvent::MessageQuarantined(quarantined))
            .await;
    }
    // An id that comes again once the window of the broker is over.
    site.publish_again("evt.510402.garbage", "a", b"again")
        .await;
    let third = site.last;
    let quarantined = MessageQuarantined {
        position: third,
        leaf: TreeHash::of_leaf(b"again"),
        reason: "published by hand".into(),
    };
    site.state(IntegrityEvent::MessageQuarantined(quarantined))
        .await;
    let verified = site.verified().await;
    site.sign().await;
    let taken = site.take("backup").await.unwrap();
    assert_eq!(taken.read, 4, "what is garbage was copied before");
    let there = restored(&site.path("backup"), &[verified.end]).await;
    assert_eq!(all(&there.log).await, all(&site.log).await);
    let found = there.log.message_at(first).await.unwrap().unwrap();
    assert_eq!(
        (&*found.bytes, found.subject.as_str()),
        (b"garbage".as_slice(), "evt.510402.garbage")
    );
    assert_eq!(found.headers, [("Sent-By".to_owned(), "hand".to_owned())]);
    assert!(there.broker.pid().is_some());
}

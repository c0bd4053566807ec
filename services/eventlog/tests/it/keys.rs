//! Keys of personal data: kept once, erased for good.

use gridkeeper_eventlog::KeyStore;
use gridkeeper_proto::{id::CaseId, sealed::CaseKey};

use crate::{
    proxy::Proxy,
    site::{district, impatient, log_id, site},
};

fn case(number: u8) -> CaseId {
    CaseId::from_bytes([number; 16])
}

#[tokio::test]
async fn a_case_has_one_key_whoever_comes_first_and_none_once_it_is_destroyed() {
    let mut site = site().await;
    let (one, other) = (site.keys().await, site.keys().await);
    assert_eq!(one.get(case(1)).await.unwrap(), None);
    let kept = one.put_if_absent(case(1), CaseKey([1; 32])).await.unwrap();
    assert_eq!(kept, CaseKey([1; 32]));
    let kept = other
        .put_if_absent(case(1), CaseKey([2; 32]))
        .await
        .unwrap();
    assert_eq!(kept, CaseKey([1; 32]));
    one.put_if_absent(case(2), CaseKey([3; 32])).await.unwrap();
    site.kill_and_restart().await;

    let keys = site.keys().await;
    assert_eq!(keys.get(case(1)).await.unwrap(), Some(CaseKey([1; 32])));
    keys.destroy(case(1)).await.unwrap();
    keys.destroy(case(1)).await.unwrap();
    assert_eq!(keys.get(case(1)).await.unwrap(), None);
    assert_eq!(keys.get(case(2)).await.unwrap(), Some(CaseKey([3; 32])));
}

#[tokio::test]
async fn two_at_once_agree_on_the_key() {
    let site = site().await;
    let mut both = tokio::task::JoinSet::new();
    for number in 1..=8 {
        let keys = site.keys().await;
        both.spawn(async move { keys.put_if_absent(case(1), CaseKey([number; 32])).await });
    }
    let kept: Vec<CaseKey> = both
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(kept.iter().all(|key| *key == kept[0]), "{kept:?}");
}

#[tokio::test]
async fn a_key_whose_acknowledgement_is_lost_is_the_one_given() {
    let site = site().await;
    let proxy = Proxy::start(site.broker.port()).await;
    let keys = KeyStore::open(&proxy.url(), district(), &impatient())
        .await
        .unwrap();
    keys.begin(log_id()).await.unwrap();
    proxy.lose_next_answer();
    let kept = keys.put_if_absent(case(1), CaseKey([7; 32])).await.unwrap();
    assert_eq!((kept, proxy.lost()), (CaseKey([7; 32]), 1));
}

#[tokio::test]
async fn what_else_is_published_under_a_case_is_no_key_and_goes_with_it() {
    let site = site().await;
    let keys = site.keys().await;
    let client = async_nats::connect(site.broker.url()).await.unwrap();
    let publish = async |case: CaseId, bytes: &[u8]| {
        let subject = format!("key.{}.{case}", district());
        let sent = client.request(subject, bytes.to_vec().into()).await;
        sent.unwrap();
    };
    keys.put_if_absent(case(1), CaseKey([1; 32])).await.unwrap();
    publish(case(1), b"garbage").await;
    publish(case(1), &[9; 32]).await;
    publish(case(2), b"garbage").await;
    assert_eq!(keys.get(case(1)).await.unwrap(), Some(CaseKey([1; 32])));
    assert_eq!(keys.get(case(2)).await.unwrap(), None);
    assert!(!keys.all().await.unwrap().contains_key(&case(2)));
    let kept = keys.put_if_absent(case(2), CaseKey([2; 32])).await.unwrap();
    assert_eq!(kept, CaseKey([2; 32]));
    keys.destroy(case(1)).await.unwrap();
    assert_eq!(keys.get(case(1)).await.unwrap(), None);
    assert!(keys.all().await.unwrap().into_keys().eq([case(2)]));
}

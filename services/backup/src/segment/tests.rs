use std::fs;

use gridkeeper_proto::code::{Code, Coded as _};

use super::*;

fn log() -> LogId {
    LogId::from_bytes([5; 16])
}

fn record(number: u64) -> Record {
    Record::from(Message {
        position: Position(number),
        subject: format!("evt.510402.002.005.{:02}", number % 7),
        id: (!number.is_multiple_of(3)).then(|| format!("id {number}")),
        headers: Vec::new(),
        stored_at: 7,
        bytes: Bytes::from(format!("event {number}")),
    })
}

fn segment(begin: Frontier, records: u64) -> Segment {
    let mut segment = Segment::behind(begin, log());
    for number in 0..records {
        segment.push(match number % 5 {
            4 => Record::Lost,
            _ => record(number),
        });
    }
    segment
}

#[test]
fn a_segment_is_read_as_it_was_written_and_follows_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = segment(Frontier::default(), 5);
    let mut second = segment(first.end().clone(), 3);
    first.write(folder.path()).unwrap();
    second.write(folder.path()).unwrap();
    let path = folder.path().join("000000000006.segment");
    let file = SegmentFile::of(path.clone()).unwrap().unwrap();
    assert_eq!((file.first, file.last), (Position(6), Position(8)));
    let read = Segment::read(&path, log()).unwrap();
    assert_eq!((read.begin(), read.last()), (first.end(), Position(8)));
    assert_eq!(read, second);
    let positions: Vec<_> = read.records().map(|(position, _)| position.0).collect();
    assert_eq!(positions, [6, 7, 8]);
    let other = Segment::read(&path, LogId::from_bytes([6; 16])).unwrap_err();
    assert_eq!(other.code(), Code(343));
    let renamed = folder.path().join("000000000007.segment");
    fs::rename(&path, &renamed).unwrap();
    assert_eq!(
        Segment::read(&renamed, log()).unwrap_err().code(),
        Code(343)
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let folder = tempfile::tempdir().unwrap();
    segment(Frontier::default(), 6)
        .write(folder.path())
        .unwrap();
    let path = folder.path().join("000000000001.segment");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        for damaged in [&flipped[..], &whole[..at]] {
            fs::write(&path, damaged).unwrap();
            let refused = Segment::read(&path, log()).unwrap_err();
            assert!(matches!(refused, Error::Damaged { .. }), "{at}: {refused}");
            // What its first bytes say is not believed, and does not stop a listing.
            SegmentFile::of(path.clone()).unwrap();
        }
    }
}

#[test]
fn a_segment_takes_what_its_limits_allow_and_one_message_whatever_its_size() {
    let weight = record(1).weight();
    let limits = Limits {
        messages: 3,
        bytes: 2 * weight + 10,
    };
    let mut segment = Segment::behind(Frontier::default(), log());
    let small = Limits {
        messages: 3,
        bytes: 1,
    };
    assert!(
        segment.takes(&record(1), small),
        "else nothing would take it"
    );
    for taken in [true, true, false] {
        assert_eq!(segment.takes(&record(1), limits), taken);
        segment.push(record(1));
    }
    assert!(!segment.takes(
        &Record::Lost,
        Limits {
            bytes: 9_999,
            ..limits
        }
    ));
}

use std::{io::Write as _, path::Path};

use gridkeeper_proto::{case::Channel, code::Coded as _};

use super::{ImportError, Mapping, Rows, derive};

const PINGSHAN: &str = include_str!("../../../../tests/mappings/pingshan.toml");
const BALTIMORE: &str = include_str!("../../../../tests/mappings/baltimore.toml");

fn mapping(text: &str) -> Mapping {
    Mapping::parse(Path::new("mapping.toml"), text).unwrap()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Made-up rows in the columns of the first mapping.
fn pingshan(rows: &str) -> tempfile::NamedTempFile {
    let head = "REC_ID,CREATE_TIME,STREET_NAME,STREET_ID,COMMUNITY_NAME,COMMUNITY_ID,EVENT_TYPE_NAME,\
                EVENT_TYPE_ID,MAIN_TYPE_NAME,MAIN_TYPE_ID,SUB_TYPE_NAME,SUB_TYPE_ID,EVENT_SRC_NAME,\
                EVENT_PROPERTY_NAME,ACHIEVE_STATUS\n";
    file(&format!("{head}{rows}"))
}

/// Made-up rows in the columns of the second mapping.
fn baltimore(rows: &str) -> tempfile::NamedTempFile {
    let head = "SRRecordID,ServiceRequestNum,SRType,MethodReceived,CreatedDate,SRStatus,DueDate,\
                CloseDate,Agency,ZipCode,Neighborhood,PoliceDistrict,PolicePost,Latitude,Longitude\n";
    file(&format!("{head}{rows}"))
}

const IN_TIME: &str =
    "7,2018-02-08,甲街道,101,乙社区,10014,市政,6,设施,186,绿地,662,12345,投诉,intime\n";
const NO_AREA: &str = "8,2018-02-09,-,-,-,-,市政,6,设施,186,绿地,662,12345,投诉,intime\n";
const CLOSED: &str = "a-1,18-1,SW-Dirty Alley,Phone,04/16/2018 05:30:13 AM,Closed,04/23/2018 05:30:13 AM,\
                      04/20/2018 06:25:33 PM,Solid Waste,21223,Market,Southern,931,39,-77\n";
const UNSTATED: &str = "a-2,18-2,SW-Dirty Alley,API,01/16/2018 05:30:13 AM,New,,,Solid Waste,21223,Market,,,39.3,-76.6\n";

#[test]
fn a_row_becomes_a_report_with_its_original_times_and_area() {
    let mapping = mapping(BALTIMORE);
    let file = baltimore(CLOSED);
    let mut rows = Rows::open(&mapping, file.path()).unwrap();
    let (row, read) = rows.next_row().unwrap();
    read.unwrap();
    let report = rows.report(&row).unwrap();
    assert_eq!((row.number, row.line), (1, 2));
    assert_eq!(report.grid.unwrap().as_str(), "99000100993101");
    assert_eq!(report.category, "incident.sw-dirty-alley");
    assert_eq!(report.channel, Channel::Hotline);
    assert_eq!(report.location, None, "the placeholder is no point");
    let imported = report.imported.unwrap();
    assert_eq!(imported.reported_at.to_string(), "2018-04-16T09:30:13.000Z");
    assert_eq!(
        imported.due_at.unwrap().to_string(),
        "2018-04-23T09:30:13.000Z"
    );
    let closed = imported.closed.unwrap().at.unwrap();
    assert_eq!(closed.to_string(), "2018-04-20T22:25:33.000Z");
    assert_eq!(imported.source.state.as_deref(), Some("Closed"));
}

#[test]
fn a_row_without_area_goes_to_the_unstated_one_where_the_mapping_says_so() {
    let mapping = mapping(BALTIMORE);
    let file = baltimore(UNSTATED);
    let mut rows = Rows::open(&mapping, file.path()).unwrap();
    let (row, _) = rows.next_row().unwrap();
    let report = rows.report(&row).unwrap();
    assert_eq!(report.grid.unwrap().as_str(), "99000100000001");
    assert!(report.location.is_some());
    let imported = report.imported.unwrap();
    assert_eq!((imported.due_at, imported.closed), (None, None));
    assert_eq!(
        imported.reported_at.to_string(),
        "2018-01-16T10:30:13.000Z",
        "winter time"
    );
}

#[test]
fn a_row_without_area_is_refused_where_the_mapping_says_so() {
    let mapping = mapping(PINGSHAN);
    let file = pingshan(&format!("{IN_TIME}{NO_AREA}"));
    let mut rows = Rows::open(&mapping, file.path()).unwrap();
    let (first, _) = rows.next_row().unwrap();
    let report = rows.report(&first).unwrap();
    assert_eq!(report.grid.unwrap().as_str(), "44031010101401");
    assert_eq!(report.category, "incident.6.186.662");
    let imported = report.imported.unwrap();
    assert_eq!(
        imported.reported_at.to_string(),
        "2018-02-07T16:00:00.000Z",
        "local midnight"
    );
    assert_eq!(imported.closed.unwrap().at, None, "the moment is not known");
    let (second, _) = rows.next_row().unwrap();
    let refused = rows.report(&second).unwrap_err();
    assert_eq!((second.number, refused.code().0), (2, 702), "{refused}");
}

#[test]
fn rows_that_cannot_be_read_are_refused_with_the_column() {
    let mapping = mapping(PINGSHAN);
    for (wrong, column) in [
        (IN_TIME.replace("2018-02-08", "8.2.2018"), "CREATE_TIME"),
        (IN_TIME.replace("12345", "pigeon"), "EVENT_SRC_NAME"),
        (IN_TIME.replace("10014", "x"), "COMMUNITY_ID"),
        (IN_TIME.replace(",662,", ",A B,"), "SUB_TYPE_ID"),
        (IN_TIME.replacen('7', "", 1), "REC_ID"),
    ] {
        let file = pingshan(&wrong);
        let mut rows = Rows::open(&mapping, file.path()).unwrap();
        let (row, _) = rows.next_row().unwrap();
        let refused = rows.report(&row).unwrap_err();
        assert_eq!(refused.code().0, 703);
        assert!(refused.to_string().contains(column), "{refused}");
    }
}

#[test]
fn a_row_of_another_shape_is_refused_and_the_next_one_read() {
    let mapping = mapping(PINGSHAN);
    let file = pingshan(&format!("1,2\n{IN_TIME}"));
    let mut rows = Rows::open(&mapping, file.path()).unwrap();
    let (_, broken) = rows.next_row().unwrap();
    assert_eq!(broken.unwrap_err().code().0, 704);
    let (row, read) = rows.next_row().unwrap();
    read.unwrap();
    assert!(rows.report(&row).is_ok());
    assert!(rows.next_row().is_none());
}

#[test]
fn the_same_record_is_the_same_case_at_every_import() {
    let mapping = mapping(PINGSHAN);
    let file = pingshan(IN_TIME);
    let id = || {
        let mut rows = Rows::open(&mapping, file.path()).unwrap();
        let (row, _) = rows.next_row().unwrap();
        rows.report(&row).unwrap().id
    };
    assert_eq!(id(), id());
    assert!(id().is_time_ordered());
}

#[test]
fn a_column_that_is_missing_is_named_before_the_first_row() {
    let file = file("REC_ID,CREATE_TIME\n");
    let refused = Rows::open(&mapping(PINGSHAN), file.path()).err().unwrap();
    assert!(
        matches!(&refused, ImportError::NoColumn { .. }),
        "{refused}"
    );
}

#[test]
fn mappings_with_unknown_keys_or_wrong_digits_are_refused() {
    for wrong in [
        format!("typo = 1\n{PINGSHAN}"),
        PINGSHAN.replace("grid = \"01\"", "grid = \"1\""),
        BALTIMORE.replace("\"009\"", "\"9\""),
        PINGSHAN.replace("\"440310\"", "\"440310101\""),
    ] {
        let refused = Mapping::parse(Path::new("m.toml"), &wrong).err().unwrap();
        assert_eq!(refused.code().0, 700, "{refused}");
    }
}

#[test]
fn a_derived_district_loads_and_holds_what_its_rows_name() {
    let mapping = mapping(PINGSHAN);
    let file = pingshan(&format!("{IN_TIME}{NO_AREA}"));
    let derived = derive(&mapping, file.path()).unwrap();
    assert_eq!((derived.rows, derived.left_out.len()), (2, 1));
    let folder = tempfile::tempdir().unwrap();
    derived.source.write(folder.path()).unwrap();
    let district = gridkeeper_district::District::load(folder.path()).unwrap();
    assert!(!district.has_polygons());
    let codes: Vec<_> = district
        .areas()
        .map(|area| area.code().to_string())
        .collect();
    assert_eq!(
        codes,
        ["440310", "440310101", "440310101014", "44031010101401"]
    );
    assert!(district.category("incident.6.186.662").unwrap().is_leaf());
    assert_eq!(district.category("incident.6").unwrap().name(), "市政");
}

#[test]
fn two_areas_of_one_code_are_refused() {
    let other = IN_TIME
        .replace("乙社区", "丙社区")
        .replace("10014", "20014");
    let file = pingshan(&format!("{IN_TIME}{other}"));
    let refused = derive(&mapping(PINGSHAN), file.path()).err().unwrap();
    assert_eq!(refused.code().0, 705, "{refused}");
}

/// Counts of a real history: rows that become reports, and rows that are refused by code.
fn counts_of(mapping: &Mapping, file: &str) -> Option<(u64, std::collections::BTreeMap<u16, u64>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/events");
    let path = root.join(file);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    let mut rows = Rows::open(mapping, &path).unwrap();
    let (mut reports, mut refused) = (0, std::collections::BTreeMap::new());
    while let Some((row, read)) = rows.next_row() {
        match read.and_then(|()| rows.report(&row)) {
            Ok(_) => reports += 1,
            Err(error) => *refused.entry(error.code().0).or_default() += 1,
        }
    }
    Some((reports, refused))
}

#[test]
fn a_real_history_of_a_district_is_read_but_for_its_ten_rows_without_area() {
    if let Some(counts) = counts_of(&mapping(PINGSHAN), "pingshan_10000.csv") {
        assert_eq!(counts, (9_990, [(702, 10)].into()));
    }
}

#[test]
fn a_real_history_of_a_city_is_read_whole() {
    if let Some(counts) = counts_of(&mapping(BALTIMORE), "baltimore311_clean.csv") {
        assert_eq!(counts, (10_000, [].into()));
    }
}

mod sending {
    use std::time::Duration;

    use super::*;
    use crate::{
        door::{Door, DoorError},
        import::{Outcome, send},
        testdoor::{self, Seen},
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn import(address: &str, rows: &str) -> Result<Outcome, DoorError> {
        let (mapping, file) = (mapping(PINGSHAN), pingshan(rows));
        let mut rows = Rows::open(&mapping, file.path()).unwrap();
        let door = Door::new(address, PATIENCE)?;
        send(&mut rows, &door, "token", |_| ()).await
    }

    fn many(count: u32) -> String {
        (0..count)
            .map(|number| IN_TIME.replacen('7', &format!("r{number}"), 1))
            .collect()
    }

    #[tokio::test]
    async fn every_row_is_accounted_for_and_a_second_import_adds_nothing() {
        let (address, seen) = testdoor::start(Seen::default()).await;
        let rows = format!("{}{NO_AREA}", many(1_203));
        let first = import(&address, &rows).await.unwrap();
        assert_eq!(
            (first.rows, first.recorded, first.repeated, first.refused),
            (1_204, 1_203, 0, 1)
        );
        assert_eq!(
            (first.refused_rows[0].row, first.refused_rows[0].line),
            (1_204, 1_205)
        );
        assert_eq!(
            (
                first.refused_rows[0].record.as_str(),
                first.refused_rows[0].code.as_str()
            ),
            ("8", "GK0702")
        );
        let second = import(&address, &rows).await.unwrap();
        assert_eq!(
            (second.recorded, second.repeated, second.refused),
            (0, 1_203, 1)
        );
        assert_eq!(seen.lock().unwrap().cases.len(), 1_203);
    }

    #[tokio::test]
    async fn a_busy_intake_and_reports_put_off_are_asked_again() {
        let (address, _) = testdoor::start(Seen {
            busy: 2,
            later: 3,
            ..Seen::default()
        })
        .await;
        let outcome = import(&address, &many(5)).await.unwrap();
        assert_eq!((outcome.recorded, outcome.refused), (5, 0));
    }

    #[tokio::test]
    async fn a_refused_token_ends_the_import_with_its_code() {
        let (address, _) = testdoor::start(Seen {
            forbids: true,
            ..Seen::default()
        })
        .await;
        let refused = import(&address, &many(5)).await.unwrap_err();
        assert_eq!(refused.code().0, 711);
        assert!(refused.to_string().contains("GK0001"), "{refused}");
    }
}

mod real_intake {
    use std::time::Duration;

    use super::*;
    use crate::{
        door::Door,
        import::{Outcome, send},
        realdoor::{self, RealDoor},
    };

    async fn import(door: &RealDoor, mapping: &Mapping, file: &Path) -> Outcome {
        let mut rows = Rows::open(mapping, file).unwrap();
        let way = Door::new(&door.address, Duration::from_secs(20)).unwrap();
        send(&mut rows, &way, &door.admin, |_| ()).await.unwrap()
    }

    async fn twice(mapping: Mapping, file: &Path) -> (Outcome, usize) {
        let folder = tempfile::tempdir().unwrap();
        derive(&mapping, file)
            .unwrap()
            .source
            .write(folder.path())
            .unwrap();
        let door = realdoor::start(folder.path()).await;
        let first = import(&door, &mapping, file).await;
        let events = door.log.events();
        let second = import(&door, &mapping, file).await;
        assert_eq!((second.recorded, second.repeated), (0, first.recorded));
        assert_eq!(door.log.events(), events, "a second import adds nothing");
        // The first event adopted the policy.
        (first, events - 1)
    }

    #[tokio::test]
    async fn intake_takes_what_a_mapping_makes_of_rows() {
        let file = pingshan(&format!("{IN_TIME}{NO_AREA}"));
        let (outcome, events) = twice(mapping(PINGSHAN), file.path()).await;
        assert_eq!((outcome.recorded, outcome.refused), (1, 1));
        assert_eq!(events, 2, "reported and closed");
        let file = baltimore(&format!("{CLOSED}{UNSTATED}"));
        let (outcome, events) = twice(mapping(BALTIMORE), file.path()).await;
        assert_eq!(
            (outcome.recorded, outcome.refused),
            (2, 0),
            "{:?}",
            outcome.refused_rows
        );
        // One of them is not closed: it was late when it came, went up and is supervised.
        assert_eq!(events, 6);
    }

    #[tokio::test]
    async fn intake_takes_the_real_histories() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/events");
        for (text, file, recorded, codes) in [
            (
                PINGSHAN,
                "pingshan_10000.csv",
                9_990,
                vec![("GK0702".to_owned(), 10)],
            ),
            (BALTIMORE, "baltimore311_clean.csv", 10_000, vec![]),
        ] {
            let path = root.join(file);
            if !path.exists() {
                println!("skipped: {} is not there", path.display());
                continue;
            }
            let (outcome, _) = twice(mapping(text), &path).await;
            assert_eq!(outcome.recorded, recorded, "{:?}", outcome.refused_by_code);
            assert_eq!(outcome.refused_by_code, codes.into_iter().collect());
        }
    }
}

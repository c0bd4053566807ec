//! Whether every sealed section has the key that opens it.

use std::collections::{BTreeMap, HashMap};

use gridkeeper_proto::{
    envelope::Position,
    event::{CaseEvent, Event, Recorded},
    id::CaseId,
    integrity::Integrity,
    sealed::{CaseKey, SealedParties, open},
};

use crate::{EventLog, KeyStore, LogError, scan::Scanned, verify::Break};

/// Cases with a sealed section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// How many there are.
    pub cases: usize,
    /// How many of them were forgotten.
    pub forgotten: usize,
    /// How many have lost their keys, as a statement says.
    pub lost: usize,
    /// How many of the forgotten still have a key, which intake destroys when it runs.
    pub to_destroy: usize,
}

/// What a part of the log says of one case's sealed section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SealedCase {
    /// `None` where it is in an earlier part.
    section: Option<SealedParties>,
    forgotten: bool,
}

impl SealedCase {
    /// Why its persons cannot be read with what is kept as its key; `None` where they can.
    fn unreadable(&self, case: CaseId, key: Option<&CaseKey>) -> Option<Unreadable> {
        match (key, &self.section) {
            (None, _) => Some(Unreadable::NoKey),
            (Some(key), Some(section)) if open(*key, case, section).is_err() => {
                Some(Unreadable::WrongKey)
            }
            (Some(_), _) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unreadable {
    NoKey,
    WrongKey,
}

/// The cases with a sealed section in a part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedCases(HashMap<CaseId, SealedCase>);

impl SealedCases {
    /// Takes in an event that seals the persons of a case, or forgets them.
    pub(crate) fn note(&mut self, recorded: Recorded) {
        let case = recorded.header.aggregate.into();
        match recorded.event {
            Event::Case(CaseEvent::Reported(reported)) if reported.parties.is_some() => {
                self.0.entry(case).or_default().section = reported.parties;
            }
            Event::Case(CaseEvent::PartiesForgotten(_)) => {
                self.0.entry(case).or_default().forgotten = true;
            }
            _ => {}
        }
    }

    /// Whether the persons of a case were forgotten in this part of the log.
    #[must_use]
    pub fn is_forgotten(&self, case: CaseId) -> bool {
        self.0.get(&case).is_some_and(|case| case.forgotten)
    }

    /// How many cases there are whose persons nobody forgot, and whose key is another one.
    #[must_use]
    pub fn with_wrong_key(&self, keys: &BTreeMap<CaseId, CaseKey>) -> usize {
        let unreadable = self.unreadable(keys, &Integrity::default());
        let wrong = unreadable
            .values()
            .filter(|why| **why == Unreadable::WrongKey);
        wrong.count()
    }

    /// The cases that neither somebody forgot nor a statement gave the keys of up.
    fn kept<'a>(
        &'a self,
        statements: &'a Integrity,
    ) -> impl Iterator<Item = (CaseId, &'a SealedCase)> {
        let all = self.0.iter().map(|(case, known)| (*case, known));
        all.filter(|(case, known)| !known.forgotten && !statements.lost_key_of(*case))
    }

    /// Those of [`SealedCases::kept`] whose persons cannot be read, in their order.
    fn unreadable(
        &self,
        keys: &BTreeMap<CaseId, CaseKey>,
        statements: &Integrity,
    ) -> BTreeMap<CaseId, Unreadable> {
        let kept = self.kept(statements);
        kept.filter_map(|(case, known)| Some((case, known.unreadable(case, keys.get(&case))?)))
            .collect()
    }

    /// Where a case has no key, adds those of cases that were filed after the others were read:
    /// keys are kept before the event is, and destroyed after another one is.
    pub(super) async fn add_newer_keys(
        &self,
        keys: &mut BTreeMap<CaseId, CaseKey>,
        store: &KeyStore,
        statements: &Integrity,
    ) -> Result<(), LogError> {
        let lacks_key = |(case, _)| !keys.contains_key(&case);
        if self.kept(statements).any(lacks_key) {
            for (case, key) in all_keys(store).await? {
                keys.entry(case).or_insert(key);
            }
        }
        Ok(())
    }

    /// Counts them.
    ///
    /// # Errors
    /// [`Break::KeyMissing`] and [`Break::KeyWrong`].
    pub(super) fn check(
        &self,
        keys: &BTreeMap<CaseId, CaseKey>,
        statements: &Integrity,
    ) -> Result<Sealed, Break> {
        let unreadable = self.unreadable(keys, statements);
        let of = |wanted| {
            let found = unreadable.iter().filter(move |(_, why)| **why == wanted);
            found.map(|(case, _)| *case)
        };
        if let Some(case) = of(Unreadable::NoKey).next() {
            let cases = of(Unreadable::NoKey).count();
            return Err(Break::KeyMissing { case, cases });
        }
        if let Some(case) = of(Unreadable::WrongKey).next() {
            let cases = of(Unreadable::WrongKey).count();
            return Err(Break::KeyWrong { case, cases });
        }
        let mut sealed = Sealed::default();
        for (case, known) in &self.0 {
            sealed.cases += 1;
            sealed.forgotten += usize::from(known.forgotten);
            sealed.to_destroy += usize::from(known.forgotten && keys.contains_key(case));
            sealed.lost += usize::from(!known.forgotten && statements.lost_key_of(*case));
        }
        Ok(sealed)
    }
}

/// The cases whose sealed section no key opens, and whose persons nobody forgot; at most 20,000 of
/// them.
///
/// # Errors
/// The log or the keys cannot be read.
pub async fn unreadable_sections(log: &EventLog, keys: &KeyStore) -> Result<Vec<CaseId>, LogError> {
    /// How many a statement on the log takes.
    const MAX_NAMED: usize = 20_000;
    let statements = log.read_statements().await?;
    let mut found = all_keys(keys).await?;
    let mut sealed = SealedCases::default();
    log.scan(Position(0), |scanned| {
        if let Scanned::Message {
            position, bytes, ..
        } = scanned
            && let Ok(recorded) = Recorded::decode(position, &bytes)
        {
            sealed.note(recorded);
        }
    })
    .await?;
    sealed.add_newer_keys(&mut found, keys, &statements).await?;
    let unreadable = sealed.unreadable(&found, &statements);
    Ok(unreadable.into_keys().take(MAX_NAMED).collect())
}

/// All keys; none where their stream is gone.
pub(super) async fn all_keys(keys: &KeyStore) -> Result<BTreeMap<CaseId, CaseKey>, LogError> {
    match keys.all().await {
        Err(LogError::NoStream { .. }) => Ok(BTreeMap::new()),
        keys => keys,
    }
}

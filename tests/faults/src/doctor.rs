//! What `gridkeeper doctor` and the commands that it names print.

/// What the doctor prints in the place of a reason.
const NO_REASON: &str = "...";
const REASON: &str = "a test damaged it";

/// What is printed before the positions that are given up: those of the log, and those of a history
/// that is known besides it.
const OF_THE_LOG: &str = "gave up positions ";
const OF_ANOTHER: &str = "gave up another history of positions ";

/// Positions that a command gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// The first.
    pub(crate) from: u64,
    /// The last.
    pub(crate) to: u64,
    /// Where the statement is.
    pub(crate) statement: u64,
    /// How many of their events the views knew.
    pub(crate) known: u64,
    /// Whether they were given up because they hold other events than they held.
    pub(crate) changed: bool,
    /// Whether they are those of another history, and nothing that is in the log is given up.
    pub(crate) other: bool,
}

impl GivenUp {
    /// Whether a receipt of this position may be of what is given up.
    pub(crate) fn covers(&self, position: u64) -> bool {
        (self.from..=self.to).contains(&position)
    }

    /// Whether the message that the log holds at a position is passed over, or is the statement,
    /// which names the cases that are lost. Those that follow it are new ones.
    pub(crate) fn takes(&self, position: u64) -> bool {
        !self.other && self.covers(position) && position <= self.statement
    }

    /// How many events are given up that nobody knows.
    pub(crate) fn unknown(&self) -> u64 {
        (self.to + 1 - self.from).saturating_sub(self.known)
    }
}

/// The commands that a doctor's text tells to run: the messages that are to be quarantined, and
/// where there are none, all others. What is quarantined changes what else is to be done.
pub(crate) fn commands(said: &str) -> Vec<Vec<String>> {
    let lines = said.lines().filter_map(|line| {
        let line = line.trim_end_matches(['`', '.', ' ']);
        let command = &line[line.rfind("gridkeeper ")?..];
        command.contains("--reason '").then(|| words(command))
    });
    let all: Vec<_> = lines.collect();
    let quarantines = |command: &Vec<String>| command.iter().any(|word| word == "quarantine");
    match all.iter().any(quarantines) {
        true => all.into_iter().filter(quarantines).collect(),
        false => all,
    }
}

/// The words of a command as a shell takes them, with a reason.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for letter in command.chars() {
        let word = words.last_mut().expect("there is always one");
        match letter {
            _ if escaped => {
                word.push(letter);
                escaped = false;
            }
            '\'' => quoted = !quoted,
            '\\' if !quoted => escaped = true,
            ' ' if !quoted => words.push(String::new()),
            _ => word.push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        if word == NO_REASON {
            REASON.clone_into(word);
        }
    }
    words
}

/// The positions that `gridkeeper log accept-loss` printed that it gave up.
pub(crate) fn given_up(said: &str, changed: bool) -> Vec<GivenUp> {
    let lines = said.lines().filter_map(|line| {
        let other = line.strip_prefix(OF_ANOTHER);
        let rest = other.or_else(|| line.strip_prefix(OF_THE_LOG))?;
        let [from, to, statement, known, ..] = numbers(rest)[..] else {
            return None;
        };
        Some(GivenUp {
            from,
            to,
            statement,
            known,
            changed,
            other: other.is_some(),
        })
    });
    lines.collect()
}

/// The number of cases of which `gridkeeper log accept-loss --keys` printed that it gave up the
/// keys.
pub(crate) fn given_up_keys(said: &str) -> u64 {
    let lines = said
        .lines()
        .filter_map(|line| line.strip_prefix("gave up the keys of "));
    lines
        .filter_map(|rest| numbers(rest).first().copied())
        .sum()
}

fn numbers(text: &str) -> Vec<u64> {
    let words = text.split(|letter: char| !letter.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_with_a_reason_are_taken_and_quarantines_come_alone() {
        let said = "the log ends at position 9, and is known to have reached 12\n\
            2. Where there is a backup: `gridkeeper backup --data /d DIR` brings into it what is\n\
            3. Where nothing better is left: gridkeeper log accept-loss --data '/a b' --from 10 \
            --reason '...'\n";
        let found = commands(said);
        let expected = [
            "gridkeeper",
            "log",
            "accept-loss",
            "--data",
            "/a b",
            "--from",
            "10",
            "--reason",
            REASON,
        ];
        assert_eq!(found, [expected]);
        let foreign = "  gridkeeper log quarantine --position 5 --reason '...'\n";
        let found = commands(&format!("{foreign}{said}"));
        let quarantine = ["gridkeeper", "log", "quarantine", "--position", "5"];
        assert_eq!(found.len(), 1);
        assert_eq!(found[0][..5], quarantine);
        assert_eq!(
            commands("nothing is wrong with it"),
            Vec::<Vec<String>>::new()
        );
    }

    #[test]
    fn what_was_given_up_is_read_from_what_is_printed() {
        let said = "gave up positions 249 to 273 by the statement at position 260: 20 of their \
            events are known, 1 others are set aside\n\
            start the services again: they read the log from what is left\n";
        let [found] = given_up(said, false)[..] else {
            panic!("it is one line");
        };
        assert_eq!((found.from, found.to, found.known), (249, 273, 20));
        assert_eq!(found.unknown(), 5);
        assert!(found.takes(260) && !found.takes(261) && found.covers(273));
        let other = said.replace("positions 249", "another history of positions 249");
        let other = given_up(&other, false)[0];
        assert!(other.covers(259) && !other.takes(259));
        let keys = "gave up the keys of 7 cases by the statement at position 3";
        assert_eq!(given_up_keys(keys), 7);
    }
}

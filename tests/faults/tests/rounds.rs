//! Rounds of which the seed decides what is done. `tests/faults/run` runs as many as are wanted.

use gridkeeper_faults::Scenario;

use crate::hold;

/// A test for each seed, with the kind of damage that it has to do.
macro_rules! rounds {
    ($($name:ident = $seed:literal, $kind:literal;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let scenario = Scenario::of_seed($seed);
                assert_eq!(scenario.damage.kind(), $kind);
                hold([scenario]).await;
            }
        )+
    };
}

rounds! {
    the_last_records_cut_while_all_is_killed = 9, "records cut";
    the_last_records_cut_after_a_clean_stop = 98, "records cut";
    a_bit_flipped_in_the_newest_block = 107, "bit flipped";
    a_length_flipped_under_running_services = 94, "bit flipped";
    the_first_block_removed = 68, "block removed";
    the_newest_block_removed_under_running_services = 71, "block removed";
    the_log_and_all_views_removed = 51, "stream and views removed";
    an_older_log_under_running_services = 66, "older stream";
    an_older_backup_while_phones_retry = 70, "older broker";
    a_message_that_is_no_event = 24, "garbage";
    the_keys_removed_under_running_services = 104, "stream removed";
    the_index_removed = 19, "index removed";
    one_of_the_newest_events_changed_while_all_is_killed = 20261512, "event changed";
    a_sequence_flipped_so_that_the_broker_reads_for_ever = 20261240, "bit flipped";
}

//! Rounds of which the seed decides what is done. `tests/faults/run` runs as many as are wanted.

use gridkeeper_faults::Scenario;

use crate::hold;

/// A test for each seed, with what it does.
macro_rules! rounds {
    ($($(#[$attribute:meta])* $name:ident = $seed:literal),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            $(#[$attribute])*
            async fn $name() {
                hold([Scenario::of_seed($seed)]).await;
            }
        )+
    };
}

rounds! {
    the_last_records_cut_while_all_is_killed = 9,
    the_last_records_cut_after_a_clean_stop = 98,
    a_bit_flipped_in_the_newest_block = 107,
    a_length_flipped_under_running_services = 94,
    the_first_block_removed = 68,
    the_newest_block_removed_under_running_services = 71,
    the_log_and_all_views_removed = 51,
    an_older_log_under_running_services = 66,
    an_older_backup_while_phones_retry = 70,
    a_message_that_is_no_event = 24,
    the_keys_removed_under_running_services = 104,
    the_index_removed = 19,
    a_sequence_flipped_so_that_the_broker_reads_for_ever = 20261240,
}

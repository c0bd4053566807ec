//! Work that is counted, and nothing beside it.

use std::ops::Range;

/// What is run under callgrind, prepared.
pub(crate) struct Work {
    /// Calls before the counting begins. They leave the allocator's lists as they are while a service runs; right
    /// after the preparation they are another in each run, since the maps in it are ordered by chance.
    pub(crate) warm_up: Range<usize>,
    /// Calls that are counted.
    pub(crate) counted: Range<usize>,
    /// How many operations the counted calls are together.
    pub(crate) operations: usize,
    /// Does what is counted, given the number of the call.
    pub(crate) call: Box<dyn FnMut(usize)>,
}

impl Work {
    /// Work that can be done again, so many operations in so many calls.
    pub(crate) fn of(calls: usize, operations: usize, call: impl FnMut(usize) + 'static) -> Self {
        Self {
            warm_up: 0..calls,
            counted: 0..calls,
            operations,
            call: Box::new(call),
        }
    }

    /// Does it; gives the number of operations.
    pub(crate) fn run(mut self) -> usize {
        self.warm_up.for_each(&mut self.call);
        counted_calls(self.counted, &mut *self.call);
        self.operations
    }
}

/// Callgrind counts while this runs: [`crate::callgrind`] finds it by its name, so it must stay a function of its own,
/// and nothing that it calls may have this name in its own, since entering that would end the counting.
#[inline(never)]
fn counted_calls(calls: Range<usize>, call: &mut dyn FnMut(usize)) {
    for number in calls {
        call(number);
    }
}

// tests/sim/all.h - the list of the corpus.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/channels.h"
#include "tests/sim/locks.h"
#include "tests/sim/times.h"
#include "tests/sim/waits.h"

namespace gort::corpus {

inline const Program kAll[] = {
    GORT_PROGRAM(double_close),
    GORT_PROGRAM(send_after_close),
    GORT_PROGRAM(leaked_sender_behind_a_timeout),
    GORT_PROGRAM(receiver_of_a_stream_without_end),
    GORT_PROGRAM(select_with_two_ready),
    GORT_PROGRAM(first_error_wins),
    GORT_PROGRAM(channel_that_is_not_there_yet),
    GORT_PROGRAM(subscriber_closes_its_channel),
    GORT_PROGRAM(two_that_send_first),
    GORT_PROGRAM(dropped_signal),
    GORT_PROGRAM(results_nobody_reads),
    GORT_PROGRAM(slot_that_is_not_given_back),
    GORT_PROGRAM(broadcast_by_a_send),
    GORT_PROGRAM(generator_without_a_way_out),
    GORT_PROGRAM(flag_and_send),
    GORT_PROGRAM(pipeline_whose_end_gives_up),
    GORT_PROGRAM(lock_order),
    GORT_PROGRAM(rw_mutex_reentry),
    GORT_PROGRAM(send_under_a_lock),
    GORT_PROGRAM(locks_twice_on_the_slow_way),
    GORT_PROGRAM(no_unlock_on_the_early_return),
    GORT_PROGRAM(check_then_act),
    GORT_PROGRAM(lost_update),
    GORT_PROGRAM(made_twice),
    GORT_PROGRAM(unlocked_twice),
    GORT_PROGRAM(philosophers),
    GORT_PROGRAM(upgrade),
    GORT_PROGRAM(transfer),
    GORT_PROGRAM(stop_waits_under_the_lock),
    GORT_PROGRAM(observer_leaves),
    GORT_PROGRAM(once_within_once),
    GORT_PROGRAM(add_in_the_goroutine),
    GORT_PROGRAM(done_twice),
    GORT_PROGRAM(wait_group_reused),
    GORT_PROGRAM(waits_under_the_lock),
    GORT_PROGRAM(no_done_on_the_early_return),
    GORT_PROGRAM(cond_without_a_loop),
    GORT_PROGRAM(signal_before_the_wait),
    GORT_PROGRAM(signal_for_the_wrong_one),
    GORT_PROGRAM(changed_without_the_lock),
    GORT_PROGRAM(bounded_queue),
    GORT_PROGRAM(last_one_out),
    GORT_PROGRAM(drained_after_the_stop),
    GORT_PROGRAM(timer_function_after_the_close),
    GORT_PROGRAM(ticker_without_a_stop),
    GORT_PROGRAM(result_after_the_timeout),
    GORT_PROGRAM(sleep_for_an_order),
    GORT_PROGRAM(heartbeat),
    GORT_PROGRAM(missed_cancel),
    GORT_PROGRAM(cancel_that_is_not_called),
    GORT_PROGRAM(done_and_too_late),
    GORT_PROGRAM(error_to_nobody),
    GORT_PROGRAM(retry_after_the_end),
    GORT_PROGRAM(ready_before_it_is),
    GORT_PROGRAM(flushed_twice),
};

}  // namespace gort::corpus

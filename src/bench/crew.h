/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes of a run: forked, led through its phases in step, and gone with
 * their parent. One of them, the leader, has the clients.
 *
 *   parent                        members
 *   crew_run                      work->open
 *                             <-  ready        (the leader, once work->ready says so)
 *   start                     ->  work->start  (on the leader)
 *   warm-up passes
 *   measure                   ->  note usage, measure
 *   time passes
 *   stop                      ->  note usage, measure no more; work->stop
 *                             <-  stopped
 *   quit                      ->  work->close, exit
 */
#ifndef LASH_BENCH_CREW_H
#define LASH_BENCH_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/load.h"
#include "bench/usage.h"

enum { CREW_MAX = 9 };

/* What is shared by all processes of a run. */
struct crew_result {
    struct usage used[CREW_MAX];      /* while it was measured; each member writes its own */
    struct histogram syncs[CREW_MAX]; /* how long its fdatasyncs took then */
    struct load_result load;          /* written by the leader */
};

/* What a member does, in its own process, on its main thread. `context` is the member's copy of crew_run's. Functions say on
 * stderr why they return false, which ends the run. */
struct crew_work {
    bool (*open)(void *context, size_t number, struct crew_result *result);
    bool (*ready)(void *context); /* whether this member leads and the clients can begin; asked again and again */
    void (*start)(void *context); /* begin the clients' operations */
    void (*measure)(void *context, bool on); /* on the leader, as the two around it */
    bool (*stop)(void *context);             /* end them */
    void (*close)(void *context);
};

struct crew_phases {
    double warm_up_seconds;
    double seconds;
};

/* Run `count` members through all phases. On success returns true and *result, to be released with crew_result_free; otherwise
 * says on stderr why not, unless a signal was caught. No process is left in either case. */
bool crew_run(size_t count, const struct crew_work *work, void *context, const struct crew_phases *phases,
              struct crew_result **result);

void crew_result_free(struct crew_result *result);

/* Fork a process that ends with its parent. As fork otherwise. */
pid_t crew_fork(void);

/* Kill a process, if it has not ended, and wait for its end. */
void crew_end(pid_t pid);

#endif

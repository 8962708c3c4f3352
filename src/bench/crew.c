/* SPDX-License-Identifier: Apache-2.0
 *
 * Parent and members talk in single bytes over a pair of sockets each; results
 * lie in memory that all share.
 */
#include "bench/crew.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/scratch.h"
#include "lashctl/clock.h"

enum {
    CREW_POLL_MS = 5,         /* between questions to work->ready */
    CREW_SIGNAL_MS = 100,     /* a caught signal is noticed within */
    CREW_PATIENCE_MS = 30000, /* for a leader, and for the last operations */
};

enum crew_word {
    CREW_READY = 'r',
    CREW_START = 's',
    CREW_MEASURE = 'm',
    CREW_STOP = 'e',
    CREW_STOPPED = 'd',
    CREW_QUIT = 'q'
};

/* ---- A member -------------------------------------------------------------------------------------- */

struct member {
    size_t number;
    int channel;
    const struct crew_work *work;
    void *context;
    struct crew_result *result;
    bool leads;
    struct usage before;
};

static bool member_say(const struct member *member, char word) {
    return send(member->channel, &word, 1, MSG_NOSIGNAL) == 1;
}

static void member_measure(struct member *member) {
    sync_measure(&member->result->syncs[member->number]);
    usage_read(&member->before);
    if (member->leads)
        member->work->measure(member->context, true);
}

static bool member_stop(struct member *member) {
    struct usage used;
    if (member->leads)
        member->work->measure(member->context, false);
    usage_read(&used);
    sync_measure(NULL);
    usage_since(&used, &member->before);
    member->result->used[member->number] = used;
    return (!member->leads || member->work->stop(member->context)) && member_say(member, CREW_STOPPED);
}

/* Returns false when the member is to end early. */
static bool member_obey(struct member *member, char word) {
    switch (word) {
    case CREW_START:
        if (member->leads)
            member->work->start(member->context);
        return true;
    case CREW_MEASURE:
        member_measure(member);
        return true;
    case CREW_STOP:
        return member_stop(member);
    default:
        return false;
    }
}

/* Returns the exit status. */
static int member_serve(struct member *member) {
    if (!member->work->open(member->context, member->number, member->result))
        return 1;
    bool asking = true;
    for (;;) {
        struct pollfd channel = {.fd = member->channel, .events = POLLIN};
        int events = poll(&channel, 1, asking ? CREW_POLL_MS : -1);
        if (events == 0) {
            member->leads = member->work->ready(member->context);
            asking = !member->leads;
            if (member->leads && !member_say(member, CREW_READY))
                return 1;
            continue;
        }
        char word;
        if (events < 0 || recv(member->channel, &word, 1, 0) != 1)
            return 1;
        asking = false;
        if (word == CREW_QUIT)
            break;
        if (!member_obey(member, word))
            return 1;
    }
    member->work->close(member->context);
    return 0;
}

pid_t crew_fork(void) {
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    /* an interrupted run is ended by the parent, in order */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGTERM, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    return 0;
}

void crew_end(pid_t pid) {
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* ---- The parent ------------------------------------------------------------------------------------ */

struct crew {
    size_t count; /* members forked */
    pid_t pids[CREW_MAX];
    int channels[CREW_MAX];
    char trouble[160]; /* why the run failed; empty: a member has said it, or a signal came */
};

static bool crew_fail(struct crew *crew, const char *why) {
    (void)snprintf(crew->trouble, sizeof crew->trouble, "%s", why);
    return false;
}

static bool crew_start(struct crew *crew, size_t count, const struct crew_work *work, void *context,
                       struct crew_result *result) {
    (void)fflush(NULL); /* nothing is to be printed twice */
    while (crew->count < count) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            return crew_fail(crew, strerror(errno));
        pid_t pid = crew_fork();
        if (pid == 0) {
            (void)close(ends[0]);
            struct member member = {
                .number = crew->count, .channel = ends[1], .work = work, .context = context, .result = result};
            _exit(member_serve(&member));
        }
        (void)close(ends[1]);
        if (pid < 0) {
            (void)close(ends[0]);
            return crew_fail(crew, strerror(errno));
        }
        crew->pids[crew->count] = pid;
        crew->channels[crew->count++] = ends[0];
    }
    return true;
}

/* Hear the members until `wanted` words have come, or until `deadline`. Returns how many came, or -1 when a member
 * has ended or a signal came. */
static int crew_hear(struct crew *crew, int wanted, uint64_t deadline) {
    int heard = 0;
    while (heard < wanted || wanted == 0) {
        uint64_t left = clock_ms_left(deadline);
        if (interrupt_signal())
            return -1;
        if (left == 0)
            break;
        struct pollfd channels[CREW_MAX];
        for (size_t i = 0; i < crew->count; i++)
            channels[i] = (struct pollfd){.fd = crew->channels[i], .events = POLLIN};
        if (poll(channels, crew->count, left < CREW_SIGNAL_MS ? (int)left : CREW_SIGNAL_MS) <= 0)
            continue;
        for (size_t i = 0; i < crew->count; i++) {
            char word;
            if (channels[i].revents == 0)
                continue;
            if (recv(crew->channels[i], &word, 1, 0) != 1) {
                (void)crew_fail(crew, "a process of the run has ended early");
                return -1;
            }
            heard++;
        }
    }
    return heard;
}

static bool crew_tell(struct crew *crew, char word) {
    for (size_t i = 0; i < crew->count; i++)
        if (send(crew->channels[i], &word, 1, MSG_NOSIGNAL) != 1)
            return crew_fail(crew, "a process of the run has ended early");
    return true;
}

static bool crew_pass(struct crew *crew, double seconds) {
    return crew_hear(crew, 0, clock_ns() + (uint64_t)(seconds * 1e9)) >= 0;
}

static bool crew_expect(struct crew *crew, int words, const char *otherwise) {
    int heard = crew_hear(crew, words, clock_after_ms(CREW_PATIENCE_MS));
    return heard >= words || (heard >= 0 && crew_fail(crew, otherwise));
}

static bool crew_phases_run(struct crew *crew, const struct crew_phases *phases) {
    return crew_expect(crew, 1, "no leader came forth") && crew_tell(crew, CREW_START) &&
           crew_pass(crew, phases->warm_up_seconds) && crew_tell(crew, CREW_MEASURE) &&
           crew_pass(crew, phases->seconds) && crew_tell(crew, CREW_STOP) &&
           crew_expect(crew, (int)crew->count, "operations did not end") && crew_tell(crew, CREW_QUIT);
}

/* Wait for the members' own end when all went well; end those that do not. */
static void crew_dismiss(struct crew *crew, bool well) {
    uint64_t deadline = clock_after_ms(CREW_PATIENCE_MS);
    for (size_t i = 0; i < crew->count; i++) {
        struct pollfd channel = {.fd = crew->channels[i], .events = POLLIN};
        while (well && !interrupt_signal() && clock_ms_left(deadline) > 0 && poll(&channel, 1, CREW_SIGNAL_MS) <= 0)
            continue;
        crew_end(crew->pids[i]);
        (void)close(crew->channels[i]);
    }
}

bool crew_run(size_t count, const struct crew_work *work, void *context, const struct crew_phases *phases,
              struct crew_result **result) {
    LASH_ASSERT(count >= 1 && count <= CREW_MAX);
    void *shared = mmap(NULL, sizeof **result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        (void)fprintf(stderr, "lash-bench: out of memory\n");
        return false;
    }
    struct crew crew = {.count = 0};
    bool well = crew_start(&crew, count, work, context, shared) && crew_phases_run(&crew, phases);
    crew_dismiss(&crew, well);
    if (well) {
        *result = shared;
        return true;
    }
    if (crew.trouble[0] && !interrupt_signal())
        (void)fprintf(stderr, "lash-bench: %s\n", crew.trouble);
    crew_result_free(shared);
    return false;
}

void crew_result_free(struct crew_result *result) {
    (void)munmap(result, sizeof *result);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Golden transcripts: stories told in commands, with what the cores do about each
 * checked in below it. A file is a test; lines that begin with four spaces are
 * output, lines that begin with # are the story's words.
 *
 * usage: test_transcripts [--update] FILE...     (--update rewrites the files)
 *
 * In the output, -> is a message given to the driver (entries are offered: a limit may let fewer leave), => one that
 * arrives, -x one that is lost, .. one that is set aside.
 *
 * Commands:
 *   cluster COUNT [no-pre-vote] [no-check-quorum] [inflight=MESSAGES] [message=ENTRIES] [reads=COUNT] [spare=COUNT]
 *                  of the nodes the last so many (spare) are no members at first
 *   disk N term T [vote N] [log T T ...]   what a node that is down has on its disk; the log as terms
 *   start N | start all                    crash N [SURVIVING WRITES]
 *   timeout N      move the clock to the node's deadline and let it notice
 *   pass MS        move the clock              tick N       let the node look at the clock
 *   write N [COUNT]   writes reach the disk (all)
 *   deliver N N [COUNT]   lose N N [COUNT]   the oldest packets of a link (1); COUNT may be `all`
 *   repeat N N     the oldest packet is doubled, the copy comes last
 *   delay N N      the oldest packet is set aside; `arrive` delivers what was set aside first
 *   compact N INDEX [KEPT]   a snapshot up to INDEX is durable, and the log keeps KEPT entries of it (0)
 *   stream N N arrives|breaks   how the oldest snapshot on its way from one to the other ends
 *   configure N CHANGE...   N asks for the membership that it goes by with changes: +n4 votes, -n4 leaves, ?n4 learns,
 *                  ^n4 learns and is promoted once it has caught up, *n4 is a witness; they are told of in the same way,
 *                  and old => new is a joint configuration
 *   transfer N N|best   full N   room N   ready N N   slow N   quick N
 *   prefer N N PRIORITY   the first is asked to give the second this priority
 *   propose N [COUNT]   read N   unreachable N N   down N N   cut N N   isolate N   mend N
 *   settle [quietly]    write and deliver until all is at rest
 *   run MS         the same with deadlines met, quietly
 *   elect N        the node times out first, quietly
 *   show           all nodes: role, term, log, commit
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

#define STORY_WORDS_MAX 64

/* One transcript as it is told. */
struct story {
    const char *path;
    int line;
    FILE *out;
    bool quiet;
    struct cluster *cluster;
    struct cluster_packet aside[16];
    uint32_t aside_count;
    lash_index configurations[CLUSTER_NODES_MAX + 1]; /* that the nodes, by id, go by */
};

static struct story story;

static _Noreturn void story_fail(const char *what) {
    fprintf(stderr, "%s:%d: %s\n", story.path, story.line, what);
    exit(1);
}

static void story_report(void) {
    fprintf(stderr, "%s:%d\n", story.path, story.line);
}

static void story_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void story_say(const char *format, ...) {
    if (story.quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    fputs("    ", story.out);
    vfprintf(story.out, format, arguments);
    fputc('\n', story.out);
    va_end(arguments);
}

/* ---- In words ---------------------------------------------------------------------------------- */

static const char *const role_names[] = {"follower", "pre-candidate", "candidate", "leader"};

static int text(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int text(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}

static void text_append(const struct lash_message *message, lash_index first, lash_index last, char *buffer,
                        size_t size) {
    int at = last >= first ? text(buffer, size, "entries %" PRIu64 "..%" PRIu64, first, last)
                           : text(buffer, size, "heartbeat");
    at += text(buffer + at, size - at, " after %" PRIu64 " of term %" PRIu64 ", commit %" PRIu64,
               message->append.prev_index, message->append.prev_term, message->append.commit);
    if (message->append.round != 0)
        at += text(buffer + at, size - at, ", round %" PRIu64, message->append.round);
    if (message->append.promise)
        text(buffer + at, size - at, ", asks for a promise");
}

static void text_append_reply(const struct lash_message *message, char *buffer, size_t size) {
    int at;
    if (message->append_reply.success)
        at = text(buffer, size, "holds up to %" PRIu64, message->append_reply.match);
    else if (message->append_reply.hint_term == 0 && message->append_reply.hint_index == 0)
        at = text(buffer, size, "refuses what follows %" PRIu64, message->append_reply.rejected);
    else
        at = text(buffer, size, "refuses what follows %" PRIu64 ", try after %" PRIu64 " of term %" PRIu64,
                  message->append_reply.rejected, message->append_reply.hint_index, message->append_reply.hint_term);
    if (message->append_reply.full)
        at += text(buffer + at, size - at, ", and has no room");
    if (message->append_reply.slow)
        at += text(buffer + at, size - at, ", and is slow");
    if (message->append_reply.round != 0)
        at += text(buffer + at, size - at, ", round %" PRIu64, message->append_reply.round);
    if (message->append_reply.promise_ms != 0)
        text(buffer + at, size - at, ", votes for nobody for %" PRIu64 " ms", message->append_reply.promise_ms);
}

static void text_message(const struct lash_message *message, lash_index first, lash_index last, char *buffer,
                         size_t size) {
    int at = text(buffer, size, "[term %" PRIu64 "] ", message->term);
    buffer += at;
    size -= at;
    switch (message->type) {
    case LASH_MSG_VOTE:
        text(buffer, size, "asks %s, log ends with %" PRIu64 " of term %" PRIu64,
             message->vote.pre        ? "for a pre-vote"
             : message->vote.transfer ? "to take over"
                                      : "for a vote",
             message->vote.last_index, message->vote.last_term);
        break;
    case LASH_MSG_VOTE_REPLY:
        text(buffer, size, "%s the %s", message->vote_reply.granted ? "grants" : "refuses",
             message->vote_reply.pre ? "pre-vote" : "vote");
        break;
    case LASH_MSG_APPEND:
        text_append(message, first, last, buffer, size);
        break;
    case LASH_MSG_APPEND_REPLY:
        text_append_reply(message, buffer, size);
        break;
    case LASH_MSG_READ:
        text(buffer, size, "asks for a read index");
        break;
    case LASH_MSG_TIMEOUT_NOW:
        text(buffer, size, "hands over its log, which ends with %" PRIu64, message->timeout_now.last_index);
        break;
    case LASH_MSG_SNAPSHOT:
        text(buffer, size, "offers a snapshot up to %" PRIu64 " of term %" PRIu64, message->snapshot.last_index,
             message->snapshot.last_term);
        break;
    default:
        if (message->read_reply.index == 0)
            text(buffer, size, "gives no read index");
        else
            text(buffer, size, "gives read index %" PRIu64, message->read_reply.index);
        break;
    }
}

static void say_write(const struct cluster_node *node, const struct lash_outputs *outputs) {
    char buffer[200];
    int at = text(buffer, sizeof buffer, "n%" PRIu64 " writes #%" PRIu64 ":", node->id, outputs->write);
    if (outputs->save_vote) {
        at += text(buffer + at, sizeof buffer - at, " term %" PRIu64, outputs->term);
        if (outputs->vote != 0)
            at += text(buffer + at, sizeof buffer - at, " vote n%" PRIu64, outputs->vote);
    }
    if (outputs->append)
        text(buffer + at, sizeof buffer - at, "%s %s %" PRIu64 "..%" PRIu64 " of term %" PRIu64,
             outputs->save_vote ? "," : "",
             outputs->noop        ? "no-op"
             : outputs->configure ? "configuration"
                                  : "entries",
             outputs->append_first, outputs->append_last, outputs->append_term);
    if (outputs->reset)
        text(buffer + at, sizeof buffer - at, "%s an empty log behind %" PRIu64 " of term %" PRIu64,
             outputs->save_vote ? "," : "", outputs->snapshot_index, outputs->snapshot_term);
    story_say("%s", buffer);
}

static void say_role(const struct cluster_node *node) {
    struct lash_raft_status status;
    lash_raft_status(node->raft, &status);
    if (status.role != LASH_FOLLOWER)
        story_say("n%" PRIu64 " is %s in term %" PRIu64, node->id, role_names[status.role], status.term);
    else if (status.leader == 0)
        story_say("n%" PRIu64 " follows nobody in term %" PRIu64, node->id, status.term);
    else
        story_say("n%" PRIu64 " follows n%" PRIu64 " in term %" PRIu64, node->id, status.leader, status.term);
}

/* The sign of a member, as `configure` has it; none for who just votes. */
static const char *text_part(const struct lash_member *member, uint32_t flag) {
    if (flag != 0)
        return (member->flags & LASH_MEMBER_WITNESS) != 0 ? "*" : "";
    return (member->flags & LASH_MEMBER_PROMOTE) != 0 ? "^" : "?";
}

/* Members that carry `flag`, or learners (0). */
static int text_members(const struct lash_configuration *configuration, uint32_t flag, char *buffer, size_t size) {
    int at = 0;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct lash_member *member = &configuration->members[i];
        bool learns = (member->flags & LASH_MEMBER_VOTER) == 0 && (member->flags & LASH_MEMBER_LEAVES) == 0;
        if (flag == 0 ? learns : (member->flags & flag) != 0)
            at += text(buffer + at, size - (size_t)at, " %sn%" PRIu64, text_part(member, flag), member->id);
    }
    return at;
}

static void text_configuration(const struct lash_configuration *configuration, char *buffer, size_t size) {
    int at = text(buffer, size, "configuration %" PRIu64 ":", configuration->index);
    int old = text_members(configuration, LASH_MEMBER_VOTER_OLD, buffer + at, size - (size_t)at);
    at += old;
    if (old > 0)
        at += text(buffer + at, size - (size_t)at, " =>");
    at += text_members(configuration, LASH_MEMBER_VOTER, buffer + at, size - (size_t)at);
    text_members(configuration, 0, buffer + at, size - (size_t)at);
}

/* A configuration is in force from the moment that it is in the log, and the one before it when it is cut off. */
static void say_configuration(const struct cluster_node *node) {
    char buffer[300];
    if (story.configurations[node->id] == node->configuration.index)
        return;
    story.configurations[node->id] = node->configuration.index;
    text_configuration(&node->configuration, buffer, sizeof buffer);
    story_say("n%" PRIu64 " goes by %s", node->id, buffer);
}

static void say_step(struct cluster *cluster, struct cluster_node *node, const struct lash_event *event,
                     const struct lash_outputs *outputs) {
    (void)cluster;
    (void)event;
    char buffer[300];
    if (outputs->role_changed)
        say_role(node);
    if (outputs->write != 0)
        say_write(node, outputs);
    say_configuration(node);
    if (outputs->commit_advanced)
        story_say("n%" PRIu64 " commits up to %" PRIu64, node->id, outputs->commit);
    if (outputs->install)
        story_say("n%" PRIu64 " fetches n%" PRIu64 "'s snapshot up to %" PRIu64, node->id, outputs->install_from,
                  outputs->snapshot_index);
    for (uint32_t i = 0; i < outputs->reads_done_count; i++) {
        const struct lash_read_done *done = &outputs->reads_done[i];
        if (done->index == 0)
            story_say("n%" PRIu64 " refuses read %" PRIu64, node->id, done->context);
        else
            story_say("n%" PRIu64 " serves read %" PRIu64 " once %" PRIu64 " is applied", node->id, done->context,
                      done->index);
    }
    for (uint32_t i = 0; i < outputs->send_count; i++) {
        const struct lash_send *send = &outputs->sends[i];
        text_message(&send->message, send->message.append.first, send->message.append.last, buffer, sizeof buffer);
        if (send->after_write == 0)
            story_say("n%" PRIu64 " -> n%" PRIu64 " %s", node->id, send->message.to, buffer);
        else
            story_say("n%" PRIu64 " -> n%" PRIu64 " %s; when #%" PRIu64 " is durable", node->id, send->message.to,
                      buffer, send->after_write);
    }
}

static void say_packet(const char *how, const struct cluster_packet *packet) {
    char buffer[300];
    text_message(&packet->message, packet->first, packet->first + packet->entry_count - 1, buffer, sizeof buffer);
    story_say("n%" PRIu64 " %s n%" PRIu64 " %s", packet->message.from, how, packet->message.to, buffer);
}

/* ---- Commands ---------------------------------------------------------------------------------- */

struct words {
    int count;
    char *word[STORY_WORDS_MAX];
};

static uint64_t word_number(const struct words *words, int at, uint64_t otherwise) {
    if (at >= words->count)
        return otherwise;
    const char *digits = words->word[at] + (words->word[at][0] == 'n');
    char *end;
    uint64_t number = strtoull(digits, &end, 10);
    if (*end != '\0' || end == digits)
        story_fail("a number was expected");
    return number;
}

static uint64_t word_count(const struct words *words, int at, uint64_t otherwise) {
    if (at < words->count && strcmp(words->word[at], "all") == 0)
        return UINT64_MAX;
    return word_number(words, at, otherwise);
}

static lash_id word_node(const struct words *words, int at) {
    lash_id id = word_number(words, at, 0);
    if (story.cluster == NULL || id == 0 || id > story.cluster->count)
        story_fail("a node was expected");
    return id;
}

static void do_cluster(const struct words *words) {
    struct lash_raft_options options = {.terms_max = 64, .reads_max = 64};
    uint32_t spare = 0;
    for (int i = 2; i < words->count; i++) {
        const char *word = words->word[i];
        options.no_pre_vote |= strcmp(word, "no-pre-vote") == 0;
        options.no_check_quorum |= strcmp(word, "no-check-quorum") == 0;
        options.leases |= strcmp(word, "leases") == 0;
        if (strncmp(word, "inflight=", 9) == 0)
            options.inflight_messages_max = (uint32_t)strtoul(word + 9, NULL, 10);
        if (strncmp(word, "message=", 8) == 0)
            options.message_bytes_max = strtoul(word + 8, NULL, 10) * CLUSTER_ENTRY_BYTES;
        if (strncmp(word, "reads=", 6) == 0)
            options.reads_max = (uint32_t)strtoul(word + 6, NULL, 10);
        if (strncmp(word, "spare=", 6) == 0)
            spare = (uint32_t)strtoul(word + 6, NULL, 10);
    }
    if (story.cluster != NULL)
        cluster_free(story.cluster);
    story.cluster = cluster_new((uint32_t)word_number(words, 1, 3), &options, 1);
    if (spare > 0)
        cluster_spare(story.cluster, spare);
    memset(story.configurations, 0, sizeof story.configurations);
    story.cluster->observe = say_step;
}

static void do_disk(const struct words *words) {
    lash_term log[STORY_WORDS_MAX];
    uint32_t count = 0;
    lash_term term = 0;
    lash_id vote = 0;
    for (int i = 2; i < words->count; i++) {
        if (strcmp(words->word[i], "term") == 0)
            term = word_number(words, ++i, 0);
        else if (strcmp(words->word[i], "vote") == 0)
            vote = word_node(words, ++i);
        else if (strcmp(words->word[i], "log") == 0)
            while (i + 1 < words->count)
                log[count++] = word_number(words, ++i, 0);
        else
            story_fail("term, vote or log was expected");
    }
    cluster_disk_set(story.cluster, word_node(words, 1), log, count, term, vote);
}

static void do_start(const struct words *words) {
    if (words->count > 1 && strcmp(words->word[1], "all") == 0)
        cluster_start_all(story.cluster);
    else
        cluster_start(story.cluster, word_node(words, 1), 0);
}

static void do_crash(const struct words *words) {
    cluster_crash(story.cluster, word_node(words, 1), word_number(words, 2, 0));
}

static void do_timeout(const struct words *words) {
    struct cluster_node *node = cluster_node(story.cluster, word_node(words, 1));
    if (node->deadline_ms > story.cluster->now_ms)
        story.cluster->now_ms = node->deadline_ms;
    cluster_tick(story.cluster, node->id);
}

static void do_pass(const struct words *words) {
    story.cluster->now_ms += word_number(words, 1, 0);
}

static void do_tick(const struct words *words) {
    cluster_tick(story.cluster, word_node(words, 1));
}

static void do_write(const struct words *words) {
    cluster_write(story.cluster, word_node(words, 1), word_count(words, 2, UINT64_MAX));
}

/* The oldest packet of the link that the command names. */
static uint32_t story_find(const struct words *words) {
    uint32_t at = cluster_find(story.cluster, word_node(words, 1), word_node(words, 2));
    if (at == story.cluster->packet_count)
        story_fail("there is no such packet");
    return at;
}

static void story_hand(struct cluster_packet packet) {
    say_packet("=>", &packet);
    cluster_hand(story.cluster, &packet);
    cluster_packet_free(&packet);
}

/* Only what is under way when the command is given. */
static uint64_t story_count(const struct words *words) {
    uint64_t there = 0;
    for (uint32_t i = 0; i < story.cluster->packet_count; i++) {
        const struct lash_message *message = &story.cluster->packets[i].message;
        there += message->from == word_node(words, 1) && message->to == word_node(words, 2);
    }
    uint64_t wanted = word_count(words, 3, 1);
    return wanted == UINT64_MAX ? there : wanted;
}

static void do_deliver(const struct words *words) {
    for (uint64_t count = story_count(words); count > 0; count--)
        story_hand(cluster_take(story.cluster, story_find(words)));
}

static void do_lose(const struct words *words) {
    for (uint64_t count = story_count(words); count > 0; count--) {
        uint32_t at = story_find(words);
        say_packet("-x", &story.cluster->packets[at]);
        cluster_drop(story.cluster, at);
    }
}

static void do_repeat(const struct words *words) {
    cluster_duplicate(story.cluster, story_find(words));
}

static void do_delay(const struct words *words) {
    if (story.aside_count == sizeof story.aside / sizeof story.aside[0])
        story_fail("too many packets are set aside");
    story.aside[story.aside_count++] = cluster_take(story.cluster, story_find(words));
    say_packet("..", &story.aside[story.aside_count - 1]);
}

static void do_arrive(const struct words *words) {
    (void)words;
    if (story.aside_count == 0)
        story_fail("nothing was set aside");
    struct cluster_packet packet = story.aside[0];
    story.aside_count--;
    memmove(&story.aside[0], &story.aside[1], story.aside_count * sizeof packet);
    story_hand(packet);
}

static void do_propose(const struct words *words) {
    int error = cluster_propose(story.cluster, word_node(words, 1), (uint32_t)word_number(words, 2, 1));
    if (error != LASH_OK)
        story_say("n%" PRIu64 " %s", word_node(words, 1),
                  error == LASH_BUSY ? "takes no proposals for now" : "does not lead");
}

static void do_compact(const struct words *words) {
    lash_id id = word_node(words, 1);
    lash_index index = word_number(words, 2, 0);
    lash_index kept = word_number(words, 3, 0);
    cluster_applied(story.cluster, id, index);
    if (kept > index || cluster_snapshot(story.cluster, id, index, index - kept) != LASH_OK)
        story_fail("the log cannot be compacted so far");
}

static void do_stream(const struct words *words) {
    bool arrives = strcmp(words->word[3], "arrives") == 0;
    if (!arrives && strcmp(words->word[3], "breaks") != 0)
        story_fail("arrives or breaks was expected");
    for (uint32_t i = 0; i < story.cluster->stream_count; i++) {
        const struct cluster_stream *stream = &story.cluster->streams[i];
        if (stream->leader != word_node(words, 1) || stream->member != word_node(words, 2))
            continue;
        story_say("n%" PRIu64 "'s snapshot up to %" PRIu64 " %s n%" PRIu64, stream->leader, stream->index,
                  arrives && stream->wanted ? "arrives at" : "does not get to", stream->member);
        cluster_stream_end(story.cluster, i, arrives);
        return;
    }
    story_fail("there is no such snapshot on its way");
}

static void do_transfer(const struct words *words) {
    bool best = strcmp(words->word[2], "best") == 0;
    int error = cluster_transfer(story.cluster, word_node(words, 1), best ? 0 : word_node(words, 2));
    if (error != LASH_OK)
        story_say("n%" PRIu64 " cannot hand over: %s", word_node(words, 1), lash_strerror(error));
}

/* The flags that a change of a member begins with; UINT32_MAX: it leaves. */
static uint32_t change_flags(char sign) {
    switch (sign) {
    case '+':
        return LASH_MEMBER_VOTER;
    case '?':
        return 0;
    case '^':
        return LASH_MEMBER_PROMOTE;
    case '*':
        return (uint32_t)LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS;
    case '-':
        return UINT32_MAX;
    default:
        story_fail("a change is +, -, ?, ^ or * and a node");
    }
}

static void change_membership(struct lash_configuration *to, lash_id id, uint32_t flags) {
    uint32_t at = 0;
    while (at < to->count && to->members[at].id != id)
        at++;
    if (at == to->count && flags != UINT32_MAX)
        to->members[to->count++] = (struct lash_member){.id = id, .flags = flags};
    else if (flags != UINT32_MAX)
        to->members[at].flags = flags;
    else if (at < to->count)
        memmove(&to->members[at], &to->members[at + 1], (--to->count - at) * sizeof to->members[0]);
}

static void do_configure(const struct words *words) {
    struct lash_configuration to = cluster_node(story.cluster, word_node(words, 1))->configuration;
    for (int i = 2; i < words->count; i++) {
        const struct words member = {.count = 1, .word = {words->word[i] + 1}};
        change_membership(&to, word_node(&member, 0), change_flags(words->word[i][0]));
    }
    int error = cluster_configure(story.cluster, word_node(words, 1), &to);
    if (error != LASH_OK)
        story_say("n%" PRIu64 " refuses the change: %s", word_node(words, 1), lash_strerror(error));
}

static void do_full(const struct words *words) {
    cluster_room(story.cluster, word_node(words, 1), true);
}

static void do_room(const struct words *words) {
    cluster_room(story.cluster, word_node(words, 1), false);
}

static void do_slow(const struct words *words) {
    cluster_slow(story.cluster, word_node(words, 1), true);
}

static void do_quick(const struct words *words) {
    cluster_slow(story.cluster, word_node(words, 1), false);
}

static void do_prefer(const struct words *words) {
    struct lash_configuration to = cluster_node(story.cluster, word_node(words, 1))->configuration;
    for (uint32_t i = 0; i < to.count; i++)
        if (to.members[i].id == word_node(words, 2))
            to.members[i].priority = (uint32_t)strtoul(words->word[3], NULL, 10);
    if (cluster_configure(story.cluster, word_node(words, 1), &to) != LASH_OK)
        story_say("n%" PRIu64 " refuses the change", word_node(words, 1));
}

static void do_ready(const struct words *words) {
    cluster_ready(story.cluster, word_node(words, 1), word_node(words, 2));
}

static void do_read(const struct words *words) {
    bool lease = words->count > 2 && strcmp(words->word[2], "lease") == 0;
    lash_id id = word_node(words, 1);
    if ((lease ? cluster_read_by_lease(story.cluster, id) : cluster_read(story.cluster, id)) != LASH_OK)
        story_say("n%" PRIu64 " is busy", word_node(words, 1));
}

static void do_unreachable(const struct words *words) {
    cluster_unreachable(story.cluster, word_node(words, 1), word_node(words, 2));
}

static void do_down(const struct words *words) {
    cluster_down(story.cluster, word_node(words, 1), word_node(words, 2));
}

static void do_cut(const struct words *words) {
    story.cluster->cut[word_node(words, 1)][word_node(words, 2)] = true;
}

static void do_isolate(const struct words *words) {
    cluster_isolate(story.cluster, word_node(words, 1), true);
}

static void do_mend(const struct words *words) {
    cluster_isolate(story.cluster, word_node(words, 1), false);
}

static void do_settle(const struct words *words) {
    story.quiet = words->count > 1 && strcmp(words->word[1], "quietly") == 0;
    cluster_settle(story.cluster);
    story.quiet = false;
}

static void do_run(const struct words *words) {
    story.quiet = true;
    cluster_run(story.cluster, word_number(words, 1, 0));
    story.quiet = false;
}

static void do_elect(const struct words *words) {
    story.quiet = true;
    cluster_elect(story.cluster, word_node(words, 1));
    story.quiet = false;
}

static void do_show(const struct words *words) {
    (void)words;
    for (lash_id id = 1; id <= story.cluster->count; id++) {
        const struct cluster_node *node = cluster_node(story.cluster, id);
        if (!node->up) {
            story_say("n%" PRIu64 " is down", id);
            continue;
        }
        char buffer[400];
        int at = text(buffer, sizeof buffer, "n%" PRIu64 " %s, term %" PRIu64 ", commit %" PRIu64 ", log", id,
                      role_names[node->role], node->term, node->commit);
        for (uint64_t i = 0; i < node->log.count; i++)
            at += text(buffer + at, sizeof buffer - at, " %" PRIu64, node->log.entries[i].term);
        story_say("%s", buffer);
    }
}

static const struct {
    const char *name;
    int words; /* at least, the name included */
    void (*run)(const struct words *words);
} commands[] = {
    {"cluster", 2, do_cluster},
    {"disk", 3, do_disk},
    {"start", 2, do_start},
    {"crash", 2, do_crash},
    {"timeout", 2, do_timeout},
    {"pass", 2, do_pass},
    {"tick", 2, do_tick},
    {"write", 2, do_write},
    {"deliver", 3, do_deliver},
    {"lose", 3, do_lose},
    {"repeat", 3, do_repeat},
    {"delay", 3, do_delay},
    {"arrive", 1, do_arrive},
    {"propose", 2, do_propose},
    {"read", 2, do_read},
    {"cut", 3, do_cut},
    {"isolate", 2, do_isolate},
    {"mend", 2, do_mend},
    {"settle", 1, do_settle},
    {"run", 2, do_run},
    {"elect", 2, do_elect},
    {"show", 1, do_show},
    {"unreachable", 3, do_unreachable},
    {"transfer", 3, do_transfer},
    {"configure", 3, do_configure},
    {"full", 2, do_full},
    {"room", 2, do_room},
    {"slow", 2, do_slow},
    {"quick", 2, do_quick},
    {"prefer", 4, do_prefer},
    {"ready", 3, do_ready},
    {"down", 3, do_down},
    {"compact", 3, do_compact},
    {"stream", 4, do_stream},
};

static void story_command(char *line) {
    struct words words = {0};
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
        if (words.count == STORY_WORDS_MAX)
            story_fail("too many words");
        words.word[words.count++] = word;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, words.word[0]) != 0)
            continue;
        if (words.count < commands[i].words || (story.cluster == NULL && i != 0))
            story_fail("that is not how the command goes");
        commands[i].run(&words);
        return;
    }
    story_fail("there is no such command");
}

/* ---- Files ------------------------------------------------------------------------------------- */

static char *file_read(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL)
        story_fail("cannot be read");
    char *contents = NULL;
    size_t size = 0;
    if (getdelim(&contents, &size, '\0', file) < 0)
        story_fail("is empty");
    fclose(file);
    return contents;
}

/* Tell the story anew: the same words and commands, with the output of today. The caller frees it. */
static char *story_tell(const char *path, const char *contents) {
    char *told = NULL;
    size_t size = 0;
    char *copy = strdup(contents);
    story = (struct story){.path = path, .out = open_memstream(&told, &size)};
    if (copy == NULL || story.out == NULL)
        story_fail("no memory");
    for (char *line = copy, *next; line != NULL && *line != '\0'; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        story.line++;
        if (strncmp(line, "    ", 4) == 0)
            continue;
        fprintf(story.out, "%s\n", line);
        if (line[0] != '#' && line[0] != '\0')
            story_command(line);
    }
    fclose(story.out);
    free(copy);
    for (uint32_t i = 0; i < story.aside_count; i++)
        cluster_packet_free(&story.aside[i]);
    if (story.cluster != NULL)
        cluster_free(story.cluster);
    return told;
}

/* Where the two part, with the line. */
static void story_compare(const char *path, const char *expected, const char *told) {
    int line = 1;
    size_t start = 0;
    size_t i = 0;
    for (; expected[i] == told[i]; i++) {
        if (expected[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    fprintf(stderr, "%s:%d: expected\n%.*s\nbut it is\n%.*s\n", path, line, (int)strcspn(expected + start, "\n"),
            expected + start, (int)strcspn(told + start, "\n"), told + start);
}

static bool story_test(const char *path, bool update) {
    char *expected = file_read(path);
    char *told = story_tell(path, expected);
    bool same = strcmp(expected, told) == 0;
    if (!same && update) {
        FILE *file = fopen(path, "w");
        if (file == NULL || fputs(told, file) < 0 || fclose(file) != 0)
            story_fail("cannot be written");
        printf("rewritten: %s\n", path);
    } else if (!same) {
        story_compare(path, expected, told);
    }
    free(expected);
    free(told);
    return same || update;
}

int main(int argc, char **argv) {
    int failed = 0;
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    oracle_report = story_report;
    for (int i = update ? 2 : 1; i < argc; i++)
        failed += !story_test(argv[i], update);
    printf("%d transcripts, %d differ\n", argc - 1 - update, failed);
    return failed != 0 || argc < 2;
}

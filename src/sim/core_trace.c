/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of a cluster of bare cores: a line for each event at a node, with the
 * time in milliseconds before it, and below it what comes of it.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "lash/error.h"
#include "sim/core.h"
#include "sim/words.h"

static void core_trace_message(FILE *out, const char *before, const struct lash_message *message) {
    char text[WORDS_SIZE];
    words_message(text, message);
    (void)fprintf(out, "%s %s", before, text);
}

static void core_trace_packet(FILE *out, const struct core_packet *packet) {
    (void)fprintf(out, "gets from n%" PRIu64, packet->message.from);
    core_trace_message(out, "", &packet->message);
    for (uint32_t i = 0; i < packet->count; i++)
        (void)fprintf(out, "%s%" PRIu64 " of term %" PRIu64, i ? ", " : "; entries ", packet->first + i,
                      packet->entries[i].term);
}

static void core_trace_members(FILE *out, const struct lash_configuration *configuration) {
    static const char *const parts[] = {[0] = " as a learner",
                                        [LASH_MEMBER_VOTER] = "",
                                        [LASH_MEMBER_VOTER_OLD] = " outgoing",
                                        [LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD] = " in both"};
    for (uint32_t i = 0; i < configuration->count; i++)
        (void)fprintf(out, " n%" PRIu64 "%s", configuration->members[i].id, parts[configuration->members[i].flags & 3]);
}

static void core_trace_what(FILE *out, const struct lash_event *event) {
    switch (event->type) {
    case LASH_EVENT_TICK:
        (void)fprintf(out, "looks at its clock");
        break;
    case LASH_EVENT_MESSAGE:
        LASH_UNREACHABLE("core_trace_what"); /* comes in a packet */
    case LASH_EVENT_PROPOSE:
        (void)fprintf(out, "is asked for %u entries", event->propose.count);
        break;
    case LASH_EVENT_WRITTEN:
        (void)fprintf(out, "hears that its writes up to %" PRIu64 " are durable, entries up to %" PRIu64,
                      event->written.write, event->written.index);
        break;
    case LASH_EVENT_SENT:
        (void)fprintf(out, "hears that n%" PRIu64 " was sent entries up to %" PRIu64, event->sent.to, event->sent.last);
        break;
    case LASH_EVENT_APPLIED:
        (void)fprintf(out, "has applied %" PRIu64, event->applied.index);
        break;
    case LASH_EVENT_READ:
        (void)fprintf(out, "is asked for read %" PRIu64, event->read.context);
        break;
    case LASH_EVENT_TRANSFER:
        (void)fprintf(out, "is to hand over to n%" PRIu64, event->transfer.to);
        break;
    case LASH_EVENT_INSTALLED:
        (void)fprintf(out, "has fetched and stored a snapshot up to %" PRIu64 " of term %" PRIu64,
                      event->installed.index, event->installed.term);
        break;
    case LASH_EVENT_SNAPSHOT_ENDED:
        (void)fprintf(out, "hears that its snapshot %s n%" PRIu64,
                      event->snapshot_ended.ok ? "got to" : "did not get to", event->snapshot_ended.id);
        break;
    case LASH_EVENT_ROOM:
        (void)fprintf(out, event->room.full ? "has a full disk" : "has room on its disk");
        break;
    case LASH_EVENT_SLOW:
        (void)fprintf(out, event->slow.slow ? "has a slow disk" : "has a disk that is not slow");
        break;
    case LASH_EVENT_CONFIGURE:
        (void)fprintf(out, "is asked for the members");
        core_trace_members(out, event->configure.to);
        break;
    default:
        (void)fprintf(out, "hears of n%" PRIu64 " that it %s", event->peer.id,
                      event->type == LASH_EVENT_READY         ? "can be sent to again"
                      : event->type == LASH_EVENT_UNREACHABLE ? "cannot be reached"
                                                              : "has ended");
    }
}

void core_trace_event(const struct core *core, const struct core_node *node, const struct lash_event *event,
                      const struct core_packet *packet) {
    (void)fprintf(core->trace, "%8" PRIu64 " n%" PRIu64 " ", core->now_ms, node->id);
    if (packet)
        core_trace_packet(core->trace, packet);
    else
        core_trace_what(core->trace, event);
    (void)fputc('\n', core->trace);
}

static void core_trace_write(FILE *out, const struct lash_outputs *outputs) {
    (void)fprintf(out, "            write %" PRIu64 ":", outputs->write);
    if (outputs->save_vote)
        (void)fprintf(out, " term %" PRIu64 ", vote for n%" PRIu64, outputs->term, outputs->vote);
    if (outputs->append)
        (void)fprintf(out, " %s %" PRIu64 " to %" PRIu64 " of term %" PRIu64, outputs->noop ? "no-op" : "entries",
                      outputs->append_first, outputs->append_last, outputs->append_term);
    if (outputs->reset)
        (void)fprintf(out, " an empty log behind %" PRIu64 " of term %" PRIu64, outputs->snapshot_index,
                      outputs->snapshot_term);
    if (outputs->configure) {
        (void)fprintf(out, ", the members");
        core_trace_members(out, &outputs->configuration);
    }
    (void)fputc('\n', out);
}

void core_trace_outputs(const struct core *core, const struct core_node *node, const struct lash_outputs *outputs,
                        int error) {
    FILE *out = core->trace;
    if (error) {
        (void)fprintf(out, "            refused: %s\n", lash_strerror(error));
        return;
    }
    if (outputs->write != 0)
        core_trace_write(out, outputs);
    if (outputs->role_changed || outputs->commit_advanced) {
        struct lash_raft_status status;
        lash_raft_status(node->raft, &status);
        (void)fprintf(
            out, "            is %s of term %" PRIu64 ", leader n%" PRIu64 ", commit %" PRIu64 ", last %" PRIu64 "\n",
            words_role(status.role), status.term, status.leader, status.commit, status.last_index);
    }
    for (uint32_t i = 0; i < outputs->reads_done_count; i++)
        (void)fprintf(out, "            read %" PRIu64 " %s index %" PRIu64 "\n", outputs->reads_done[i].context,
                      outputs->reads_done[i].index ? "reflects" : "is refused:", outputs->reads_done[i].index);
    for (uint32_t i = 0; i < outputs->send_count; i++) {
        const struct lash_send *send = &outputs->sends[i];
        (void)fprintf(out, "            to n%" PRIu64, send->message.to);
        core_trace_message(out, "", &send->message);
        if (send->after_write)
            (void)fprintf(out, ", after write %" PRIu64, send->after_write);
        (void)fputc('\n', out);
    }
}

void core_trace_life(const struct core *core, const struct core_node *node, const char *what) {
    (void)fprintf(core->trace,
                  "%8" PRIu64 " n%" PRIu64 " %s; on its disk: term %" PRIu64 ", vote for n%" PRIu64 ", %" PRIu64
                  " entries\n",
                  core->now_ms, node->id, what, node->disk_term, node->disk_vote, node->disk.count);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Rosters: see roster.h.
 */
#include "node/roster.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "raft/configuration.h"
#include "storage/snapshot.h"

_Static_assert((size_t)ROSTER_BYTES_MAX <= SNAPSHOT_CONFIGURATION_MAX, "a roster fits into a snapshot");

/* Flags that this version knows. One of a newer version must not be taken for nothing. */
#define ROSTER_FLAGS                                                                                                   \
    ((uint32_t)LASH_MEMBER_VOTER | (uint32_t)LASH_MEMBER_VOTER_OLD | (uint32_t)LASH_MEMBER_PROMOTE |                   \
     (uint32_t)LASH_MEMBER_LEAVES | (uint32_t)LASH_MEMBER_WITNESS)

/* ---- Making one ---------------------------------------------------------------------------------- */

static bool roster_host_valid(const char *host, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (host[i] <= ' ' || host[i] > '~')
            return false;
    return true;
}

static size_t roster_host_size(const struct lash_node_member *member) {
    return member->host ? strlen(member->host) : 0;
}

int roster_check_member(const struct lash_node_member *member) {
    size_t host_size = roster_host_size(member);
    if (host_size > ROSTER_HOST_MAX || member->note_size > LASH_NODE_NOTE_MAX)
        return LASH_TOO_LARGE;
    if (!roster_host_valid(member->host, host_size) || (host_size == 0) != (member->port == 0) ||
        (member->note_size > 0 && !member->note))
        return LASH_INVALID;
    return 0;
}

/* Check the members, and add up what their texts take. */
static int roster_check(const struct lash_node_member *members, size_t count, size_t *texts) {
    if (count > LASH_RAFT_MEMBERS_MAX)
        return LASH_TOO_LARGE;
    *texts = 0;
    for (size_t i = 0; i < count; i++) {
        int error = roster_check_member(&members[i]);
        if (error)
            return error;
        *texts += roster_host_size(&members[i]) + 1 + members[i].note_size;
    }
    return 0;
}

void roster_configuration(const struct roster *roster, struct lash_configuration *configuration) {
    memset(configuration, 0, sizeof *configuration);
    configuration->index = roster->index;
    configuration->count = roster->count;
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct lash_node_member *member = &roster->members[i];
        configuration->members[i] =
            (struct lash_member){.id = member->id, .flags = member->flags, .priority = member->priority};
    }
}

static void roster_fill(struct roster *roster, const struct lash_node_member *members, size_t count) {
    char *at = (char *)(roster + 1);
    roster->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct lash_node_member *to = &roster->members[i];
        *to = members[i];
        size_t host_size = roster_host_size(&members[i]);
        if (host_size)
            memcpy(at, members[i].host, host_size);
        at[host_size] = '\0';
        to->host = at;
        at += host_size + 1;
        if (to->note_size)
            memcpy(at, members[i].note, to->note_size);
        to->note = to->note_size ? at : NULL;
        at += to->note_size;
    }
}

int roster_new(lash_index index, const struct lash_node_member *members, size_t count, struct roster **roster) {
    size_t texts;
    int error = roster_check(members, count, &texts);
    if (error)
        return error;
    struct roster *new = mem_calloc(1, sizeof *new + texts);
    if (!new)
        return LASH_NOMEM;
    new->references = 1;
    new->index = index;
    roster_fill(new, members, count);
    struct lash_configuration configuration;
    struct configuration unused;
    roster_configuration(new, &configuration);
    if (configuration_load(&unused, &configuration) != LASH_OK) {
        mem_free(new);
        return LASH_INVALID;
    }
    *roster = new;
    return 0;
}

struct roster *roster_ref(struct roster *roster) {
    if (roster) {
        uint32_t before = roster->references++;
        LASH_ASSERT(before > 0);
    }
    return roster;
}

void roster_unref(struct roster *roster) {
    if (roster && --roster->references == 0)
        mem_free(roster);
}

const struct lash_node_member *roster_find(const struct roster *roster, lash_id id) {
    for (uint32_t i = 0; i < roster->count; i++)
        if (roster->members[i].id == id)
            return &roster->members[i];
    return NULL;
}

/* ---- Bytes --------------------------------------------------------------------------------------- */

size_t roster_member_size(const struct lash_node_member *member) {
    return ROSTER_MEMBER_SIZE + roster_host_size(member) + member->note_size;
}

size_t roster_size(const struct roster *roster) {
    size_t size = ROSTER_HEAD_SIZE;
    for (uint32_t i = 0; i < roster->count; i++)
        size += roster_member_size(&roster->members[i]);
    LASH_ASSERT(size <= ROSTER_BYTES_MAX);
    return size;
}

void roster_write_member(struct writer *writer, const struct lash_node_member *member) {
    size_t host_size = roster_host_size(member);
    write_u64(writer, member->id);
    write_u32(writer, member->flags);
    write_u32(writer, member->priority);
    write_u64(writer, member->disk);
    write_u16(writer, member->port);
    write_u16(writer, (uint16_t)host_size);
    write_u16(writer, (uint16_t)member->note_size);
    write_u16(writer, 0);
    write_bytes(writer, member->host, host_size);
    write_bytes(writer, member->note, member->note_size);
}

void roster_encode(const struct roster *roster, uint8_t *data) {
    size_t size = roster_size(roster);
    struct writer writer = writer_make(data, size);
    write_u16(&writer, ROSTER_VERSION);
    write_u16(&writer, 0);
    write_u32(&writer, roster->count);
    write_u64(&writer, roster->index);
    for (uint32_t i = 0; i < roster->count; i++)
        roster_write_member(&writer, &roster->members[i]);
    LASH_ASSERT(!writer.failed && writer.at == data + size);
}

int roster_read_member(struct reader *reader, struct lash_node_member *member, char host[ROSTER_HOST_MAX + 1]) {
    memset(member, 0, sizeof *member);
    member->id = read_u64(reader);
    member->flags = read_u32(reader);
    member->priority = read_u32(reader);
    member->disk = read_u64(reader);
    member->port = read_u16(reader);
    size_t host_size = read_u16(reader);
    member->note_size = read_u16(reader);
    uint16_t reserved = read_u16(reader);
    const uint8_t *host_bytes = read_bytes(reader, host_size);
    member->note = read_bytes(reader, member->note_size);
    if (reader->failed)
        return LASH_CORRUPT;
    if (reserved != 0 || (member->flags & ~ROSTER_FLAGS) != 0)
        return LASH_VERSION;
    if (host_size > ROSTER_HOST_MAX || memchr(host_bytes, '\0', host_size))
        return LASH_CORRUPT;
    memcpy(host, host_bytes, host_size);
    host[host_size] = '\0';
    member->host = host;
    return 0;
}

int roster_decode(const uint8_t *data, size_t size, struct roster **roster) {
    struct reader reader = reader_make(data, size);
    uint16_t version = read_u16(&reader);
    uint16_t reserved = read_u16(&reader);
    uint32_t count = read_u32(&reader);
    lash_index index = read_u64(&reader);
    if (reader.failed)
        return LASH_CORRUPT;
    if (version != ROSTER_VERSION || reserved != 0)
        return LASH_VERSION;
    if (count > LASH_RAFT_MEMBERS_MAX)
        return LASH_CORRUPT;
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    char hosts[LASH_RAFT_MEMBERS_MAX][ROSTER_HOST_MAX + 1];
    for (uint32_t i = 0; i < count; i++) {
        int error = roster_read_member(&reader, &members[i], hosts[i]);
        if (error)
            return error;
    }
    if (reader_left(&reader) != 0)
        return LASH_CORRUPT;
    int error = roster_new(index, members, count, roster);
    return error == 0 || error == LASH_NOMEM ? error : LASH_CORRUPT;
}

bool roster_is_joint(const uint8_t *data, size_t size) {
    struct reader reader = reader_make(data, size);
    (void)read_bytes(&reader, 4);
    uint32_t count = read_u32(&reader);
    (void)read_u64(&reader);
    bool joint = false;
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        struct lash_node_member member;
        char host[ROSTER_HOST_MAX + 1];
        joint =
            joint || (roster_read_member(&reader, &member, host) == 0 && (member.flags & LASH_MEMBER_VOTER_OLD) != 0);
    }
    return joint;
}

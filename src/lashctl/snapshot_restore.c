/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot restore: the data directory of a member of a new cluster, which begins
 * with what a snapshot's file holds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "lash/log.h"
#include "lash/offline.h"
#include "lashctl/flags.h"
#include "lashctl/snapshot.h"
#include "lashctl/snapshot_file.h"
#include "lashd/config.h"

enum { RESTORE_PROBLEM = 1024 };

struct restore {
    const char *name;
    const char *data_dir;
    const char *initial_cluster;
    const char *token;
    const char *advertise;
    int64_t bump;
    bool mark_compacted;
    bool skip_hash_check;
    struct snapshot_file file;
    struct snapshot_summary summary;
};

/* ---- The state ------------------------------------------------------------------------------------- */

/* What the image says of the store, with the revision raised. Everything before may be said to be compacted: whoever watches or
 * reads from a revision of the old cluster then hears that it is gone, rather than of other changes. */
static struct image_state restore_state(const struct restore *restore) {
    struct image_state state = restore->summary.state;
    state.revision += restore->bump;
    if (!restore->mark_compacted)
        return state;
    /* As a compaction does: a removal under way goes on to the new revision. */
    if (state.removing && state.scan.main >= state.compacted)
        state.scan = (struct revision){.main = state.compacted, .sub = 0};
    state.compacted = state.revision;
    state.removing = true;
    return state;
}

/* What a member of the old cluster has said of itself is of no use: its second byte tells such a command. */
static bool restore_is_of_member(struct store_bytes command) {
    return command.size > 1 && command.data[1] == STORE_MEMBER;
}

static int restore_item(const struct restore *restore, struct image_writer *writer, const struct store_sink *sink,
                        const struct image_item *item) {
    const struct image_state state = restore_state(restore);
    switch (item->kind) {
    case IMAGE_BEGIN:
        return image_begin(writer, sink, &state);
    case IMAGE_RECORD:
        return image_record(writer, &item->record);
    case IMAGE_MEMBER:
        return restore_is_of_member(item->member) ? LASH_OK : image_member(writer, item->member);
    case IMAGE_END:
        return image_end(writer);
    }
    return LASH_INVALID;
}

static int restore_write(void *context, lash_state_fn take, void *to) {
    static struct image_reader reader;
    static struct image_writer writer;
    struct restore *restore = context;
    const struct store_sink sink = {.write = take, .context = to};
    struct image_item item = {.kind = IMAGE_BEGIN};
    int rc;
    image_open(&reader, &restore->file.source);
    do {
        rc = image_next(&reader, &item);
        if (rc == 0)
            rc = restore_item(restore, &writer, &sink, &item);
    } while (rc == 0 && item.kind != IMAGE_END);
    image_close(&reader);
    return rc;
}

/* ---- The cluster ----------------------------------------------------------------------------------- */

/* Members that were given different files, or numbers to raise the revision by, must never form a cluster. */
static uint64_t restore_cluster_id(const struct restore *restore, uint64_t configured) {
    const uint64_t parts[] = {restore->summary.hash, (uint64_t)restore->bump, restore->mark_compacted};
    uint64_t id = configured;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        id = (id ^ parts[i]) * UINT64_C(0x9e3779b97f4a7c15);
        id ^= id >> 31;
    }
    return id ? id : 1;
}

/* The cluster as lashd would understand the same flags. */
static int restore_configure(const struct restore *restore, struct config *config) {
    char problem[RESTORE_PROBLEM];
    const char *const texts[SETTING_COUNT] = {
        [SETTING_NAME] = restore->name,
        [SETTING_DATA_DIR] = restore->data_dir,
        [SETTING_INITIAL_CLUSTER] = restore->initial_cluster,
        [SETTING_INITIAL_CLUSTER_TOKEN] = restore->token,
        [SETTING_INITIAL_ADVERTISE_PEER_URLS] = restore->advertise,
    };
    struct settings settings = {.help = false};
    bool good = true;
    for (int i = 0; i < SETTING_COUNT; i++) {
        settings.values[i] = texts[i] ? mem_strdup(texts[i]) : NULL;
        good = good && (!texts[i] || settings.values[i]);
    }
    (void)snprintf(problem, sizeof problem, "out of memory");
    good = good && config_make(config, &settings, problem, sizeof problem) &&
           config_make_cluster(config, &settings, problem, sizeof problem);
    settings_free(&settings);
    return good ? CTL_OK : ctl_fail(CTL_ERROR, "%s", problem);
}

static int restore_found(struct restore *restore, const struct config *config) {
    struct lash_node_member members[LASH_RAFT_MEMBERS_MAX];
    for (size_t i = 0; i < config->member_count; i++)
        members[i] = (struct lash_node_member){.id = config->members[i].id,
                                               .flags = LASH_MEMBER_VOTER,
                                               .host = config->members[i].peer.host,
                                               .port = config->members[i].peer.port};
    const struct lash_founding founding = {.data_dir = config->data_dir,
                                           .id = config->member_id,
                                           .cluster_id = restore_cluster_id(restore, config->cluster_id),
                                           .members = members,
                                           .member_count = config->member_count,
                                           .state = restore_write,
                                           .context = restore};
    int error = lash_node_found(&founding);
    if (error)
        return ctl_fail(CTL_ERROR, "cannot make the data directory %s: %s; remove what there is of it, if anything",
                        config->data_dir, lash_strerror(error));
    printf("Restored %s into %s: member %" PRIx64 " of %zu in cluster %" PRIx64 ", revision %" PRId64 "\n",
           restore->file.path, config->data_dir, config->member_id, config->member_count, founding.cluster_id,
           restore_state(restore).revision);
    return CTL_OK;
}

/* ---- The verb -------------------------------------------------------------------------------------- */

static int restore_check_flags(const struct restore *restore) {
    if (restore->bump < 0 || restore->bump > INT64_MAX / 2)
        return ctl_fail(CTL_BAD_ARGUMENTS, "--bump-revision must not be negative, nor beyond what revisions can be");
    if (restore->bump > 0 && !restore->mark_compacted)
        return ctl_fail(CTL_BAD_ARGUMENTS, "--mark-compacted required if --bump-revision");
    if (restore->bump == 0 && restore->mark_compacted)
        return ctl_fail(CTL_BAD_ARGUMENTS, "--mark-compacted not allowed without --bump-revision");
    return CTL_OK;
}

static int restore_run(struct restore *restore, const char *path) {
    static struct config config; /* large */
    struct stat status;
    int rc = restore_check_flags(restore);
    if (rc == CTL_OK)
        rc = restore_configure(restore, &config);
    if (rc != CTL_OK)
        return rc;
    if (stat(config.data_dir, &status) == 0 || errno != ENOENT)
        return ctl_fail(CTL_ERROR, "data-dir \"%s\" exists", config.data_dir);
    rc = snapshot_file_open(&restore->file, path, restore->skip_hash_check, &restore->summary);
    if (rc != CTL_OK)
        return rc;
    if (restore->summary.state.revision > INT64_MAX - restore->bump)
        rc = ctl_fail(CTL_BAD_ARGUMENTS, "--bump-revision goes beyond what revisions can be");
    else
        rc = restore_found(restore, &config);
    snapshot_file_close(&restore->file);
    return rc;
}

int snapshot_restore(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    struct restore restore = {.name = "default", .token = "etcd-cluster", .advertise = "http://localhost:2380"};
    const struct flag table[] = {
        {"name", 0, FLAG_STRING, &restore.name, "default", "the member's name"},
        {"data-dir", 0, FLAG_STRING, &restore.data_dir, "NAME.lash", "the directory to make, which must not exist"},
        {"initial-cluster", 0, FLAG_STRING, &restore.initial_cluster, NULL,
         "all members of the new cluster, NAME=URL,... (default this one alone)"},
        {"initial-cluster-token", 0, FLAG_STRING, &restore.token, "etcd-cluster", "tells clusters apart"},
        {"initial-advertise-peer-urls", 0, FLAG_STRING, &restore.advertise, "http://localhost:2380",
         "the member's peer URL"},
        {"bump-revision", 0, FLAG_INT, &restore.bump, "0", "how much to raise the revision by"},
        {"mark-compacted", 0, FLAG_BOOL, &restore.mark_compacted, NULL, "have all revisions before count as compacted"},
        {"skip-hash-check", 0, FLAG_BOOL, &restore.skip_hash_check, NULL, "do without the SHA-256 at the file's end"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "snapshot restore requires exactly one argument");
    lash_set_log(NULL, NULL, LASH_LOG_WARN);
    return restore_run(&restore, arguments.words[0]);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot save and snapshot status: a copy of a member's data in a file, and what
 * such a file holds.
 */
#include "lashctl/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "lashctl/clock.h"
#include "lashctl/flags.h"
#include "lashctl/output.h"
#include "lashctl/snapshot_file.h"
#include "rpc.pb-c.h"

enum { SAVE_SIZE_TEXT = 32 };

static const uint64_t save_progress_ns = 200000000; /* between two looks at the progress */

/* ---- Saving ---------------------------------------------------------------------------------------- */

struct save {
    const char *path;
    char *part; /* where it is written first */
    int file;
    EVP_MD_CTX *digester;
    uint8_t tail[SNAPSHOT_FILE_DIGEST]; /* the last bytes, which may be the digest */
    size_t tail_size;
    uint64_t size;   /* bytes that came, and of them */
    uint64_t needed; /* this is what the server says that there are */
    uint64_t next_ns;
    bool shows; /* the progress */
    char problem[256];
};

static bool save_problem(struct save *save, const char *what, const char *why) {
    (void)snprintf(save->problem, sizeof save->problem, "%s %.180s: %s", what, save->part, why);
    return false;
}

static bool save_write(struct save *save, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t count = write(save->file, data, size);
        if (count < 0 && errno != EINTR)
            return save_problem(save, "cannot write", strerror(errno));
        if (count > 0) {
            data += count;
            size -= (size_t)count;
        }
    }
    return true;
}

/* Take bytes into the digest, but for the last ones that have come. */
static bool save_digest(struct save *save, const uint8_t *data, size_t size) {
    size_t keep = size < sizeof save->tail ? size : sizeof save->tail;
    size_t out = save->tail_size + keep > sizeof save->tail ? save->tail_size + keep - sizeof save->tail : 0;
    bool good =
        EVP_DigestUpdate(save->digester, save->tail, out) && EVP_DigestUpdate(save->digester, data, size - keep);
    memmove(save->tail, save->tail + out, save->tail_size - out);
    memcpy(save->tail + save->tail_size - out, data + size - keep, keep);
    save->tail_size += keep - out;
    return good || save_problem(save, "cannot compute the SHA-256 of", "out of memory");
}

static void save_show(struct save *save, bool last) {
    uint64_t now = clock_ns();
    char done[SAVE_SIZE_TEXT], all[SAVE_SIZE_TEXT];
    if (!save->shows || (!last && now < save->next_ns))
        return;
    save->next_ns = now + save_progress_ns;
    output_size((int64_t)save->size, done, sizeof done);
    output_size((int64_t)save->needed, all, sizeof all);
    (void)fprintf(stderr, "\r%s of %s (%d%%)  %s", done, all,
                  (int)(save->needed ? (double)save->size * 100 / (double)save->needed : 100), last ? "\n" : "");
    (void)fflush(stderr);
}

static bool save_take(void *context, const ProtobufCMessage *message) {
    const Etcdserverpb__SnapshotResponse *response = (const Etcdserverpb__SnapshotResponse *)message;
    struct save *save = context;
    const uint8_t *data = response->blob.data;
    size_t size = response->blob.len;
    if (size == 0)
        return true;
    if (!save_write(save, data, size) || !save_digest(save, data, size))
        return false;
    save->size += size;
    save->needed = save->size + response->remaining_bytes;
    save_show(save, false);
    return true;
}

/* Whether what came is all, by the digest at its end. */
static bool save_check(struct save *save) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (save->size % SNAPSHOT_FILE_ALIGN != SNAPSHOT_FILE_DIGEST)
        return save_problem(save, "no SHA-256 came at the end of", "the server's snapshot is cut");
    if (!EVP_DigestFinal_ex(save->digester, digest, &size) || size != SNAPSHOT_FILE_DIGEST)
        return save_problem(save, "cannot compute the SHA-256 of", "out of memory");
    return memcmp(digest, save->tail, size) == 0 || save_problem(save, "wrong SHA-256 of", "damaged on its way");
}

/* Make the file durable under its name. */
static bool save_finish(struct save *save) {
    char *copy = mem_strdup(save->path);
    if (!copy)
        return save_problem(save, "cannot keep", "out of memory");
    bool good = fsync(save->file) == 0 && rename(save->part, save->path) == 0;
    int directory = good ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    good = directory >= 0 && fsync(directory) == 0;
    if (!good)
        (void)save_problem(save, "cannot keep", strerror(errno));
    if (directory >= 0)
        (void)close(directory);
    mem_free(copy);
    return good;
}

static bool save_open(struct save *save) {
    save->part = output_string("%s.part", save->path);
    save->digester = EVP_MD_CTX_new();
    if (!save->part || !save->digester || !EVP_DigestInit_ex(save->digester, EVP_sha256(), NULL)) {
        (void)snprintf(save->problem, sizeof save->problem, "out of memory");
        return false;
    }
    save->file = open(save->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return save->file >= 0 || save_problem(save, "cannot create", strerror(errno));
}

static int save_fetch(struct ctl *ctl, struct save *save) {
    struct grpc_status status = {.code = 0};
    Etcdserverpb__SnapshotRequest request = ETCDSERVERPB__SNAPSHOT_REQUEST__INIT;
    struct grpc_client *client = grpc_client_open(ctl->endpoints[0], clock_after_ms(ctl->dial_timeout_ms), &status);
    if (!client)
        return ctl_fail_status(&status);
    grpc_client_stream(client, "/etcdserverpb.Maintenance/Snapshot", &request.base,
                       &etcdserverpb__snapshot_response__descriptor, ctl->command_timeout_ms, save_take, save, &status);
    grpc_client_close(client);
    if (save->size > 0)
        save_show(save, true);
    if (status.code == GRPC_OK && save_check(save) && save_finish(save))
        return CTL_OK;
    return save->problem[0] ? ctl_fail(CTL_IO, "%s", save->problem) : ctl_fail_status(&status);
}

int snapshot_save(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const struct flag table[] = {{NULL, 0, FLAG_BOOL, NULL, NULL, NULL}};
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "snapshot save expects one argument");
    if (ctl->endpoint_count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "snapshot must be requested to one selected node, not multiple");
    struct save save = {.path = arguments.words[0], .file = -1, .shows = isatty(STDERR_FILENO)};
    int rc = save_open(&save) ? save_fetch(ctl, &save) : ctl_fail(CTL_IO, "%s", save.problem);
    if (save.file >= 0)
        (void)close(save.file);
    if (save.file >= 0 && rc != CTL_OK)
        (void)unlink(save.part);
    EVP_MD_CTX_free(save.digester);
    mem_free(save.part);
    if (rc == CTL_OK)
        printf("Snapshot saved at %s\n", save.path);
    return rc;
}

/* ---- Status ---------------------------------------------------------------------------------------- */

static void status_print_table(const struct snapshot_file *file, const struct snapshot_summary *summary) {
    static const char *const titles[] = {"HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"};
    char hash[16], revision[24], keys[24], size[SAVE_SIZE_TEXT];
    char *cells[] = {hash, revision, keys, size};
    (void)snprintf(hash, sizeof hash, "%" PRIx32, summary->short_hash);
    (void)snprintf(revision, sizeof revision, "%" PRId64, summary->state.revision);
    (void)snprintf(keys, sizeof keys, "%" PRIu64, summary->records);
    output_size((int64_t)file->size, size, sizeof size);
    output_table(titles, 4, cells, 1);
}

static void status_print_json(const struct snapshot_file *file, const struct snapshot_summary *summary) {
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "hash", json_object_new_int64(summary->short_hash));
    json_object_object_add(object, "revision", json_object_new_int64(summary->state.revision));
    json_object_object_add(object, "totalKey", json_object_new_int64((int64_t)summary->records));
    json_object_object_add(object, "totalSize", json_object_new_int64((int64_t)file->size));
    output_json(object);
}

int snapshot_status(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const struct flag table[] = {{NULL, 0, FLAG_BOOL, NULL, NULL, NULL}};
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "snapshot status requires exactly one argument");
    struct snapshot_file file;
    struct snapshot_summary summary;
    int rc = snapshot_file_open(&file, arguments.words[0], false, &summary);
    if (rc != CTL_OK)
        return rc;
    char size[SAVE_SIZE_TEXT];
    output_size((int64_t)file.size, size, sizeof size);
    if (ctl->format == CTL_TABLE)
        status_print_table(&file, &summary);
    else if (ctl->format == CTL_JSON)
        status_print_json(&file, &summary);
    else if (ctl->format == CTL_FIELDS)
        printf("\"Hash\" : %" PRIu32 "\n\"Revision\" : %" PRId64 "\n\"Keys\" : %" PRIu64 "\n\"Size\" : %" PRIu64 "\n",
               summary.short_hash, summary.state.revision, summary.records, file.size);
    else
        printf("%" PRIx32 ", %" PRId64 ", %" PRIu64 ", %s\n", summary.short_hash, summary.state.revision,
               summary.records, size);
    snapshot_file_close(&file);
    return CTL_OK;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a snapshot's file; see snapshot_file.h.
 */
#include "lashctl/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "lash/error.h"
#include "lashctl/ctl.h"

static int snapshot_file_read(void *context, void *data, size_t size, size_t *got) {
    struct snapshot_file *file = context;
    uint64_t left = file->image_size - file->at;
    ssize_t count;
    do
        count = pread(file->file, data, left < size ? (size_t)left : size, (off_t)file->at);
    while (count < 0 && errno == EINTR);
    *got = count < 0 ? 0 : (size_t)count;
    file->at += *got;
    return count < 0 ? LASH_IO : LASH_OK;
}

/* Compute the digest of the image into `digest`; false when that failed. */
static bool snapshot_file_digest(struct snapshot_file *file, uint8_t digest[SNAPSHOT_FILE_DIGEST]) {
    static uint8_t piece[256 * 1024];
    unsigned digest_size = 0;
    size_t got = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    file->at = 0;
    do {
        good = good && snapshot_file_read(file, piece, sizeof piece, &got) == LASH_OK &&
               EVP_DigestUpdate(context, piece, got);
    } while (good && got > 0);
    good = good && file->at == file->image_size && EVP_DigestFinal_ex(context, digest, &digest_size) &&
           digest_size == SNAPSHOT_FILE_DIGEST;
    EVP_MD_CTX_free(context);
    file->at = 0;
    return good;
}

static int snapshot_file_check_digest(struct snapshot_file *file) {
    uint8_t expected[SNAPSHOT_FILE_DIGEST], actual[SNAPSHOT_FILE_DIGEST];
    ssize_t count = pread(file->file, expected, sizeof expected, (off_t)file->image_size);
    if (count != sizeof expected || !snapshot_file_digest(file, actual))
        return ctl_fail(CTL_IO, "cannot read %s: %s", file->path, strerror(errno));
    if (memcmp(expected, actual, sizeof actual) != 0)
        return ctl_fail(CTL_ERROR, "%s is damaged: its SHA-256 is not the one at its end", file->path);
    return CTL_OK;
}

static int snapshot_file_explain(const struct snapshot_file *file, int error, uint64_t records) {
    if (error == LASH_VERSION)
        return ctl_fail(CTL_ERROR, "%s was written by a newer version of lashd", file->path);
    if (error == LASH_CORRUPT)
        return ctl_fail(CTL_ERROR, "%s is no snapshot of lashd, or damaged behind %" PRIu64 " revisions", file->path,
                        records);
    return ctl_fail(CTL_IO, "cannot read %s: %s", file->path, lash_strerror(error));
}

/* Read the whole image. */
static int snapshot_file_sum_up(struct snapshot_file *file, struct snapshot_summary *summary) {
    static struct image_reader reader;
    struct image_item item = {.kind = IMAGE_BEGIN};
    int rc;
    file->at = 0;
    image_open(&reader, &file->source);
    while ((rc = image_next(&reader, &item)) == 0 && item.kind != IMAGE_END) {
        if (item.kind == IMAGE_BEGIN)
            *summary = (struct snapshot_summary){.state = item.state,
                                                 .hash = revision_hash(item.state.revision, item.state.compacted)};
        if (item.kind == IMAGE_RECORD)
            summary->hash = revision_hash_record(summary->hash, &item.record);
    }
    summary->records = reader.records;
    summary->short_hash = (uint32_t)(summary->hash ^ summary->hash >> 32);
    image_close(&reader);
    file->at = 0;
    return rc ? snapshot_file_explain(file, rc, reader.records) : CTL_OK;
}

int snapshot_file_open(struct snapshot_file *file, const char *path, bool skip_digest,
                       struct snapshot_summary *summary) {
    struct stat status;
    *file = (struct snapshot_file){.path = path, .source = {.read = snapshot_file_read, .context = file}};
    *summary = (struct snapshot_summary){.records = 0};
    file->file = open(path, O_RDONLY | O_CLOEXEC);
    if (file->file < 0 || fstat(file->file, &status)) {
        int error = errno;
        snapshot_file_close(file);
        return ctl_fail(CTL_ERROR, "cannot open %s: %s", path, strerror(error));
    }
    file->size = file->image_size = (uint64_t)status.st_size;
    bool has_digest = file->size % SNAPSHOT_FILE_ALIGN == SNAPSHOT_FILE_DIGEST;
    if (has_digest)
        file->image_size -= SNAPSHOT_FILE_DIGEST;
    int rc = CTL_OK;
    if (!has_digest && !skip_digest)
        rc = ctl_fail(CTL_ERROR, "%s has no SHA-256 at its end, so it is cut or no snapshot", path);
    else if (!skip_digest)
        rc = snapshot_file_check_digest(file);
    if (rc == CTL_OK)
        rc = snapshot_file_sum_up(file, summary);
    if (rc != CTL_OK)
        snapshot_file_close(file);
    return rc;
}

void snapshot_file_close(struct snapshot_file *file) {
    if (file->file >= 0)
        (void)close(file->file);
    file->file = -1;
}

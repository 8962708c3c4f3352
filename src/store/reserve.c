/* SPDX-License-Identifier: Apache-2.0
 *
 * The file that holds space back.
 */
#include "store/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "lash/error.h"
#include "store/marker.h"

int reserve_open(struct reserve *reserve, const char *dir, uint64_t bytes) {
    *reserve = (struct reserve){.path = marker_path(dir, "reserve"), .bytes = bytes};
    if (!reserve->path)
        return LASH_NOMEM;
    (void)reserve_take(reserve); /* without it, whoever asks hears of it */
    return LASH_OK;
}

int reserve_take(struct reserve *reserve) {
    if (reserve->held || reserve->bytes == 0)
        return LASH_OK;
    int file = open(reserve->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    int error = file < 0 ? errno : posix_fallocate(file, 0, (off_t)reserve->bytes);
    if (file >= 0)
        close(file);
    reserve->held = error == 0;
    if (error && file >= 0)
        unlink(reserve->path);
    return error == 0 ? LASH_OK : error == ENOSPC || error == EDQUOT || error == EFBIG ? LASH_FULL : LASH_IO;
}

bool reserve_give(struct reserve *reserve) {
    bool gave = reserve->held && unlink(reserve->path) == 0;
    reserve->held = false;
    return gave;
}

void reserve_close(struct reserve *reserve) {
    mem_free(reserve->path);
    *reserve = (struct reserve){0};
}

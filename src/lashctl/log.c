/* SPDX-License-Identifier: Apache-2.0
 *
 * log dump: print what is in a replica's write-ahead log.
 */
#include <limits.h>
#include <stdio.h>

#include "lashctl/flags.h"
#include "storage/log.h"
#include "storage/vfs.h"

#define MEMBER_LOG "log" /* where lashd keeps it in its data directory */

int log_dump_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    bool data = false;
    const struct flag table[] = {
        {"data", 0, FLAG_BOOL, &data, NULL, "print the commands, too"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "log dump command needs one argument, the log's directory");
    int rc = log_dump(vfs_posix(), arguments.words[0], data, stdout);
    if (rc == LASH_NOT_FOUND) { /* perhaps it is a member's whole data directory */
        char inner[PATH_MAX];
        int length = snprintf(inner, sizeof inner, "%s/" MEMBER_LOG, arguments.words[0]);
        if (length > 0 && (size_t)length < sizeof inner)
            rc = log_dump(vfs_posix(), inner, data, stdout);
    }
    return rc == 0 ? CTL_OK : ctl_fail(CTL_ERROR, "%s: %s", arguments.words[0], lash_strerror(rc));
}

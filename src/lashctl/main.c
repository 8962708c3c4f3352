/* SPDX-License-Identifier: Apache-2.0
 *
 * lashctl, the command line client: finds the verb and hands over to it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "lashctl/ctl.h"
#include "lashctl/flags.h"
#include "lashctl/recover.h"
#include "lashctl/snapshot.h"

static int run_help(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
static int run_version(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);

#define BENCH_ABOUT                                                                                                    \
    "  The keys are named bench/0000000000 and so on, and stay; 'lashctl del bench/ --prefix' removes them."

static const struct verb verbs[] = {
    {"bench get", "[options]", "Measures how many linearizable reads a second the cluster serves",
     "  All keys are put first, which is not measured.\n" BENCH_ABOUT, bench_get},
    {"bench put", "[options]", "Measures how many puts a second the cluster serves", BENCH_ABOUT, bench_put},
    {"bench txn", "[options]", "Measures how many transactions a second the cluster serves",
     "  Each puts a key and gets it when it exists, else puts it.\n" BENCH_ABOUT, bench_txn},
    {"compaction", "[options] <revision>", "Compacts the history of revisions", NULL, kv_compaction},
    {"del", "[options] <key> [range_end]", "Removes the specified key or range of keys [key, range_end)", NULL, kv_del},
    {"endpoint hashkv", "[options]", "Fetches the KV history hash of endpoints",
     "  Of what was written up to a revision (--rev, 0: the newest that each endpoint has) and is not compacted. Where "
     "the\n"
     "  members' hashes of one revision and one compaction differ, so do their data. Not comparable with etcd's.\n"
     "  The simple format lists: endpoint, hash, hash revision.",
     endpoint_hashkv},
    {"endpoint health", "[options]", "Checks the healthiness of endpoints",
     "  An endpoint is healthy when it can serve a linearizable read, for which a majority must answer it.",
     endpoint_health},
    {"endpoint status", "[options]", "Prints out the status of endpoints",
     "  The simple format lists: endpoint, ID, version, db size, is leader, is learner, raft term, raft index,\n"
     "  raft applied index, errors.",
     endpoint_status},
    {"get", "[options] <key> [range_end]", "Gets the key or a range of keys", NULL, kv_get},
    {"help", "[command]", "Help about any command", NULL, run_help},
    {"log dump", "[options] <directory>", "Prints the records of a replica's log",
     "  The directory is a replica's log, or a member's data directory, which holds it. Needs no server and no lock, "
     "and\n"
     "  changes nothing.",
     log_dump_run},
    {"member add", "[options] <name>", "Adds a member to the cluster",
     "  Add it first, then start it with --initial-cluster-state existing and the printed --initial-cluster. Prints "
     "these\n"
     "  settings as etcdctl does, as variables of etcd's; lashd reads LASH_NAME and so on, or the flags.",
     member_add},
    {"member list", "[options]", "Lists all members in the cluster",
     "  The simple format lists: ID, status, name, peer addresses, client addresses, is learner.", member_list},
    {"member promote", "[options] <member-id>", "Gives a vote to a learner that has caught up", NULL, member_promote},
    {"member remove", "[options] <member-id>", "Removes a member from the cluster",
     "  Its process ends by itself, and its data is of no use any more.", member_remove},
    {"member update", "[options] <member-id>", "Changes the peer URLs of a member",
     "  Update it first, then start it again where it listens at the new ones.", member_update},
    {"move-leader", "[options] <transferee-member-id>", "Transfers leadership to another cluster member",
     "  The leader must be among the endpoints.", leader_move},
    {"put", "[options] <key> <value>", "Puts the given key into the store",
     "  A value that is not given is read from standard input. A key or value that begins with '-' goes behind '--':\n"
     "    lashctl put -- <key> <value>",
     kv_put},
    {"recover", "[options]", "Makes the survivors of a cluster that lost its majority for good a new cluster",
     "  The last resort: whatever only the lost members had is gone. Needs no server; lashd must not run on the "
     "directory. Look\n"
     "  at all survivors with --show first. Without a majority of members that may come back there is no need for "
     "this.",
     recover_run},
    {"snapshot restore", "[options] <filename>", "Makes a member of a new cluster that begins with a snapshot's data",
     "  To be run for each member of the new cluster, with the same file and the same members. Then start them with "
     "lashd.",
     snapshot_restore},
    {"snapshot save", "[options] <filename>", "Stores a member's data in a file",
     "  Of one endpoint. The file gets its name when it is whole, durable and found to have the right SHA-256; a file "
     "that is\n"
     "  there already is replaced.",
     snapshot_save},
    {"snapshot status", "[options] <filename>", "Prints what a snapshot's file holds",
     "  The simple format lists: hash, revision, total keys (revisions of keys), total size. The file is read whole "
     "and checked.",
     snapshot_status},
    {"status", "[options]", "Prints out what members know of themselves and of their peers",
     "  Of lashd only; 'endpoint status' asks any server. Tables, or JSON with -w json. A leader tells how far it is "
     "with each\n"
     "  peer; sizes and counts are since the member's start, the 99th percentiles are bounds of buckets.",
     status_run},
    {"txn", "[options]", "Txn processes all the requests in one transaction",
     "  Reads three sections from standard input, each ended by an empty line: compares, requests to be done when all\n"
     "  of them hold, requests to be done otherwise. Requests are get, put and del with their options.\n"
     "    mod(\"key\") > \"0\"       compares: mod, create, ver, val or lease; = != < >\n"
     "    val(\"key\") = \"value\"\n"
     "    <empty line>\n"
     "    put key \"a value\"\n"
     "    get key\n"
     "    <empty line>\n"
     "    del key\n"
     "    <empty line>",
     txn_run},
    {"version", "", "Prints the version of lashctl", NULL, run_version},
};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])
#define WORDS_MAX 1024

/* ---- Errors ---------------------------------------------------------------------------------------- */

int ctl_fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)fflush(stdout);
    (void)fprintf(stderr, "Error: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
    return code;
}

void ctl_status_text(const struct grpc_status *status, char *text, size_t size) {
    char unknown[24];
    bool plain = strncmp(status->message, "etcdserver: ", 12) == 0 || status->code == GRPC_DEADLINE_EXCEEDED ||
                 status->code == GRPC_UNAVAILABLE || !status->sent;
    if (plain)
        (void)snprintf(text, size, "%s", status->message);
    else
        (void)snprintf(text, size, "rpc error: code = %s desc = %s", grpc_code_name(status->code, unknown),
                       status->message);
}

int ctl_fail_status(const struct grpc_status *status) {
    char text[640];
    ctl_status_text(status, text, sizeof text);
    return ctl_fail(CTL_ERROR, "%s", text);
}

/* ---- Help and version ------------------------------------------------------------------------------ */

static void print_overview(const char *group) {
    printf("NAME:\n  lashctl - the command line client of lashd and other servers of the etcd v3 API\n\n"
           "USAGE:\n  lashctl [flags] <command>\n\nCOMMANDS:\n");
    for (size_t at = 0; at < VERB_COUNT; at++)
        if (strncmp(verbs[at].name, group, strlen(group)) == 0)
            printf("  %-18s%s\n", verbs[at].name, verbs[at].summary);
    flags_print_globals();
}

/* How many words of `words` name the verb that *verb becomes: 0 when there is none. */
static int find_verb(const char *const *words, int count, const struct verb **verb) {
    for (int take = count < 2 ? count : 2; take > 0; take--) {
        char name[64];
        (void)snprintf(name, sizeof name, take == 2 ? "%s %s" : "%s", words[0], take == 2 ? words[1] : "");
        for (size_t at = 0; at < VERB_COUNT; at++) {
            if (strcmp(verbs[at].name, name) == 0) {
                *verb = &verbs[at];
                return take;
            }
        }
    }
    return 0;
}

/* Whether `word` is the first of a verb's two. */
static bool is_group(const char *word) {
    for (size_t at = 0; at < VERB_COUNT; at++) {
        size_t length = strcspn(verbs[at].name, " ");
        if (verbs[at].name[length] == ' ' && strlen(word) == length && strncmp(verbs[at].name, word, length) == 0)
            return true;
    }
    return false;
}

static int no_verb(const char *const *words, int count) {
    if (count == 0)
        print_overview("");
    else if (count == 1 && is_group(words[0]))
        print_overview(words[0]);
    else if (count > 1 && is_group(words[0]))
        return ctl_fail(CTL_ERROR, "unknown command \"%s %s\" for \"lashctl\" (see 'lashctl help')", words[0],
                        words[1]);
    else
        return ctl_fail(CTL_ERROR, "unknown command \"%s\" for \"lashctl\" (see 'lashctl help')", words[0]);
    return CTL_OK;
}

static const struct flag no_flags[] = {{NULL, 0, FLAG_BOOL, NULL, NULL, NULL}};

static int run_help(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    struct arguments arguments = flags_parse(ctl, verb, no_flags, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    static const char *help[] = {"--help"};
    const struct verb *topic = NULL;
    if (find_verb(arguments.words, arguments.count, &topic) == 0)
        return no_verb(arguments.words, arguments.count);
    return topic->run(ctl, topic, 1, help);
}

static int run_version(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    struct arguments arguments = flags_parse(ctl, verb, no_flags, argc, argv);
    if (!arguments.done)
        printf("lashctl version: %s\nAPI version: %s\n", LASHCTL_VERSION, LASHCTL_API_VERSION);
    return arguments.exit_code;
}

/* ---- The dispatcher -------------------------------------------------------------------------------- */

/* The first two words of the command line that are neither flags nor values of global flags, and where they are. */
static int leading_words(int argc, char **argv, const char *words[2], int at[2]) {
    int count = 0;
    for (int next = 1; next < argc && count < 2;) {
        int skip = flags_skip(argv[next]);
        if (strcmp(argv[next], "--") == 0)
            break;
        if (skip == 0) {
            words[count] = argv[next];
            at[count++] = next++;
        }
        next += skip;
    }
    return count;
}

static bool wants_help(int argc, char **argv) {
    for (int at = 1; at < argc; at++)
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
            return true;
    return false;
}

static int dispatch(struct ctl *ctl, int argc, char **argv) {
    const char *words[2] = {NULL, NULL};
    int at[2] = {0, 0};
    int count = leading_words(argc, argv, words, at);
    static const char *const help_name = "help";
    const struct verb *verb = NULL;
    int taken = find_verb(words, count, &verb);
    if (taken == 0 && count == 0 && !wants_help(argc, argv))
        (void)find_verb(&help_name, 1, &verb); /* it checks the flags, too */
    else if (taken == 0)
        return no_verb(words, count);
    if (argc > WORDS_MAX)
        return ctl_fail(CTL_BAD_ARGUMENTS, "too many arguments");
    const char *rest[WORDS_MAX + 1] = {NULL};
    int left = 0;
    for (int next = 1; next < argc; next++)
        if ((taken < 1 || next != at[0]) && (taken < 2 || next != at[1]))
            rest[left++] = argv[next];
    return verb->run(ctl, verb, left, rest);
}

int main(int argc, char **argv) {
    struct ctl ctl = {.endpoints = NULL};
    int rc = flags_defaults(&ctl);
    if (rc == CTL_OK)
        rc = dispatch(&ctl, argc, argv);
    flags_free(&ctl);
    if ((fflush(stdout) != 0 || ferror(stdout)) && rc == CTL_OK)
        rc = ctl_fail(CTL_IO, "cannot write the output");
    return rc;
}

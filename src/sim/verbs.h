/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator's parts. Each reads the arguments behind its name and returns the
 * process's exit code: 0 when all held, 1 when an invariant was broken, 2 for a
 * command line that makes no sense.
 */
#ifndef LASH_SIM_VERBS_H
#define LASH_SIM_VERBS_H

int run_main(int argc, const char **argv);
int replay_main(int argc, const char **argv);
int soak_main(int argc, const char **argv);
int shrink_main(int argc, const char **argv);
int bench_main(int argc, const char **argv);

#endif

/*
 * The case map: named cases of file system behaviour that run in any directory and print one line for each result,
 *
 *     CASE#STEP WHAT: RESULT
 *
 * so that two file systems can be compared result by result. Nothing is printed that differs between two runs on one file system: no
 * inode numbers, no times but those that were set.
 */
#ifndef CASES_H
#define CASES_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* One case. It starts in an empty directory of mode 0777 of its own, as root, with umask 022, in a process of its own. */
struct posix_case {
	const char *name;
	void (*run)(void);
};

/* The cases of each subject, ended by one without a name. */
extern const struct posix_case attribute_cases[], data_cases[], directory_cases[], handle_cases[], name_cases[], permission_cases[],
	space_cases[], xattr_cases[];

/* Prints the result of the step at hand: a value that is not negative, or the name of errno. Returns the value. */
long print_result(const char *what, long value);

/* Prints the result of the step at hand as a text. */
__attribute__((format(printf, 2, 3))) void print_value(const char *what, const char *format, ...);

/* A call, named by its own text. */
#define CALL(CALLED) print_result(#CALLED, (long)(CALLED))

/* A call that gives a descriptor: whether it did, not which one. */
#define OPENS(DESCRIPTOR) print_result(#DESCRIPTOR, ((DESCRIPTOR) < 0) ? -1 : 0)

/* Whether something holds. */
#define HOLDS(CONDITION) print_value(#CONDITION, "%s", (CONDITION) ? "yes" : "no")

/* Type, mode, owner, links, size and device of a path itself, not of a symlink's target. */
void show(const char *path);

/* The same of a descriptor. */
void show_fd(int fd);

/* Creates or truncates a file with a text; a failure is printed. */
void put(const char *path, const char *text);

/* Prints the text of a file, at most 100 bytes of it. */
void get(const char *path);

/* Users. Nobody but root has capabilities. */
struct user {
	uid_t uid;
	gid_t gid;
	size_t group_count;
	gid_t groups[3];
};

extern const struct user alice, bob, member;

/* In a child: becomes the user and returns 0. In the parent: waits for the child, and returns something else. */
int as_user(const struct user *user);

/* The same as root with only these effective capabilities, a mask of 1 << CAP_*, and none that it could take. */
int as_root_with(unsigned long long capabilities);

/* The same as a user with these capabilities. */
int as_user_with(const struct user *user, unsigned long long capabilities);

/* Ends a child that as_user made. */
void end_child(void);

/* The block that follows is run by a child that is the user. */
#define AS(USER) for (int child_ = as_user(&(USER)); child_ == 0; end_child())
#define AS_ROOT_WITH(CAPABILITIES) for (int child_ = as_root_with(CAPABILITIES); child_ == 0; end_child())
#define AS_WITH(USER, CAPABILITIES) for (int child_ = as_user_with(&(USER), CAPABILITIES); child_ == 0; end_child())

#endif

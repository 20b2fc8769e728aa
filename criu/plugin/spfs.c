/*
 * CRIU's plugin, for `criu restore -L DIR`: CRIU starts spfs, tells it by the protocol on stdin and stdout how far the restore is, and lets
 * go of it. See docs/criu.md.
 *
 * At a restore CRIU calls, in its main process: init, before anything is made; RESUME_DEVICES_LATE, once for each process, when all is
 * restored and CRIU holds every task at the last system call before its own code; exit, when the tasks run (or, without -d, when
 * the first one has ended), or the restore has failed. There is nothing in between.
 */
#pragma GCC visibility push(default)
#include <criu/criu-plugin.h>
#pragma GCC visibility pop

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "daemon.h"
#include "json.h"
#include "log.h"
#include "users.h"

/* How far the restore is. */
static enum {
	/* spfs has no part in it. */
	ABSENT,
	/* The stand-ins are there, with what CRIU looks for. */
	PREPARED,
	/* Nobody sees the placeholders any more. */
	HELD,
	/* It must not succeed. */
	FAILED,
} stage;
static struct daemon spfs = NO_DAEMON;

static bool prepare(const struct text *config)
{
	char link[64], images[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", criu_get_image_dir());
	ssize_t length = readlink(link, images, sizeof images);
	if (length < 0 || length == sizeof images) {
		log_error("the images' directory: %s", strerror(length < 0 ? errno : ENAMETOOLONG));
		return false;
	}
	int patience_ms = daemon_patience();
	if (patience_ms < 0)
		return false;
	struct text params = { 0 };
	text_print(&params, "{\"process\":%d,\"images\":", getpid());
	json_write(&params, images, length);
	text_print(&params, ",\"config\":%s,\"fillWithinMs\":%d,\"alone\":true}", config->bytes, patience_ms);
	const char *result = NULL;
	if (params.failed)
		log_error("restore.prepare: no memory");
	else
		result = daemon_start(&spfs, patience_ms, "restore.prepare", params.bytes);
	text_free(&params);
	const char *mounts = json_member(result, "mounts");
	for (const char *mount = json_next(mounts, NULL); mount != NULL; mount = json_next(mounts, mount)) {
		struct text told = { 0 };
		json_read(&told, json_member(mount, "mountpoint"));
		if (!told.failed && told.length > 0)
			log_info("a stand-in at %s", told.bytes);
		text_free(&told);
	}
	return result != NULL;
}

static int begin(int criu_stage)
{
	struct text config = { 0 };
	if (criu_stage != CR_PLUGIN_STAGE__RESTORE)
		return 0;
	enum config there = config_read(criu_get_image_dir(), &config);
	if (there == CONFIG_THERE && config.failed)
		log_error("what is to be delayed: no memory");
	if (there == CONFIG_THERE && !config.failed && prepare(&config))
		stage = PREPARED;
	text_free(&config);
	return stage == PREPARED || there == CONFIG_NONE ? 0 : -1;
}

/* Ghost files and link-remaps have their names no longer, and no task runs: from here on nobody may see the placeholders. */
static bool hold(pid_t init)
{
	char params[32];
	snprintf(params, sizeof params, "{\"init\":%d}", init);
	if (daemon_call(&spfs, "restore.check", params, false) == NULL)
		return false;
	const char *mounts = json_member(daemon_call(&spfs, "restore.block", "{}", false), "mounts");
	if (mounts == NULL)
		return false;
	int count = 0, serving = 0;
	for (const char *mount = json_next(mounts, NULL); mount != NULL; mount = json_next(mounts, mount)) {
		count++;
		serving += json_is(json_member(mount, "mode"), "proxy");
	}
	log_info("%d mount%s in place, %d of them served from the real file system already", count, count == 1 ? "" : "s", serving);
	/* Without -d nothing more is heard of CRIU before the tree has ended: the daemon sees by itself when CRIU lets the tasks go. */
	return daemon_call(&spfs, "restore.release", params, false) != NULL;
}

/* The first process comes first. What is returned here CRIU ignores; it fails when it finds that a task cannot be let go. */
static int resume_late(int pid)
{
	if (stage == PREPARED)
		stage = hold(pid) ? HELD : FAILED;
	if (stage == FAILED) {
		log_error("process %d must not run, since its file system is not there: it is killed", pid);
		kill(pid, SIGKILL);
	}
	return -ENOTSUP; /* the hooks of other plugins are called as well */
}
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__RESUME_DEVICES_LATE, resume_late)

static void end(int criu_stage, int result)
{
	if (criu_stage != CR_PLUGIN_STAGE__RESTORE || stage == ABSENT)
		return;
	if (stage == HELD && result == 0) {
		/* It may have done everything and have ended long ago. */
		daemon_call(&spfs, "restore.release", "{}", true);
		daemon_leave(&spfs);
	} else {
		/* CRIU may have found that a stand-in is gone before it was asked for, or that a file is missing: this tells why. */
		if (stage == PREPARED)
			daemon_call(&spfs, "restore.check", "{}", false);
		daemon_end(&spfs);
	}
	stage = ABSENT;
}

/* At dump, before CRIU stops a process: one that waits in a stand-in cannot be stopped, and CRIU would hang. */
static int pause_process(int pid)
{
	struct text mountpoint = { 0 };
	bool refused = uses_stand_in(pid, &mountpoint);
	if (refused)
		log_error("process %d uses the stand-in at %s: a dump has to wait until the real file system has taken its place", pid,
			  mountpoint.failed ? "?" : mountpoint.bytes);
	text_free(&mountpoint);
	return refused ? -EBUSY : -ENOTSUP;
}
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__PAUSE_DEVICES, pause_process)

CR_PLUGIN_REGISTER("spfs", begin, end)
